import { cpusOfList, cpusOfMask } from "../text/cpu-set.ts";
import { type IrqDump, readIrqDumps } from "../text/irq-debugfs.ts";
import { pciAddressOf } from "../text/pci-address.ts";
import { actionsOf } from "../text/proc-interrupts.ts";
import { readVectorMatrix } from "../text/vector-matrix.ts";
import { type HostDraft, learn } from "./draft.ts";
import { type Fact, type Origin, fact } from "./fact.ts";
import { type FileReader, lineOf } from "./file-reader.ts";

/** Adds what sysfs, procfs and debugfs say of each interrupt, as far as it is not known already. */
export function readIrqs(files: FileReader, draft: HostDraft): void {
  readDebugfs(files, draft);
  for (const irq of files.numbers("sys/kernel/irq")) addAttributes(files, draft, irq);
  for (const irq of files.numbers("proc/irq")) {
    // The folder is there for each descriptor; one that nobody knows otherwise has nothing but its affinity.
    const interrupt = draft.interrupt(irq);
    if (interrupt.affinity === undefined) {
      learn(interrupt, "affinity", cpusAt(files, `proc/irq/${irq}/smp_affinity`));
    }
    if (interrupt.effective === undefined) {
      learn(interrupt, "effective", cpusAt(files, `proc/irq/${irq}/effective_affinity`));
    }
  }
}

function cpusAt(files: FileReader, path: string): Fact<number[]> | undefined {
  for (const [source, read] of [
    [`${path}_list`, cpusOfList],
    [path, cpusOfMask],
  ] as const) {
    const text = files.value(source, "affinity of interrupts");
    const cpus = text === undefined ? undefined : read(text);
    if (cpus !== undefined) return fact(cpus, { source });
  }
  return undefined;
}

function addAttributes(files: FileReader, draft: HostDraft, irq: number): void {
  const interrupt = draft.interrupt(irq);
  const attribute = (name: string): Fact<string> | undefined => {
    const source = `sys/kernel/irq/${irq}/${name}`;
    const value = files.value(source, "interrupts in sysfs");
    return value === undefined ? undefined : fact(value, { source });
  };
  // What was read from /proc/interrupts need not be read again.
  if (interrupt.chip === undefined) learn(interrupt, "chip", attribute("chip_name"));
  if (interrupt.flow === undefined) learn(interrupt, "flow", attribute("name"));
  if (interrupt.hwirq === undefined) {
    const hwirq = attribute("hwirq");
    if (hwirq !== undefined && /^\d{1,20}$/.test(hwirq.value)) {
      interrupt.hwirq = fact(BigInt(hwirq.value), hwirq.origin);
    }
  }
  if (interrupt.actions === undefined) {
    const source = `sys/kernel/irq/${irq}/actions`;
    const text = files.text(source, "interrupts in sysfs", 65_536);
    if (text !== undefined) interrupt.actions = fact(actionsOf(text), { source });
  }
}

const debugfs = "sys/kernel/debug/irq/irqs";
const matrix = "sys/kernel/debug/irq/domains/VECTOR";

function readDebugfs(files: FileReader, draft: HostDraft): void {
  for (const irq of files.numbers(debugfs)) {
    const source = `${debugfs}/${irq}`;
    const [dump] = readIrqDumps(files.text(source, "interrupts in debugfs", 65_536) ?? "").dumps;
    if (dump !== undefined) addIrqDump(dump, irq, { source }, draft);
  }
  const text = files.text(matrix, "interrupts in debugfs");
  if (text !== undefined) addVectorMatrix(text, matrix, draft);
}

/** Adds how many vectors each processor has left; the lines that were understood. */
export function addVectorMatrix(text: string, source: string, draft: HostDraft): ReadonlySet<number> {
  const { processors, lines } = readVectorMatrix(text);
  for (const { cpu, budget, line } of processors) {
    draft.processor(cpu).vectors ??= fact(budget, lineOf(source, line));
  }
  return lines;
}

/** Adds what debugfs says of an interrupt. */
export function addIrqDump(dump: IrqDump, irq: number, origin: Origin, draft: HostDraft): void {
  const interrupt = draft.interrupt(irq);
  const [outermost] = dump.levels;
  if (outermost !== undefined) {
    interrupt.domains ??= fact(dump.levels, origin);
    interrupt.chip ??= fact(outermost.chip, origin);
    interrupt.hwirq ??= fact(outermost.hwirq, origin);
  }
  const affinity = dump.affinity === null ? undefined : cpusOfList(dump.affinity);
  const effective = dump.effective === null ? undefined : cpusOfList(dump.effective);
  if (affinity !== undefined) interrupt.affinity ??= fact(affinity, origin);
  if (effective !== undefined) interrupt.effective ??= fact(effective, origin);
  if (dump.vector !== null) interrupt.vector ??= fact(dump.vector, origin);
  if (dump.message !== null) interrupt.message ??= fact(dump.message, origin);
  const address = pciAddressOf(dump.device ?? "");
  if (address !== undefined && outermost !== undefined && /MSI/.test(outermost.chip)) {
    // A chip that does not name the function, as VMD's: which of its messages it is, is not known.
    if (!/^(?:IR-)?PCI-MSI/.test(outermost.chip)) {
      interrupt.from ??= fact({ kind: "pci", ...address, index: null }, origin);
    }
  }
  if (dump.state !== null) {
    interrupt.state ??= fact(dump.state, origin);
    // Bits of the state moved between releases; their names did not. A state without any name was cut off.
    if (dump.stateNames.size > 0) {
      interrupt.started ??= fact(dump.stateNames.has("IRQD_IRQ_STARTED"), origin);
      interrupt.masked ??= fact(dump.stateNames.has("IRQD_IRQ_MASKED"), origin);
    }
  }
}
