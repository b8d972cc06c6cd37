import { describe, expect, test } from "vitest";
import { amdviQemu111, amdviStrict } from "../hardware/amdvi/profile.ts";
import { place, testbed } from "../hardware/amdvi/testbed.ts";
import { Outcome } from "../hardware/delivery.ts";
import { IntCtl, dte } from "../spec/amdvi/dte.ts";
import { irteRemapped128 } from "../spec/amdvi/irte.ts";
import { encode, toWords } from "../spec/codec.ts";
import type { RuleId } from "../spec/rules.ts";
import { hasWideIndex, leavingRule } from "./leaving-amdvi.ts";

// Device table entries are not kept: they change from one request to the next.
const strict = { ...amdviStrict, cacheDevices: false };
const gated = { ...strict, validGatesInterrupts: true };
const qemu = amdviQemu111;
const smi = 0x205;
const nmi = 0x405;

type Setting = Parameters<typeof encode<keyof typeof dte.fields>>[1];

const leavesChanged = (rule: RuleId): boolean =>
  rule === "amdvi.ir.remap" || rule === "qemu.amdvi.pass-zeroed";

function unit(profile: typeof amdviStrict): ReturnType<typeof testbed> {
  return testbed(profile, { ga: true, index2048: true });
}

/** Sends one request to a unit, whose device has such an entry then. */
function sent(bed: ReturnType<typeof testbed>, values: Setting, data: number, dm: number, enabled = true) {
  const { profile } = bed.unit;
  const settings = { v: 1, iv: 1, inttablen: 11, intctl: IntCtl.remap, ...values };
  const device = toWords(encode(dte, { ...settings, inttableptr: place.interruptTable }), 256);
  bed.memory.writeWords(place.deviceTable + 32 * place.device, device);
  bed.entry(data & 0x7ff, irteRemapped128, encode(irteRemapped128, { remapen: 1, vector: 0x31, dest: 1 }));
  const outcome = bed.send(data, 4 * dm);
  const address = 0xfee0_0000 | (4 * dm) | 0;
  const wideIndex = enabled && hasWideIndex(profile, 1, address);
  return { outcome, rule: leavingRule(profile, { enabled, device, data, wideIndex }) };
}

describe("the rule by which a request leaves an AMD-Vi unit", () => {
  test.each<[RuleId, string, typeof amdviStrict, Setting, number, number]>([
    ["amdvi.ir.map-invalid", "IV=0, of an SMI too", strict, { iv: 0, intctl: IntCtl.pass }, smi, 0],
    ["amdvi.dte.valid-gates", "V=0 where that counts", gated, { v: 0 }, nmi, 0],
    ["amdvi.ir.remap", "V=0 where IV alone counts", strict, { v: 0 }, 5, 0],
    ["amdvi.ir.smi-passes", "an SMI", strict, {}, smi, 0],
    ["amdvi.ir.smi-passes", "an SMI, whatever IntCtl says", strict, { intctl: IntCtl.pass }, smi, 0],
    ["amdvi.ir.type-passes", "an NMI with NMIPass=1", strict, { nmipass: 1 }, nmi, 0],
    [
      "amdvi.ir.type-passes",
      "an NMI with NMIPass=1, whatever IntCtl says",
      strict,
      { nmipass: 1, intctl: IntCtl.pass },
      nmi,
      0,
    ],
    ["amdvi.ir.remap", "a type that belongs to the index", strict, { nmipass: 1 }, nmi, 1],
    ["amdvi.ir.intctl-pass", "IntCtl=01b", strict, { intctl: IntCtl.pass }, 5, 0],
    ["qemu.amdvi.pass-zeroed", "IntCtl=01b of QEMU", qemu, { intctl: IntCtl.pass }, 5, 0],
    ["amdvi.ir.remap", "IntCtl=10b", strict, {}, 5, 0],
  ])("is %s for %s", (rule, _, profile, values, data, dm) => {
    const { outcome, rule: found } = sent(unit(profile), values, data, dm);
    expect(found).toBe(rule);
    expect(outcome).toBe(leavesChanged(rule) ? Outcome.remapped : Outcome.passed);
  });

  test("is that of a unit which is off before all others", () => {
    expect(sent(testbed(strict, null), { iv: 0 }, smi, 0, false)).toEqual({
      outcome: Outcome.passed,
      rule: "amdvi.ir.disabled",
    });
  });

  test("is one by which a request stays as it is, wherever the unit let it pass", () => {
    const outcomes = new Set<Outcome>();
    for (const profile of [strict, gated, qemu]) {
      const bed = unit(profile);
      for (let bits = 0; bits < 1 << 9; bits++) {
        const bit = (at: number) => ((bits >>> at) & 1) as 0 | 1;
        const passes = { nmipass: bit(4), initpass: bit(4), extintpass: bit(4) };
        const values = { v: bit(0), iv: bit(1), intctl: (bits >>> 2) & 3, ...passes };
        const { outcome, rule } = sent(bed, values, ((bits >>> 5) & 7) << 8, bit(8));
        outcomes.add(outcome);
        if (outcome === Outcome.blocked) continue;
        const changed = outcome === Outcome.remapped;
        expect({ values, bits, changed: leavesChanged(rule) }).toEqual({ values, bits, changed });
      }
    }
    expect(outcomes).toEqual(new Set([Outcome.passed, Outcome.remapped, Outcome.blocked]));
  });
});
