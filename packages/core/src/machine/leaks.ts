import { word, strideShift } from "../hardware/lapic/state.ts";
import { amdRemapping } from "../linux/amd-ir/remapping.ts";
import { intelRemapping } from "../linux/intel-ir/remapping-state.ts";
import { vectorCounts } from "../linux/irq/vector.ts";
import type { Kernel } from "../linux/kernel.ts";
import type { ThreadState } from "../linux/posting/words.ts";
import { presentEntries } from "./entries.ts";
import type { Hardware } from "./hardware.ts";
import type { Machine } from "./machine.ts";

/** What a kernel has in hand, each by its name in the plural. */
type Holdings = Readonly<Record<string, number>>;

/**
 * What a kernel had in hand right after its boot: the units' own interrupts, and with kdump the entries of the kernel
 * before, which stay taken until the next reset because their devices may go on sending.
 */
export class Baseline {
  readonly holdings: Holdings;
  /** Addresses of the entries that were present in memory. */
  readonly present: ReadonlySet<number>;

  constructor(k: Kernel, hardware: Hardware) {
    this.holdings = holdingsOf(k);
    this.present = new Set(presentEntries(hardware).map(({ address }) => address));
  }
}

/** What is left on a machine whose every owner has given everything back, or gone that nobody may take: a sentence each. */
export function leaksOf(machine: Machine): string[] {
  const { kernel: k, hardware, baseline } = machine;
  const now = holdingsOf(k);
  const leaks = Object.entries(now).flatMap(([name, count]) => {
    const more = count - (baseline?.holdings[name] ?? 0);
    if (more === 0) return [];
    return more > 0 ? `${more} ${name} left` : `${-more} ${name} gone that were there after boot`;
  });
  for (const { address, requester } of presentEntries(hardware)) {
    if (baseline?.present.has(address)) continue;
    leaks.push(
      `the entry at 0x${address.toString(16)}, of ${requester}, is present, and no interrupt has it`,
    );
  }
  for (const { name, pci } of machine.devices.values()) {
    if (pci.msi !== null) leaks.push(`${name} has its messages still`);
  }
  return [...leaks, ...runningOn(machine), ...listedIn(machine.threadStates), ...unendedOn(hardware)];
}

function holdingsOf(k: Kernel): Holdings {
  const { irqs, irqBypass, vfioDevices, pages } = k;
  const descriptors = [...irqs.descriptors.values()];
  const { allocated, reserved } = vectorCounts(k);
  const { table, cleanup } = irqs.vectors!;
  return {
    "table entries": entriesOf(k),
    vectors: allocated,
    "promised vectors": reserved,
    "places in vector_irq": table.flat().filter((descriptor) => descriptor !== null).length,
    "moved vectors": cleanup.reduce((sum, { size }) => sum + size, 0),
    handlers: descriptors.filter(({ action }) => action !== null).length,
    "irq descriptors": irqs.descriptors.size,
    "mapped interrupts": irqs.domains.reduce((sum, { mapped }) => sum + mapped, 0),
    "irqbypass producers": irqBypass.producers.size,
    "irqbypass consumers": irqBypass.consumers.size,
    "VFIO devices": vfioDevices.size,
    "virtual machines": k.kvm?.running ?? 0,
    "allocations of pages": pages.allocations - keptTables(k),
  };
}

function entriesOf(k: Kernel): number {
  if (k.remapping === null) return 0;
  return k.remapping.vendor === "intel" ? intelRemapping(k).entries : amdRemapping(k).allocatedEntries;
}

/** The AMD driver gives a device its table with its first interrupt, and never takes it back: the DTE points to it. */
function keptTables(k: Kernel): number {
  if (k.remapping?.vendor !== "amd") return 0;
  const tables = new Set();
  for (const { irqTables } of amdRemapping(k).segments)
    for (const table of irqTables.values()) tables.add(table);
  return tables.size;
}

function runningOn({ hardware, processors }: Machine): string[] {
  return hardware.cpus
    .filter(({ number }) => processors.runningOn(number) !== null)
    .map(({ number }) => `a vCPU has CPU ${number}`);
}

/** Wakeup lists outlive the vCPUs on them: what they were is asked of the words, which are there when KVM has gone. */
function listedIn(states: Iterable<ThreadState>): string[] {
  const leaks: string[] = [];
  for (const state of states) {
    for (let cpu = 0; cpu < state.shape.cpus; cpu++) {
      for (let vcpu = state.nextOnList(cpu, -1); vcpu >= 0; vcpu = state.nextOnList(cpu, vcpu)) {
        leaks.push(`vCPU slot ${vcpu} stands on the wakeup list of CPU ${cpu}`);
      }
    }
    if (state.listed !== 0) leaks.push(`${state.listed} places on wakeup lists left`);
  }
  return leaks;
}

const vectorWords = 8;

/** An interrupt that was taken and never ended keeps those below it out for good. */
function unendedOn({ apics, cpus }: Hardware): string[] {
  return cpus.flatMap(({ number }) => {
    const at = (number << strideShift) + word.isr;
    const inService = apics.state.subarray(at, at + vectorWords).some((bits) => bits !== 0);
    return inService ? `CPU ${number} has an interrupt in service` : [];
  });
}
