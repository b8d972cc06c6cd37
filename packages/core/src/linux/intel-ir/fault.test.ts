import { describe, expect, test } from "vitest";
import { Outcome } from "../../hardware/delivery.ts";
import { decode, encode } from "../../spec/codec.ts";
import { irtePosted } from "../../spec/vtd/irte.ts";
import { faultStatus, registers } from "../../spec/vtd/registers.ts";
import type { Release } from "../kernel.ts";
import { irqSetAffinity } from "../irq/manage.ts";
import { enableIrX2apic } from "../remapping.ts";
import { host, settle } from "../testbed.ts";
import { store } from "./cached-memory.ts";
import { intelRemapping } from "./remapping-state.ts";

function boot(release: Release = "7.0") {
  const machine = host({ release });
  enableIrX2apic(machine.k);
  machine.k.log.lines.length = 0;
  const iommu = intelRemapping(machine.k).units[0]!;
  /** Lets CPUs take what is pending. @returns what the kernel has printed since. */
  const printed = (): string[] => {
    settle(machine.k, machine.cpus);
    return machine.k.log.lines.splice(0).map(({ text }) => text);
  };
  return { ...machine, iommu, printed };
}

/** 65:00.0, and the address of its request for entry 25h. */
const device = 0x6500;
const notPresent = 0xfee0_04b8 | 0;
const compatibility = 0xfee0_0000 | 0;

describe("a blocked interrupt", () => {
  test.each<[Release, string]>([
    [
      "5.4",
      "DMAR: [INTR-REMAP] Request device [65:00.0] fault index 25 [fault reason 34] Present field in the IRTE entry is clear",
    ],
    [
      "6.12",
      "DMAR: [INTR-REMAP] Request device [65:00.0] fault index 0x25 [fault reason 0x22] Present field in the IRTE entry is clear",
    ],
    [
      "7.0",
      "DMAR: [INTR-REMAP] Request device [65:00.0] fault index 0x25 [fault reason 0x22] Present field in the IRTE entry is clear",
    ],
  ])("is printed as %s prints it", (release, line) => {
    const { vtd, printed } = boot(release);
    expect(vtd.interrupt(notPresent, 0, device)).toBe(Outcome.blocked);
    expect(printed()).toEqual(["DMAR: DRHD: handling fault status reg 2", line]);
  });

  test("is printed with an index that says nothing, where there is none", () => {
    const { vtd, printed } = boot();
    vtd.interrupt(compatibility, 0x41, 0xf0f8);
    expect(printed()[1]).toBe(
      "DMAR: [INTR-REMAP] Request device [f0:1f.0] fault index 0x0 [fault reason 0x25] Blocked a compatibility format interrupt request",
    );
  });

  test.each<[Release, string]>([
    [
      "5.4",
      "DMAR: [DMA Write] Request device [65:00.0] PASID ffffffff fault addr 25000000000000 [fault reason 40] Unknown",
    ],
    [
      "7.0",
      "DMAR: [DMA Write NO_PASID] Request device [65:00.0] fault addr 0x25000000000000 [fault reason 0x28] Unknown",
    ],
  ])("of a later reason is taken for DMA by %s", (release, line) => {
    const { k, vtd, iommu, printed } = boot(release);
    k.memory.write32(0x2000_0020, 0xff00_0000 | 0);
    const entry = encode(irtePosted, { p: 1, im: 1, pda: 0x2000_0000 });
    store(k, iommu.table!.addressOf(0x25), entry, 128);
    vtd.interrupt(notPresent, 0, device);
    expect(printed()[1]).toBe(line);
  });

  test("leaves its record free for the next", () => {
    const { vtd, printed } = boot();
    for (let i = 0; i < 20; i++) {
      vtd.interrupt(notPresent, 0, device);
      printed();
    }
    const status = decode(faultStatus, vtd.read(registers.FSTS.offset, 32));
    expect(status).toMatchObject({ ppf: 0, pfo: 0 });
  });
});

describe("many blocked interrupts", () => {
  test("before the handler runs are printed together, and what found no room is not", () => {
    const { vtd, printed } = boot();
    for (let i = 0; i < 20; i++) vtd.interrupt(notPresent, 0, device + i);
    const lines = printed();
    expect(lines[0]).toBe("DMAR: DRHD: handling fault status reg 3");
    expect(lines.slice(1).map((line) => /\[(\S+)\]/.exec(line.slice(20))![1])).toEqual([
      "65:00.0",
      "65:00.1",
      "65:00.2",
      "65:00.3",
      "65:00.4",
      "65:00.5",
      "65:00.6",
      "65:00.7",
    ]);
  });

  test("are printed ten lines at a time, and counted from then on for five seconds", () => {
    const { k, vtd, printed } = boot();
    const lines: string[] = [];
    for (let i = 0; i < 30; i++) {
      vtd.interrupt(notPresent, 0, device);
      lines.push(...printed());
    }
    expect(lines.length).toBeLessThanOrEqual(10);
    k.uptime = 6;
    vtd.interrupt(notPresent, 0, device);
    const [suppressed, status] = printed();
    expect(suppressed).toMatch(/^dmar_fault: [0-9]+ callbacks suppressed$/);
    // FRI has moved on with every fault.
    expect(status).toMatch(/^DMAR: DRHD: handling fault status reg [0-7]02$/);
  });
});

describe("the fault event", () => {
  test("has an interrupt of its own that is not remapped", () => {
    const { k, vtd, iommu } = boot();
    const { data } = k.irqs.descriptors.get(iommu.faultIrq)!;
    expect(data.domain.name).toBe("DMAR-MSI");
    expect(data.parent!.domain.name).toBe("VECTOR");
    expect(vtd.read(registers.FECTL.offset, 32)).toBe(0n);
    expect(vtd.read(registers.FEDATA.offset, 32)).toBeGreaterThanOrEqual(0x20n);
  });

  test("moves to another CPU", () => {
    const { k, vtd, iommu, cpus } = boot();
    expect(irqSetAffinity(k, iommu.faultIrq, [2])).toBe(0);
    vtd.interrupt(notPresent, 0, device);
    expect(cpus.map(({ localApic }) => localApic.pending() >= 0)).toEqual([false, false, true, false]);
  });

  test("is sent when what happened before is to be seen", () => {
    const machine = host();
    machine.vtd.interrupt(notPresent, 0, device);
    enableIrX2apic(machine.k);
    machine.vtd.interrupt(notPresent, 0, device);
    settle(machine.k, machine.cpus);
    expect(machine.k.log.lines.at(-1)!.text).toContain("fault index 0x25");
  });
});
