import { describe, expect, test } from "vitest";
import { ApicFabric } from "../hardware/lapic/fabric.ts";
import { LocalApic } from "../hardware/lapic/local-apic.ts";
import { LocalCpu } from "./local-cpu.ts";

function cpus(mode: "xapic" | "x2apic", ids: readonly number[]): LocalCpu[] {
  const fabric = new ApicFabric(ids, { mode, softwareEnabled: true });
  return ids.map((_, i) => new LocalCpu(i, new LocalApic(fabric, i)));
}

describe.each(["xapic", "x2apic"] as const)("a processor in %s mode", (mode) => {
  test("sends an interrupt to another, which takes it and ends it", () => {
    const [one, two] = cpus(mode, [0, 5]) as [LocalCpu, LocalCpu];
    one.apic.sendIpi(two.apicId, 0x41);
    expect([one, two].map(({ apic }) => apic.requested(0x41))).toEqual([false, true]);
    expect(two.localApic.acknowledge()).toBe(0x41);
    expect(two.apic.requested(0x41)).toBe(false);
    one.apic.sendIpi(two.apicId, 0x42);
    // Of the same class as the one in service: it has to wait.
    expect(two.localApic.pending()).toBe(-1);
    two.apic.eoi();
    expect(two.localApic.acknowledge()).toBe(0x42);
  });

  test("sends one to itself", () => {
    const [one, two] = cpus(mode, [3, 4]) as [LocalCpu, LocalCpu];
    one.apic.sendIpi(3, 0x80);
    expect(one.localApic.acknowledge()).toBe(0x80);
    expect(two.localApic.pending()).toBe(-1);
  });
});

test("with x2APIC mode a processor reaches ids beyond 255, which it did not before", () => {
  const all = cpus("xapic", [0, 200]);
  for (const { apic } of all) apic.enableX2apic();
  for (const { localApic } of all) expect(localApic.x2apic).toBe(true);
  const [near, far] = cpus("x2apic", [0, 0x1234]) as [LocalCpu, LocalCpu];
  near.apic.sendIpi(0x1234, 0x55);
  expect(far.localApic.acknowledge()).toBe(0x55);
});
