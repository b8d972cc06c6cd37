import { InputError } from "../input-error.ts";
import { readAmdDebugfs } from "../text/amd-debugfs.ts";
import { readIntelDebugfs } from "../text/intel-debugfs.ts";
import { readIrqDumps } from "../text/irq-debugfs.ts";
import { readInterruptTable } from "../text/proc-interrupts.ts";
import type { HostDraft } from "./draft.ts";
import { fact } from "./fact.ts";
import { lineOf } from "./file-reader.ts";
import { addAmdDebugfs, addAmdUnit, addIntelUnits, namelessUnit } from "./read-debugfs.ts";
import { addIrqDump, addVectorMatrix } from "./read-irqs.ts";
import { addKernelLog } from "./read-log.ts";
import { addPciText } from "./read-lspci.ts";
import { addCpuInfo, addInterruptTable, releaseOf } from "./read-proc.ts";
import { settleHost } from "./settle.ts";
import { addSources } from "./sources.ts";

/**
 * Adds what a text says that somebody pasted or piped: any mixture of `ir_translation_struct`, `iommu_regset`,
 * `invalidation_queue`, `irqtbl`, `devtbl`, `irq/irqs`, lspci, /proc/interrupts, /proc/cpuinfo and a kernel log.
 * Lines that were not understood are counted in `missing`.
 * @param source what to call the text where facts say where they come from.
 * @throws InputError when no line was understood.
 */
export function readPastedHost(text: string, draft: HostDraft, source: string = "standard input"): void {
  const understood = new Set<number>();
  const note = (lines: ReadonlySet<number>): void => {
    for (const line of lines) understood.add(line);
  };
  readLines(text, source, draft, understood);
  note(addCpuInfo(text, source, draft));
  note(addPciText(text, source, draft));

  const intel = readIntelDebugfs(text);
  addIntelUnits(intel.units, source, draft);
  note(intel.lines);
  const amd = readAmdDebugfs(text);
  addAmdDebugfs(amd, source, draft);
  if (amd.queue !== null || amd.registers.length > 0) {
    // Neither file says whose it is: it is the only unit's, or nobody's that is known.
    const units = draft.units.filter(({ vendor }) => vendor === "amd");
    const name = units.length === 1 ? units[0]!.name : namelessUnit.amd;
    addAmdUnit(amd, draft.amdviUnit(name), source);
  }
  note(amd.lines);

  const table = readInterruptTable(text);
  addInterruptTable(table, source, draft);
  note(table.lines);
  const { dumps, lines } = readIrqDumps(text);
  for (const dump of dumps) {
    if (dump.irq !== null) addIrqDump(dump, dump.irq, lineOf(source, dump.line), draft);
  }
  note(lines);
  note(addVectorMatrix(text, source, draft));
  note(addKernelLog(text, source, draft));

  const { unread, first } = unreadLines(text, understood);
  if (understood.size === 0) {
    if (unread === 0) throw new InputError(`${source}: it is empty`);
    throw new InputError(
      `${source}: line ${first}: expected ir_translation_struct, iommu_regset, invalidation_queue, irqtbl, devtbl, ` +
        "irq/irqs, lspci -vv, /proc/interrupts, /proc/cpuinfo or a kernel log",
    );
  }
  settleHost(draft);
  addSources(draft);
  if (unread > 0) {
    draft.missing.push({
      what: `${unread} lines of ${source}, line ${first} the first`,
      why: "they were not understood",
      needs: null,
    });
  }
}

const commandLine = /^\s*(BOOT_IMAGE=\S.*)$/;

/** Lines that say something by themselves. */
function readLines(text: string, source: string, draft: HostDraft, understood: Set<number>): void {
  let at = 0;
  for (const [i, line] of text
    .slice(0, 1 << 20)
    .split("\n")
    .entries()) {
    at = i + 1;
    const release = releaseOf(line.slice(0, 1024).trim());
    if (release !== undefined) draft.system.release ??= fact(release, lineOf(source, at));
    const words = commandLine.exec(line.slice(0, 8192))?.[1];
    if (words !== undefined) draft.system.commandLine ??= fact(words.trim(), lineOf(source, at));
    if (release !== undefined || words !== undefined) understood.add(at);
  }
}

/** Lines that are not empty and that nobody understood, and the first of them. */
function unreadLines(text: string, understood: ReadonlySet<number>): { unread: number; first: number } {
  let unread = 0;
  let first = 1;
  let number = 0;
  for (let at = 0; at <= text.length;) {
    let end = text.indexOf("\n", at);
    if (end < 0) end = text.length;
    number++;
    if (!understood.has(number) && text.slice(at, Math.min(end, at + 256)).trim() !== "") {
      if (unread === 0) first = number;
      unread++;
    }
    at = end + 1;
  }
  return { unread, first };
}
