import { readCpuInfo } from "../text/cpuinfo.ts";
import { cpusOfList } from "../text/cpu-set.ts";
import { type InterruptTable, readInterruptTable } from "../text/proc-interrupts.ts";
import type { HostDraft } from "./draft.ts";
import { fact } from "./fact.ts";
import { type FileReader, lineOf } from "./file-reader.ts";

const online = "sys/devices/system/cpu/online";
const present = "sys/devices/system/cpu/present";
const interrupts = "proc/interrupts";

/** The kernel, its command line and modules, and the processors. */
export function readSystem(files: FileReader, draft: HostDraft): void {
  const { system } = draft;
  const release = files.value("proc/sys/kernel/osrelease", "the kernel's release");
  if (release !== undefined) system.release ??= fact(release, { source: "proc/sys/kernel/osrelease" });
  for (const source of ["proc/version", "sos_commands/kernel/uname_-a"]) {
    const named = releaseOf(files.value(source, "the kernel's release"));
    if (named !== undefined) system.release ??= fact(named, { source });
  }
  const commandLine = files.value("proc/cmdline", "the kernel's command line");
  if (commandLine !== undefined) system.commandLine ??= fact(commandLine, { source: "proc/cmdline" });
  const modules = files.text("proc/modules", "the list of modules");
  if (modules !== undefined) {
    const names = modules.split("\n").map((line) => line.slice(0, 256).split(/\s/, 1)[0]!);
    system.modules ??= fact(new Set(names.filter((name) => name !== "")), { source: "proc/modules" });
  }
  readParameters(files, draft);
  readProcessors(files, draft);
}

/** The release in the text of /proc/version or of `uname -a`. */
export function releaseOf(text: string | undefined): string | undefined {
  return /^Linux (?:version |\S{1,255} )(\d+\.\d+\S{0,120})/.exec(text ?? "")?.[1];
}

/** Modules whose parameters have to do with interrupts of devices; a module that is built in has them too. */
const parameterModules = [
  "kvm",
  "kvm_amd",
  "kvm_intel",
  "vfio",
  "vfio_iommu_type1",
  "vfio_pci",
  "vfio_pci_core",
  "iommufd",
  "irqbypass",
  "nvme",
  "pci_hyperv",
  "vmd",
];

function readParameters(files: FileReader, draft: HostDraft): void {
  for (const module of parameterModules) {
    const folder = `sys/module/${module}/parameters`;
    for (const name of files.names(folder)) {
      const source = `${folder}/${name}`;
      const value = files.value(source, "parameters of modules");
      const key = `${module}.${name}`;
      if (value !== undefined && !draft.system.parameters.has(key)) {
        draft.system.parameters.set(key, fact(value, { source }));
      }
    }
  }
}

function readProcessors(files: FileReader, draft: HostDraft): void {
  const running = cpusOfList(files.value(online, "processors that are online") ?? "?");
  const all = cpusOfList(files.value(present, "processors that are present") ?? "?");
  for (const cpu of all ?? []) draft.processor(cpu);
  for (const cpu of running ?? []) draft.processor(cpu);
  if (running !== undefined) {
    const origin = { source: online };
    for (const processor of draft.processors) {
      processor.online ??= fact(running.includes(processor.cpu), origin);
    }
  }
  const text = files.text("proc/cpuinfo", "/proc/cpuinfo");
  if (text !== undefined) addCpuInfo(text, "proc/cpuinfo", draft);
}

/** Adds what /proc/cpuinfo says; the lines that were read. */
export function addCpuInfo(text: string, source: string, draft: HostDraft): ReadonlySet<number> {
  const info = readCpuInfo(text);
  const { system } = draft;
  if (info.vendor !== null) system.vendor ??= fact(info.vendor, lineOf(source, info.vendorLine));
  if (info.flags !== null) system.flags ??= fact(info.flags, lineOf(source, info.flagsLine));
  for (const { cpu, apicId, line } of info.processors) {
    const processor = draft.processor(cpu);
    processor.online ??= fact(true, lineOf(source, line));
    if (apicId !== null) processor.apicId ??= fact(apicId, lineOf(source, line));
  }
  return info.lines;
}

/** Adds /proc/interrupts. Processors have been read before. */
export function readInterrupts(files: FileReader, draft: HostDraft): void {
  const text = files.text(interrupts, "/proc/interrupts");
  if (text !== undefined) addInterruptTable(readInterruptTable(text), interrupts, draft);
}

export function addInterruptTable(table: InterruptTable, source: string, draft: HostDraft): void {
  const [heading = 1] = table.lines;
  for (const cpu of table.cpus) draft.processor(cpu).online ??= fact(true, lineOf(source, heading));
  const spread = columnsOf(table.cpus, draft);
  for (const row of table.interrupts) {
    const origin = lineOf(source, row.line);
    const interrupt = draft.interrupt(row.irq);
    if (row.counts !== null) interrupt.counts ??= fact(spread(row.counts), origin);
    if (row.chip !== null) {
      interrupt.chip ??= fact(row.chip, origin);
      interrupt.actions ??= fact(row.actions, origin);
    }
    if (row.hwirq !== null) interrupt.hwirq ??= fact(row.hwirq, origin);
    if (row.flow !== null) interrupt.flow ??= fact(row.flow, origin);
  }
  for (const { label, counts, line } of table.counters) {
    if (draft.system.counters.has(label)) continue;
    const values = counts.length === table.cpus.length ? spread(counts) : counts;
    draft.system.counters.set(label, fact(values, lineOf(source, line)));
  }
}

/**
 * Puts a row's numbers in the order of the host's processors. A processor that is offline has no column: the kernel
 * does not print what it counted there, and 0 stands in its place.
 */
function columnsOf(
  cpus: readonly number[],
  draft: HostDraft,
): (counts: readonly number[]) => readonly number[] {
  const columns = new Map(cpus.map((cpu, column) => [cpu, column]));
  const order = draft.processors.map(({ cpu }) => columns.get(cpu) ?? -1);
  const same = order.length === cpus.length && order.every((column, i) => column === i);
  return (counts) => (same ? counts : order.map((column) => (column < 0 ? 0 : counts[column]!)));
}
