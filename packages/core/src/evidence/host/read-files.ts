import { addPciText } from "./read-lspci.ts";
import type { HostDraft } from "./draft.ts";
import { FileReader } from "./file-reader.ts";
import type { HostFiles } from "./files.ts";
import { rootFiles } from "./layouts.ts";
import { addMissing } from "./missing.ts";
import { addFirmwareUnits, readAcpiTables } from "./read-acpi.ts";
import { readCapture } from "./read-capture.ts";
import { readDebugfs } from "./read-debugfs.ts";
import { readIrqs } from "./read-irqs.ts";
import { readKernelLog } from "./read-log.ts";
import { readPciDevices } from "./read-pci.ts";
import { readInterrupts, readSystem } from "./read-proc.ts";
import { readUnits } from "./read-units.ts";
import { settleHost } from "./settle.ts";
import { addSources } from "./sources.ts";

const lspci = ["sos_commands/pci/lspci_-nnvv", "sos_commands/pci/lspci_-nvv", "lspci"];

/**
 * Adds what the files of a host say: a Linux root tree, the layout of sosreport, that of a capture, or any of them
 * below one folder. What could not be read, and what nothing said, is named in `missing`.
 * @throws InputError when there is more of one kind than a host can have.
 */
export function readHostFiles(files: HostFiles, draft: HostDraft): void {
  const reader = new FileReader(rootFiles(files));
  readSystem(reader, draft);
  readUnits(reader, draft);
  readAcpiTables(reader, draft);
  readPciDevices(reader, draft);
  for (const source of lspci) {
    const text = reader.text(source, "lspci");
    if (text !== undefined) addPciText(text, source, draft);
  }
  readDebugfs(reader, draft);
  readKernelLog(reader, draft);
  addFirmwareUnits(draft);
  readCapture(reader, draft);
  readInterrupts(reader, draft);
  readIrqs(reader, draft);
  settleHost(draft);
  addSources(draft);
  addMissing(reader, draft);
}
