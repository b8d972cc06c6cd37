import { describe, expect, test } from "vitest";
import { IoApic } from "../hardware/ioapic.ts";
import { LocalApic } from "../hardware/lapic/local-apic.ts";
import { ioapicRegister, ioapicRte, ioapicRteRemappable } from "../spec/apic/ioapic.ts";
import { decode } from "../spec/codec.ts";
import { irteRemapped } from "../spec/vtd/irte.ts";
import { freeIrq, irqSetAffinity, requestIrq } from "./irq/manage.ts";
import { vectorConfig, vectorCounts } from "./irq/vector.ts";
import { readEntry } from "./intel-ir/live-entry.ts";
import { irDataOf } from "./intel-ir/reconfigure.ts";
import { intelRemapping } from "./intel-ir/remapping-state.ts";
import { type IoApicDriver, mpIrqdomainCreate, mpMapPinToIrq, mpUnmapIrq } from "./io-apic.ts";
import { restoreIoapicEntries, saveIoapicEntries } from "./io-apic.ts";
import { LocalCpu } from "./local-cpu.ts";
import { enableIrX2apic } from "./remapping.ts";
import { type HostOptions, host, settle } from "./testbed.ts";

function boot(options: HostOptions & { version?: number } = {}) {
  const { version = 0x20, vendor = "intel" } = options;
  const machine = host(options);
  const { k, fabric } = machine;
  const unit = { intel: machine.vtd, amd: machine.amdvi, none: undefined }[vendor];
  const requester = vendor === "amd" ? 0x00a0 : 0xf0f8;
  const hardware = new IoApic({ fabric, requester, version, ...(unit && { unit }) });
  const onEoiBroadcast = (vector: number): void => hardware.eoiBroadcast(vector);
  const cpus = k.cpus.map(
    ({ number }) => new LocalCpu(number, new LocalApic(fabric, number, { onEoiBroadcast })),
  );
  enableIrX2apic(k);
  return { ...machine, cpus, hardware, ioapic: mpIrqdomainCreate(k, 2, hardware, 0) };
}

/** Maps and requests a pin; the handler silences the device, which is what `quiet` does. */
function pinOf(
  { k }: ReturnType<typeof boot>,
  ioapic: IoApicDriver,
  pin: number,
  mode: { level?: boolean; activeLow?: boolean } = {},
  quiet: () => void = () => {},
) {
  const irq = mpMapPinToIrq(k, ioapic, pin, mode);
  const taken: number[] = [];
  const handler = (kernel: typeof k): "handled" => {
    taken.push(kernel.cpu.number);
    quiet();
    return "handled";
  };
  expect(requestIrq(k, irq, handler, "pin", mode)).toBe(0);
  return { irq, taken, data: k.irqs.descriptors.get(irq)!.data };
}

describe("a pin behind remapping", () => {
  test("sends its entry's index, and has the pin where the vector would be", () => {
    const machine = boot();
    const { data } = pinOf(machine, machine.ioapic, 9);
    const { index, iommu } = irDataOf(data.parent!).irq2iommu;
    expect(decode(ioapicRteRemappable, machine.hardware.entry(9))).toMatchObject({
      format: 1,
      index,
      v: 9,
      dlm: 0,
      tm: 0,
      mask: 0,
    });
    expect(decode(irteRemapped, readEntry(machine.k, iommu, index))).toMatchObject({
      sid: 0xf0f8,
      sq: 0,
      svt: 1,
      tm: 0,
      v: vectorConfig(data).vector,
    });
    expect(data.domain.name).toBe("IO-APIC-2");
    expect(data.chip!.name).toBe("IR-IO-APIC");
    expect([data.irq, data.hwirq]).toEqual([9, 9]);
  });

  test("has a domain of another name in 5.4", () => {
    expect(boot({ release: "5.4" }).ioapic.domain!.name).toBe("IO-APIC-IR-2");
  });

  test("interrupts on each edge", () => {
    const machine = boot();
    const { taken } = pinOf(machine, machine.ioapic, 4);
    for (let i = 0; i < 3; i++) {
      machine.hardware.pulse(4);
      settle(machine.k, machine.cpus);
    }
    expect(taken).toHaveLength(3);
    expect(machine.violations).toEqual([]);
  });

  test.each([
    ["the EOI register", 0x20],
    ["an edge in between, where there is no such register", 0x11],
  ])("interrupts for as long as its level lasts, through %s", (_, version) => {
    const machine = boot({ version });
    let devices = 3;
    const { taken, data } = pinOf(machine, machine.ioapic, 20, { level: true, activeLow: true }, () => {
      if (--devices === 0) machine.hardware.setPin(20, 1);
    });
    machine.hardware.setPin(20, 0);
    settle(machine.k, machine.cpus);
    expect(taken).toHaveLength(3);
    expect(decode(ioapicRteRemappable, machine.hardware.entry(20))).toMatchObject({
      tm: 1,
      pol: 1,
      rirr: 0,
      mask: 0,
    });
    const { index, iommu } = irDataOf(data.parent!).irq2iommu;
    expect(decode(irteRemapped, readEntry(machine.k, iommu, index))).toMatchObject({ tm: 0 });
  });

  test("moves without a change to its redirection entry", () => {
    const machine = boot();
    const { irq, taken } = pinOf(machine, machine.ioapic, 4);
    const before = machine.hardware.entry(4);
    expect(irqSetAffinity(machine.k, irq, [3])).toBe(0);
    expect(machine.hardware.entry(4)).toBe(before);
    machine.hardware.pulse(4);
    settle(machine.k, machine.cpus);
    expect(taken).toEqual([3]);
  });

  test("is given back", () => {
    const machine = boot();
    const before = vectorCounts(machine.k);
    const mode = {};
    const { irq } = pinOf(machine, machine.ioapic, 4, mode);
    freeIrq(machine.k, irq, mode);
    mpUnmapIrq(machine.k, irq);
    expect(intelRemapping(machine.k).entries).toBe(0);
    expect(vectorCounts(machine.k)).toEqual(before);
    expect(decode(ioapicRteRemappable, machine.hardware.entry(4))).toMatchObject({ format: 0, mask: 1 });
  });

  test("faults after a resume until its entry is restored", () => {
    const machine = boot();
    const { taken } = pinOf(machine, machine.ioapic, 4);
    saveIoapicEntries(machine.k, machine.ioapic);
    // Firmware leaves an entry of its own: vector 34h to APIC 0, in compatibility format.
    machine.hardware.writeRegister(ioapicRegister.table + 9, 0);
    machine.hardware.writeRegister(ioapicRegister.table + 8, 0x34);
    machine.hardware.pulse(4);
    settle(machine.k, machine.cpus);
    expect(taken).toEqual([]);
    expect(machine.vtd.fault?.name).toBe("compatibilityBlocked");
    restoreIoapicEntries(machine.k, machine.ioapic);
    machine.hardware.pulse(4);
    settle(machine.k, machine.cpus);
    expect(taken).toHaveLength(1);
  });
});

describe("a pin without remapping", () => {
  test("sends its vector straight to a CPU, and is written anew when it moves", () => {
    const machine = boot({ vendor: "none" });
    const { irq, taken, data } = pinOf(machine, machine.ioapic, 4);
    expect(data.chip!.name).toBe("IO-APIC");
    irqSetAffinity(machine.k, irq, [2]);
    const { vector } = vectorConfig(data);
    expect(decode(ioapicRte, machine.hardware.entry(4))).toMatchObject({ format: 0, v: vector, dst: 2 });
    machine.hardware.pulse(4);
    settle(machine.k, machine.cpus);
    expect(taken).toEqual([2]);
  });

  test("hears of the end of a level by the local APIC's broadcast", () => {
    const machine = boot({ vendor: "none" });
    let devices = 2;
    const { taken } = pinOf(machine, machine.ioapic, 20, { level: true }, () => {
      if (--devices === 0) machine.hardware.setPin(20, 0);
    });
    machine.hardware.setPin(20, 1);
    settle(machine.k, machine.cpus);
    expect(taken).toHaveLength(2);
  });
});

test("a pin that an I/O APIC does not have cannot be mapped", () => {
  const { k, ioapic } = boot();
  expect(mpMapPinToIrq(k, ioapic, 24)).toBeLessThan(0);
});
