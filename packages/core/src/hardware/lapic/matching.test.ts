import { assert, boolean, constantFrom, integer, oneof, property } from "fast-check";
import { describe, expect, test } from "vitest";
import { ApicFabric } from "./fabric.ts";
import { LocalApic } from "./local-apic.ts";
import { matches } from "./matching.ts";
import { derivedLogicalId, strideShift } from "./state.ts";

const flat = -1;
const cluster = 0x0fffffff;

function one(id: number, mode: "xapic" | "x2apic", ldr = 0, dfr = flat): ApicFabric {
  const fabric = new ApicFabric([id], { mode, softwareEnabled: true });
  const apic = new LocalApic(fabric, 0);
  apic.write(0xd0, ldr << 24);
  apic.write(0xe0, dfr);
  return fabric;
}

describe("destination matching", () => {
  test.each([
    // id, mode, LDR, DFR, destination, logical, matches, what the row shows
    [3, "xapic", 0, flat, 3, 0, true, "a physical destination that is the id"],
    [3, "xapic", 0, flat, 4, 0, false, "a physical destination that is another id"],
    [3, "xapic", 0, flat, 0xff, 0, true, "FFh broadcasts in xAPIC mode"],
    [3, "xapic", 0, flat, -1, 0, false, "FFFFFFFFh does not broadcast in xAPIC mode"],
    [3, "x2apic", 0, flat, 0xff, 0, false, "FFh is an id in x2APIC mode"],
    [0xff, "x2apic", 0, flat, 0xff, 0, true, "FFh addresses the x2APIC with that id"],
    [3, "x2apic", 0, flat, -1, 0, true, "FFFFFFFFh broadcasts in x2APIC mode"],
    [0x12345, "x2apic", 0, flat, 0x12345, 0, true, "ids of 32 bits"],
    [3, "xapic", 0x08, flat, 0x08, 1, true, "flat: a shared bit"],
    [3, "xapic", 0x08, flat, 0x0c, 1, true, "flat: one shared bit among others"],
    [3, "xapic", 0x08, flat, 0x04, 1, false, "flat: no shared bit"],
    [3, "xapic", 0x00, flat, 0xff, 1, true, "flat: the broadcast needs no bit"],
    [3, "xapic", 0x08, flat, 0x108, 1, false, "a logical destination wider than 8 bits"],
    [3, "xapic", 0x21, cluster, 0x21, 1, true, "cluster: own cluster, own bit"],
    [3, "xapic", 0x21, cluster, 0x2f, 1, true, "cluster: own cluster, every bit"],
    [3, "xapic", 0x21, cluster, 0x22, 1, false, "cluster: own cluster, another bit"],
    [3, "xapic", 0x21, cluster, 0x31, 1, false, "cluster: another cluster, own bit"],
    [3, "xapic", 0x21, cluster, 0xff, 1, true, "cluster: the broadcast"],
    [3, "xapic", 0x21, 0x5fffffff, 0x21, 1, false, "a model that is neither addresses nobody"],
    [0x23, "x2apic", 0, flat, 0x20008, 1, true, "x2APIC: cluster 2, member 3"],
    [0x23, "x2apic", 0, flat, 0x2ffff, 1, true, "x2APIC: the whole cluster"],
    [0x23, "x2apic", 0, flat, 0x20004, 1, false, "x2APIC: another member"],
    [0x23, "x2apic", 0, flat, 0x30008, 1, false, "x2APIC: another cluster"],
    [0x23, "x2apic", 0, flat, -1, 1, true, "x2APIC: the logical broadcast"],
    [3, "x2apic", 0, flat, 0xff, 1, true, "x2APIC: FFh is cluster 0, members 0 to 7"],
  ] as const)("id %i in %s mode, LDR %i, DFR %i: %i with DM=%i is %s (%s)", (...row) => {
    const [id, mode, ldr, dfr, destination, logical, expected] = row;
    const fabric = one(id, mode, ldr, dfr);
    expect(matches(fabric.state, 0, destination, logical, false)).toBe(expected);
    expect(fabric.deliver(destination, logical, 0, 0, 0x41, 0)).toBe(expected ? 1 : 0);
  });

  test("a narrow broadcast reaches x2APICs only where the fabric takes it so", () => {
    const strict = new ApicFabric([0, 1], { mode: "x2apic", softwareEnabled: true });
    const kvm = new ApicFabric([0, 1], { mode: "x2apic", softwareEnabled: true, narrowBroadcast: true });
    expect(strict.deliver(0xff, 0, 0, 0, 0x41, 0)).toBe(0);
    expect(kvm.deliver(0xff, 0, 0, 0, 0x41, 0)).toBe(2);
    expect(kvm.sendTo(0xff, 0, 0, 0x41)).toBe(0);
  });

  test("a globally disabled APIC matches nothing", () => {
    const fabric = one(3, "xapic", 0x08);
    new LocalApic(fabric, 0).writeMsr(0x1b, 0n);
    for (const [destination, logical] of [
      [3, 0],
      [0xff, 0],
      [8, 1],
      [0x23, 0],
    ] as const) {
      expect(matches(fabric.state, 0, destination, logical, true)).toBe(false);
      expect(fabric.deliver(destination, logical, 0, 4, 0, 0)).toBe(0);
    }
  });

  test.each([
    [0, 0x1],
    [0x0f, 0x8000],
    [0x10, 0x10001],
    [0x23, 0x20008],
    [0xfffffff5, 0xffff0020],
  ])("the logical id of x2APIC %i is derived", (id, ldr) => {
    expect(derivedLogicalId(id | 0) >>> 0).toBe(ldr);
  });

  test("the fabric's tables answer as the rule does, whatever the mix of modes", () => {
    const ids = [0, 1, 2, 5, 0x11, 0x12, 0x13, 0x21, 0xfe, 0xff, 0x100, 0x1fff, 0x12345];
    const destination = oneof(
      constantFrom(...ids, -1, 0xff, 0x10006, 0x2000f, 0x0001_ffff, 0x1ff_8000, 0x1234_0020),
      integer({ min: 0, max: 0xff }),
      integer(),
    );
    const modes = constantFrom("xapic", "x2apic", "mixed");
    assert(
      property(
        modes,
        boolean(),
        boolean(),
        destination,
        integer({ min: 0, max: 1 }),
        (mode, narrow, flatModel, to, logical) => {
          const fabric = new ApicFabric(ids, {
            mode: mode === "x2apic" ? "x2apic" : "xapic",
            softwareEnabled: true,
            narrowBroadcast: narrow,
          });
          ids.forEach((id, slot) => {
            const apic = new LocalApic(fabric, slot);
            apic.write(0xd0, (1 << (slot % 8)) << 24);
            if (!flatModel) {
              apic.write(0xd0, (((id & 7) << 4) | (1 << (slot % 4))) << 24);
              apic.write(0xe0, cluster);
            }
            if (mode === "mixed" && slot % 2 === 1) apic.writeMsr(0x1b, apic.readMsr(0x1b) | 0x400n);
          });
          const expected = ids.map((_, slot) =>
            matches(fabric.state, slot << strideShift, to, logical, narrow),
          );
          const accepted = fabric.deliver(to, logical, 0, 0, 0x41, 0);
          expect(ids.map((_, slot) => new LocalApic(fabric, slot).pending() === 0x41)).toEqual(expected);
          expect(accepted).toBe(expected.filter(Boolean).length);
        },
      ),
      { numRuns: 500 },
    );
  });
});
