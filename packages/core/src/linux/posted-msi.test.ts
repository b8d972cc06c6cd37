import { describe, expect, test } from "vitest";
import { decode } from "../spec/codec.ts";
import { irtePosted } from "../spec/vtd/irte.ts";
import { PostedDescriptor } from "../hardware/posting/descriptor.ts";
import { vtdQemu111 } from "../hardware/vtd/profile.ts";
import { readEntry } from "./intel-ir/live-entry.ts";
import { irDataOf } from "./intel-ir/reconfigure.ts";
import { freeIrq, irqRetrigger, irqSetAffinity, irqSetVcpuAffinity, requestIrq } from "./irq/manage.ts";
import { fireTimers } from "./irq/vector-cleanup.ts";
import { vectorConfig, vectorCounts } from "./irq/vector.ts";
import { vectors } from "./irq/vectors.ts";
import type { Kernel } from "./kernel.ts";
import { pciAllocIrqVectors, pciFreeIrqVectors, pciIrqVector, pciRemoveMsiDomain } from "./pci/msi.ts";
import { enableIrX2apic } from "./remapping.ts";
import { type HostOptions, host, settle, withMsix } from "./testbed.ts";

const commandLine = "intremap=posted_msi";

type OnInterrupt = (k: Kernel, vector: number) => void;

function machineWith(count: number, options: HostOptions = {}, onInterrupt: OnInterrupt = () => {}) {
  const machine = host({ commandLine, ...options });
  const { k } = machine;
  enableIrX2apic(k);
  const before = vectorCounts(k);
  const { fn, device } = machine.plug(0x0300, withMsix(count));
  pciAllocIrqVectors(k, device, count, count, "msix");
  const irqs = Array.from({ length: count }, (_, i) => pciIrqVector(k, device, i));
  const taken: { vector: number; cpu: number }[] = [];
  for (const [vector, irq] of irqs.entries()) {
    requestIrq(
      k,
      irq,
      (kernel) => {
        taken.push({ vector, cpu: kernel.cpu.number });
        onInterrupt(kernel, vector);
        return "handled";
      },
      `nic-${vector}`,
      fn,
    );
    irqSetAffinity(k, irq, [0]);
  }
  fireTimers(k);
  settle(k, machine.cpus);
  const level = (irq: number) => k.irqs.descriptors.get(irq)!.data.parent!;
  const entry = (irq: number) => {
    const { iommu, index } = irDataOf(level(irq)).irq2iommu;
    return decode(irtePosted, readEntry(k, iommu, index));
  };
  const notifications = (): number[] =>
    k.cpus.map((_, cpu) => k.irqs.systemVectors[vectors.POSTED_MSI_NOTIFICATION]!.counts[cpu] ?? 0);
  const remove = (): void => {
    for (const irq of irqs) freeIrq(k, irq, fn);
    pciFreeIrqVectors(k, device);
    pciRemoveMsiDomain(k, device);
    expect(vectorCounts(k)).toEqual(before);
  };
  return { ...machine, fn, irqs, taken, level, entry, notifications, remove };
}

describe("posted MSI", () => {
  test.each<[string, HostOptions, string]>([
    ["with intremap=posted_msi", {}, "INTEL-IR-POST"],
    ["not without it", { commandLine: "" }, "INTEL-IR"],
    ["not with nopost, which beats it", { commandLine: "intremap=posted_msi,nopost" }, "INTEL-IR"],
    ["not where units cannot post", { profile: vtdQemu111 }, "INTEL-IR"],
    ["not before 6.10", { release: "5.4" }, "INTEL-IR"],
  ])("is how functions' entries are made %s", (_, options, chip) => {
    const { level, irqs, k } = machineWith(1, options);
    expect(level(irqs[0]!).chip!.name).toBe(chip);
    expect(k.postedMsi === null).toBe(chip === "INTEL-IR");
  });

  test("posts the interrupt's own vector to the descriptor of its CPU", () => {
    const { k, irqs, entry, level } = machineWith(1);
    irqSetAffinity(k, irqs[0]!, [2]);
    const { vector } = vectorConfig(level(irqs[0]!));
    const descriptor = k.postedMsi!.descriptors[2]!;
    expect(entry(irqs[0]!)).toMatchObject({
      p: 1,
      im: 1,
      urg: 0,
      vv: vector,
      pda: descriptor.address,
      svt: 1,
    });
    expect(descriptor.read()).toEqual({ pir: 0n, on: 0, sn: 0, nv: 0xeb, ndst: 2 });
  });

  test("serves a burst with one notification and one EOI", () => {
    const { k, fn, cpus, taken, notifications } = machineWith(10);
    for (let vector = 0; vector < 10; vector++) fn.signal(vector);
    expect(settle(k, cpus)).toBe(1);
    expect(taken).toHaveLength(10);
    expect(notifications()).toEqual([1, 0, 0, 0]);
    expect(k.postedMsi!.dispatched).toEqual([10, 0, 0, 0]);
    expect(cpus[0]!.localApic.priority()).toBe(0);
    expect(k.postedMsi!.descriptors[0]!.on).toBe(0);
  });

  test("looks three times, the last time when ON is clear, so that a device that goes on is heard again", () => {
    let left = 5;
    const { k, fn, cpus, taken, notifications } = machineWith(1, {}, () => {
      if (left-- > 0) fn.signal(0);
    });
    fn.signal(0);
    settle(k, cpus);
    // The interrupt that the third look's handler raises finds ON clear, and notifies.
    expect(taken).toHaveLength(6);
    expect(notifications()).toEqual([2, 0, 0, 0]);
  });

  test("loses nothing that is posted when an interrupt moves", () => {
    const { k, fn, irqs, cpus, taken } = machineWith(2);
    fn.signal(0);
    irqSetAffinity(k, irqs[0]!, [3]);
    // The old CPU's timer comes before its notification: the old vector is not freed yet.
    fireTimers(k);
    fn.signal(0);
    settle(k, cpus);
    expect(taken.toSorted((one, other) => one.cpu - other.cpu)).toEqual([
      { vector: 0, cpu: 0 },
      { vector: 0, cpu: 3 },
    ]);
    fireTimers(k);
    settle(k, cpus);
    expect(k.irqs.vectors!.cleanup[0]!.size).toBe(0);
  });

  test("ends an interrupt that was sent again to its own vector", () => {
    const { k, irqs, cpus, taken, notifications } = machineWith(1);
    expect(irqRetrigger(k, irqs[0]!)).toBe(true);
    settle(k, cpus);
    expect(taken).toHaveLength(1);
    expect(notifications()).toEqual([0, 0, 0, 0]);
    expect(cpus[0]!.localApic.priority()).toBe(0);
  });

  test("gives way to a vCPU, and comes back to the CPU that the interrupt has moved to", () => {
    const { k, memory, fn, irqs, cpus, taken, entry, remove } = machineWith(1);
    const guest = new PostedDescriptor(memory, 0x3000_0000);
    irqSetVcpuAffinity(k, irqs[0]!, { vendor: "intel", descriptor: guest.address, vector: 0x51 });
    irqSetAffinity(k, irqs[0]!, [1]);
    fn.signal(0);
    settle(k, cpus);
    expect(guest.read().pir).toBe(1n << 0x51n);
    expect(taken).toEqual([]);
    irqSetVcpuAffinity(k, irqs[0]!, null);
    expect(entry(irqs[0]!)).toMatchObject({ im: 1, pda: k.postedMsi!.descriptors[1]!.address });
    fn.signal(0);
    settle(k, cpus);
    expect(taken).toEqual([{ vector: 0, cpu: 1 }]);
    fireTimers(k);
    settle(k, cpus);
    remove();
  });

  test("puts the id into bits 15:8 of NDST in xAPIC mode", () => {
    const machine = host({ commandLine: `${commandLine} nox2apic`, cpus: 3 });
    enableIrX2apic(machine.k);
    expect(machine.k.x2apic).toBe(false);
    expect(machine.k.postedMsi!.descriptors.map(({ ndst }) => ndst)).toEqual([0, 0x100, 0x200]);
  });
});
