import { assert, bigInt, property } from "fast-check";
import { describe, expect, test } from "vitest";
import { decode, encode, validate } from "../codec.ts";
import { type Layout, reservedMask } from "../layout.ts";
import { ruleOf } from "../rules.ts";
import * as avic from "./avic.ts";
import * as localApic from "./local-apic.ts";
import { apicRules } from "./rules.ts";
import * as vmx from "./vmx.ts";

function isLayout(value: unknown): value is Layout {
  return typeof value === "object" && value !== null && "fields" in value && "width" in value;
}

const layouts = [localApic, avic, vmx].flatMap((module) => Object.values(module).filter(isLayout));

describe("layouts of the local APIC and its virtualization", () => {
  test("are all there", () => {
    expect(layouts.length).toBe(26);
    expect(new Set(layouts.map(({ name }) => name)).size).toBe(layouts.length);
  });

  test.each(layouts.map((layout) => [layout.name, layout] as const))(
    "%s comes back from its fields",
    (_, layout) => {
      const mask = ~reservedMask(layout);
      assert(
        property(bigInt(0n, (1n << BigInt(layout.width)) - 1n), (value) => {
          expect(encode(layout, decode(layout, value))).toBe(value & mask);
        }),
      );
    },
  );

  test.each([
    [localApic.interruptCommand, { v: 0x41, dlm: 0, dst: 3 }, 0x3_0000_0041n, []],
    [localApic.interruptCommand, { v: 0x41, dlm: 3 }, 0x341n, ["apic.icr.delivery-mode"]],
    [localApic.interruptCommand, { v: 0xfb, sh: 3, level: 1 }, 0xc40fbn, []],
    [localApic.lvtTimer, { v: 0xec, mode: 2 }, 0x400ecn, []],
    [localApic.lvtTimer, { v: 0xec, mode: 3 }, 0x600ecn, ["apic.timer.mode"]],
    [localApic.lvtPin, { dlm: 7, mask: 1 }, 0x10700n, []],
    [localApic.lvtPin, { dlm: 6 }, 0x600n, ["apic.lvt.delivery-mode"]],
    [localApic.spuriousVector, { v: 0xff, en: 1, eoisuppress: 1 }, 0x11ffn, []],
    [localApic.apicBase, { base: 0xfee00000, en: 1, bsp: 1 }, 0xfee00900n, []],
    [localApic.apicBase, { base: 0xfee00000, extd: 1 }, 0xfee00400n, ["apic.base.invalid-state"]],
    [localApic.divideConfiguration, { divide: 7 }, 0xbn, []],
    [vmx.guestInterruptStatus, { rvi: 0x51, svi: 0x41 }, 0x4151n, []],
    [vmx.pidPointer, { v: 1, pida: 0x1240 }, 0x1241n, []],
    [vmx.xapicNotification, { id: 7 }, 0x700n, []],
    [avic.avicPhysicalEntry, { host: 5, backing: 0x1234000, isrunning: 1, v: 1 }, 0xc000000001234005n, []],
    [avic.avicLogicalEntry, { id: 9, v: 1 }, 0x80000009n, []],
  ])("$name lays %o out as documented", (layout, fields, value, violations) => {
    expect(encode(layout as Layout, fields)).toBe(value);
    expect(validate(layout as Layout, value).map(({ rule }) => rule)).toEqual(violations);
  });

  test.each([
    [localApic.spuriousVector, 0x400n, "apic.register.reserved"],
    [vmx.pidPointer, 0x3n, "vmx.ipi.pointer-reserved"],
    [avic.avicPhysicalEntry, 1n << 55n, "avic.physical.reserved"],
    [avic.avicLogicalEntry, 0x100n, "avic.logical.reserved"],
  ])("$name names the rule that a reserved bit breaks", (layout, value, rule) => {
    expect(validate(layout as Layout, value)).toMatchObject([{ rule }]);
  });
});

describe("the register table", () => {
  const registers = Object.entries<localApic.ApicRegister>(localApic.apicRegisters);

  test("puts each MSR at 800h and a sixteenth of the offset", () => {
    for (const [, { offset, msr }] of registers) {
      if (offset !== undefined && msr !== undefined) expect(msr).toBe(0x800 + offset / 16);
    }
  });

  test("gives no offset twice", () => {
    const offsets = registers.flatMap(([, { offset, count }]) =>
      offset === undefined ? [] : Array.from({ length: count }, (_, index) => offset + 16 * index),
    );
    expect(new Set(offsets).size).toBe(offsets.length);
    expect(offsets.length).toBe(47);
  });

  test("leaves out of x2APIC mode what that mode does not have", () => {
    const missing = registers.filter(([, { msr }]) => msr === undefined).map(([name]) => name);
    expect(missing).toEqual(["apr", "rrd", "dfr", "icrHigh"]);
    expect(localApic.apicRegisters.selfIpi.msr).toBe(0x83f);
    expect(localApic.apicRegisters.icr).toMatchObject({ msr: 0x830, width: 64 });
    expect(localApic.apicRegisters.ldr).toMatchObject({ access: "rw", msrAccess: "ro" });
  });

  test.each([
    [0b0000, 2],
    [0b0001, 4],
    [0b0010, 8],
    [0b0011, 16],
    [0b1000, 32],
    [0b1001, 64],
    [0b1010, 128],
    [0b1011, 1],
  ])("divides by the configuration %i", (configuration, divisor) => {
    expect(localApic.divisorOf(configuration)).toBe(divisor);
  });
});

test("every rule of the local APIC is registered under its id, ends in a full stop and is one sentence", () => {
  for (const [id, rule] of Object.entries(apicRules)) {
    expect(ruleOf(id as keyof typeof apicRules)).toBe(rule);
    expect(id).toMatch(/^(apic|vmx|avic|kvm\.apic|qemu\.apic)\.[a-z0-9.-]+$/);
    expect(rule.text).toMatch(/^[^.]*\.$/);
  }
});
