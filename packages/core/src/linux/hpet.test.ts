import { describe, expect, test } from "vitest";
import { Hpet } from "../hardware/hpet.ts";
import { decode, encode } from "../spec/codec.ts";
import { hpetOffset, hpetTimerConfiguration, hpetTimerOffset } from "../spec/hpet/registers.ts";
import { irteRemapped } from "../spec/vtd/irte.ts";
import { registers } from "../spec/vtd/registers.ts";
import { vectorCounts } from "./irq/vector.ts";
import { readEntry } from "./intel-ir/live-entry.ts";
import { irDataOf } from "./intel-ir/reconfigure.ts";
import { intelRemapping } from "./intel-ir/remapping-state.ts";
import { hpetRemove, hpetRestartCounter, hpetResume } from "./hpet.ts";
import { hpetSelectClockevents, hpetSetNextEvent, hpetSetupMsiIrq } from "./hpet.ts";
import { enableIrX2apic, irqRemappingDisable, irqRemappingReenable } from "./remapping.ts";
import { type HostOptions, host, settle } from "./testbed.ts";

/** The HPET that faults on laptops after a resume. */
const requester = 0xf0f8;

function boot(options: HostOptions = {}, comesAs = requester) {
  const machine = host(options);
  const { k, root } = machine;
  const unit = k.firmware.dmar?.units[0];
  if (unit !== undefined)
    Object.assign(unit, { scopes: [...unit.scopes, { kind: "hpet", id: 0, requester }] });
  enableIrX2apic(k);
  const before = vectorCounts(k);
  const hardware = new Hpet({ root, requester: comesAs });
  const hpet = hpetSelectClockevents(k, 0, hardware);
  hpetRestartCounter(k, hardware);
  const [channel] = hpet.channels;
  const data = k.irqs.descriptors.get(channel!.irq)!.data;
  return { ...machine, hardware, hpet, channel: channel!, data, before };
}

describe("a timer of the HPET", () => {
  test("interrupts the CPU that it serves, when its time has come", () => {
    const { k, cpus, hardware, channel, data } = boot();
    expect(hpetSetupMsiIrq(k, channel, 2)).toBe(0);
    expect(data.domain.name).toBe("HPET-MSI-0");
    expect(data.chip!.name).toBe("IR-HPET-MSI");
    hpetSetNextEvent(k, channel, 1000);
    hardware.advance(999);
    expect(settle(k, cpus)).toBe(0);
    hardware.advance(1);
    settle(k, cpus);
    expect(channel.events).toBe(1);
    expect(k.irqs.descriptors.get(channel.irq)!.counts[2]).toBe(1);
  });

  test("is let through whatever its function number", () => {
    const { k, cpus, hardware, channel, data } = boot({}, requester | 5);
    hpetSetupMsiIrq(k, channel, 0);
    const { index, iommu } = irDataOf(data.parent!).irq2iommu;
    expect(decode(irteRemapped, readEntry(k, iommu, index))).toMatchObject({ sid: requester, sq: 3, svt: 1 });
    hpetSetNextEvent(k, channel, 1);
    hardware.advance(1);
    settle(k, cpus);
    expect(channel.events).toBe(1);
  });

  test("sends a plain message where nothing is remapped", () => {
    const { k, cpus, hardware, channel, data } = boot({ vendor: "none" });
    hpetSetupMsiIrq(k, channel, 1);
    expect(data.chip!.name).toBe("HPET-MSI");
    hpetSetNextEvent(k, channel, 1);
    hardware.advance(1);
    settle(k, cpus);
    expect(channel.events).toBe(1);
  });

  test("is given back", () => {
    const { k, hpet, channel, before } = boot();
    hpetSetupMsiIrq(k, channel, 0);
    hpetRemove(k, hpet);
    expect(vectorCounts(k)).toEqual(before);
    expect(intelRemapping(k).entries).toBe(0);
    expect(k.irqs.domains.some(({ name }) => name.startsWith("HPET"))).toBe(false);
  });
});

/** Firmware has the timer send vector 30h to APIC 0 in compatibility format. */
function suspended(restoreMessages: boolean) {
  const machine = boot();
  const { k, vtd, hardware, channel, hpet } = machine;
  hpetSetupMsiIrq(k, channel, 0);
  irqRemappingDisable(k);
  hardware.reset();
  const first = hpetTimerOffset.first;
  hardware.write(first + hpetTimerOffset.route, 0x30);
  hardware.write(first + hpetTimerOffset.route + 4, 0xfee0_0000);
  hardware.write(
    first + hpetTimerOffset.configuration,
    Number(encode(hpetTimerConfiguration, { int: 1, fsb: 1 })),
  );
  vtd.write(registers.GCMD.offset, 32, 0n);
  irqRemappingReenable(k);
  k.log.lines.length = 0;
  hpetResume(k, hpet, { restoreMessages });
  hpetSetNextEvent(k, channel, 10);
  hardware.advance(10);
  settle(k, machine.cpus);
  return { ...machine, printed: k.log.lines.map(({ text }) => text) };
}

describe("after a resume", () => {
  test("the driver's message is restored, and arrives", () => {
    const { channel, printed, hardware } = suspended(true);
    expect(channel.events).toBe(1);
    expect(printed).toEqual([]);
    expect(hardware.read(hpetOffset.configuration)).toBe(1);
  });

  test("firmware's message is blocked with reason 25h, where nobody restores the driver's", () => {
    const { channel, printed, vtd } = suspended(false);
    expect(channel.events).toBe(0);
    expect(vtd.fault).toMatchObject({ name: "compatibilityBlocked", requester });
    expect(printed).toEqual([
      "DMAR: DRHD: handling fault status reg 2",
      "DMAR: [INTR-REMAP] Request device [f0:1f.0] fault index 0x0 [fault reason 0x25] Blocked a compatibility format interrupt request",
    ]);
  });
});
