import { type LogRecord, readLog } from "../dmesg.ts";
import { linesOf } from "../log-line.ts";
import type { HostDraft } from "./draft.ts";
import { type Fact, type Origin, fact } from "./fact.ts";
import { type FileReader, lineOf } from "./file-reader.ts";
import { addFirmwareUnits } from "./read-acpi.ts";
import type { ApicRouting } from "./system.ts";

/** Where a kernel log is: as our collector and sosreport put it, and as distributions keep that of the last boot. */
const logs = [
  "dmesg",
  "sos_commands/kernel/dmesg",
  "sos_commands/kernel/dmesg_-T",
  "sos_commands/general/dmesg",
  "var/log/dmesg",
];

/** Adds what the kernel log says of interrupt remapping. */
export function readKernelLog(files: FileReader, draft: HostDraft): void {
  if (draft.log !== undefined) return;
  for (const source of logs) {
    const text = files.text(source, "the kernel log");
    if (text === undefined || text === "") continue;
    addKernelLog(text, source, draft);
    return;
  }
}

/** Records of one log that are kept; a storm of faults says nothing new after as many. */
const recordLimit = 65_536;

/** Kinds that somebody pasted: no kernel logs them. */
const pasted: ReadonlySet<LogRecord["kind"]> = new Set<LogRecord["kind"]>([
  "vtd-entry",
  "amdvi-entry",
  "amdvi-table",
  "amdvi-device-entry",
  "msi-capability",
  "msi-message",
  "lspci-detail",
]);

/** Adds what a text says that holds a kernel log; the lines that were understood. */
export function addKernelLog(text: string, source: string, draft: HostDraft): ReadonlySet<number> {
  const records: LogRecord[] = [];
  const lines = new Set<number>();
  for (const record of readLog(text)) {
    if (pasted.has(record.kind)) continue;
    lines.add(record.line);
    if (records.length < recordLimit) records.push(record);
    else {
      draft.missing.push({
        what: `records of ${source} after the first ${recordLimit}`,
        why: "there are more than are kept",
        needs: null,
      });
      break;
    }
  }
  if (records.length > 0) draft.log ??= fact(records, { source });
  const boot = readBoot(text, source, draft);
  // Units that the log names are there now; those that only the firmware's tables have are others.
  addFirmwareUnits(draft);
  if (boot.routing !== undefined) draft.system.routing ??= boot.routing;
  for (const unit of draft.units) {
    const state = boot[unit.vendor];
    if (state.remapping !== undefined) unit.remapping ??= state.remapping;
    if (state.extended !== undefined) unit.extendedMode ??= state.extended;
  }
  return lines;
}

/** What Linux says while it boots of all units of a vendor. */
interface Boot {
  routing?: Fact<ApicRouting>;
  readonly intel: { remapping?: Fact<boolean>; extended?: Fact<boolean> };
  readonly amd: { remapping?: Fact<boolean>; extended?: Fact<boolean> };
}

const unitLine =
  /\b(dmar\d{1,4}): reg_base_addr ([0-9a-f]{1,16}) ver (\d{1,2}):(\d{1,2}) cap ([0-9a-f]{1,16}) ecap ([0-9a-f]{1,16})\b/;
/** With a colon since Linux 6.7 or so. */
const routingLine = /APIC routing to:? (cluster x2apic|physical x2apic|physical flat|flat)\b/;

const routings: Readonly<Record<string, ApicRouting>> = {
  "cluster x2apic": { mode: "x2apic", destinations: "cluster" },
  "physical x2apic": { mode: "x2apic", destinations: "physical" },
  "physical flat": { mode: "xapic", destinations: "physical" },
  flat: { mode: "xapic", destinations: "flat" },
};

function readBoot(text: string, source: string, draft: HostDraft): Boot {
  const boot: Boot = { intel: {}, amd: {} };
  for (const { number, text: line } of linesOf(text)) {
    const origin = lineOf(source, number);
    if (line.includes("reg_base_addr")) addUnit(line, origin, draft);
    else if (line.includes("APIC routing")) {
      // Linux says it again when it changes its mind: the last one holds.
      const name = routingLine.exec(line)?.[1];
      if (name !== undefined) boot.routing = fact(routings[name]!, origin);
    } else if (line.includes("Enabled IRQ remapping in ")) {
      boot.intel.remapping = fact(true, origin);
      boot.intel.extended = fact(line.includes("in x2apic mode"), origin);
    } else if (line.includes("AMD-Vi: Interrupt remapping enabled")) {
      boot.amd.remapping = fact(true, origin);
    } else if (line.includes("AMD-Vi: X2APIC enabled")) {
      boot.amd.extended = fact(true, origin);
    } else if (/Not enabling interrupt remapping|Failed to enable irq remapping/i.test(line)) {
      boot.intel.remapping = boot.amd.remapping = fact(false, origin);
    }
  }
  return boot;
}

function addUnit(line: string, origin: Origin, draft: HostDraft): void {
  const match = unitLine.exec(line);
  if (match === null) return;
  const [, name, base, major, minor, capability, extended] = match;
  const address = BigInt(`0x${base}`);
  const unit = draft.vtdUnit(name!, address);
  unit.registerBase ??= fact(address, origin);
  unit.version ??= fact((Number(major) << 4) | Number(minor), origin);
  unit.capability ??= fact(BigInt(`0x${capability}`), origin);
  unit.extendedCapability ??= fact(BigInt(`0x${extended}`), origin);
}
