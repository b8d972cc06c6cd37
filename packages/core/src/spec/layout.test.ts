import { describe, expect, test } from "vitest";
import { accessorSource } from "./accessor-source.ts";
import { cite } from "./cite.ts";
import { decode, encode, hex, table, validate } from "./codec.ts";
import { bit, bits, layout, scattered } from "./layout.ts";
import { faultNameOf, faultReasons } from "./vtd/faults.ts";
import { irtePosted, irteRemapped } from "./vtd/irte.ts";

const section = cite("vtd", "9.9");

describe("a declaration is refused", () => {
  test("when two fields claim one bit", () => {
    const fields = { a: bits(3, 0, "A"), b: bit(3, "B") };
    expect(() => layout({ name: "x", title: "X", width: 8, section, fields })).toThrow(
      "x.b: bits 3:3 are claimed twice",
    );
  });

  test.each([bits(8, 0, "A"), bits(0, 3, "A"), bits(3, -1, "A")])(
    "when a field leaves the width (%#)",
    (field) => {
      expect(() => layout({ name: "x", title: "X", width: 8, section, fields: { a: field } })).toThrow(
        /x\.a: bits .* do not lie in 8 bits/,
      );
    },
  );
});

describe("encoding refuses a value that does not fit", () => {
  test.each([{ v: 256 }, { v: -1 }, { dst: 2 ** 32 }])("%o", (values) => {
    expect(() => encode(irteRemapped, values)).toThrow(RangeError);
  });

  test("as an address that is not aligned to its scale", () => {
    expect(() => encode(irtePosted, { pda: 0x1020 })).toThrow(
      "irte-posted.pda: 0x1020 does not fit bits 127:96,63:38",
    );
  });
});

test("a scattered field keeps its order and its scale", () => {
  const value = encode(irtePosted, { pda: 0x1234_5678_9abc_dec0n });
  expect(value).toBe((0x1234_5678n << 96n) | (0x9abc_dec0n << 32n));
  expect(decode(irtePosted, value).pda).toBe(0x1234_5678_9abc_dec0n);
});

test("a value is a number as long as that is exact", () => {
  expect(decode(irtePosted, encode(irtePosted, { pda: 0xf_ffff_ffff_ffc0 })).pda).toBe(0xf_ffff_ffff_ffc0);
  expect(typeof decode(irtePosted, encode(irtePosted, { pda: 1n << 60n })).pda).toBe("bigint");
  expect(hex(1n << 60n)).toBe("0x1000000000000000");
});

describe("validation", () => {
  const wide = encode(irteRemapped, { p: 1, v: 0x30, dst: 0x1_0300 });

  test("says on what a violation depends when the setting is open", () => {
    expect(validate(irteRemapped, wide)).toEqual([
      {
        rule: "vtd.irte.xapic-destination",
        section: "VT-d 5.10 §9.9",
        found: "dst: bit 48 is set",
        when: "EIME=0",
      },
    ]);
  });

  test("reports it plainly when the setting is given, and not at all when it is ruled out", () => {
    expect(validate(irteRemapped, wide, { eime: 0 })[0]).not.toHaveProperty("when");
    expect(validate(irteRemapped, wide, { eime: 1 })).toEqual([]);
  });

  test.each([
    { values: { dlm: 3 }, rule: "vtd.irte.delivery-mode", found: "dlm = 0x3" },
    { values: { svt: 3 }, rule: "vtd.irte.svt", found: "svt = 0x3" },
    { values: { dlm: 2, v: 0x30 }, rule: "vtd.irte.smi-vector", found: "v = 0x30" },
  ])("finds $found", ({ values, rule, found }) => {
    expect(validate(irteRemapped, encode(irteRemapped, values))).toMatchObject([{ rule, found }]);
  });

  test("finds reserved bits and names them as ranges", () => {
    expect(validate(irteRemapped, (7n << 12n) | (1n << 127n))[0]!.found).toBe(
      "reserved bits 127,14:12 are set",
    );
  });

  test("bounds addresses by the host address width, if that is known", () => {
    const far = encode(irtePosted, { im: 1, pda: 1n << 46n });
    expect(validate(irtePosted, far, { pi: 1 })).toEqual([]);
    expect(validate(irtePosted, far, { pi: 1, haw: 46 })).toMatchObject([
      { rule: "vtd.irte.descriptor-address" },
    ]);
    expect(validate(irtePosted, far, { pi: 1, haw: 47 })).toEqual([]);
  });
});

test("a table names fields as the specification or as Linux does, and explains values", () => {
  const value = encode(irteRemapped, { dm: 1 });
  expect(table(irteRemapped, value)[2]).toEqual({
    bits: "2",
    name: "dm",
    title: "Destination Mode",
    value: 1,
    meaning: "logical",
  });
  expect(table(irteRemapped, value, "linux")[2]!.name).toBe("dst_mode");
});

test("a generated accessor joins the parts of a field across words", () => {
  const parts = [
    [40, 20],
    [5, 2],
  ] as const;
  const odd = layout({
    name: "odd",
    title: "Odd",
    width: 64,
    section,
    fields: { odd: scattered(parts, "Odd", { scale: 3 }) },
  });
  expect(accessorSource(odd)).toContain(
    "export const odd = (words: Int32Array, at: number): number => " +
      "((words[at]! >>> 17) & 0x7ff8) | ((words[at + 1]! << 15) & 0xff8000) | ((words[at]! << 22) & 0xf000000);",
  );
});

test("every fault reason is found by its code, and no other code is", () => {
  for (const [name, { code }] of Object.entries(faultReasons)) expect(faultNameOf(code)).toBe(name);
  expect(faultNameOf(0x1f)).toBeUndefined();
});
