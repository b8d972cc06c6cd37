import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { decode, encode, validate } from "../codec.ts";
import type { Layout } from "../layout.ts";
import { ioapicRte, ioapicRteAmd, ioapicRteExtended, ioapicRteRemappable, ioapicVersion } from "./ioapic.ts";

describe("a remappable redirection entry", () => {
  test.each([
    [0x0001000000000001n, { v: 1, format: 1, index: 0, mask: 0 }],
    [0x0003000000000002n, { v: 2, format: 1, index: 1, tm: 0 }],
    [0x0011000000008009n, { v: 9, format: 1, index: 8, tm: 1 }],
    [0x0017000000010000n, { v: 0, format: 1, index: 11, mask: 1 }],
    [0xffff000000000800n, { index: 0xffff }],
    [0x0001000000000800n, { index: 0x8000 }],
  ])("holds its index and flags, as QEMU's monitor showed a Linux guest's, case %#", (value, fields) => {
    expect(decode(ioapicRteRemappable, value)).toMatchObject(fields);
    expect(validate(ioapicRteRemappable, value)).toEqual([]);
  });

  test("keeps any 16-bit index in its scattered field", () => {
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 0xffff }), (index) => {
        const value = encode(ioapicRteRemappable, { index });
        expect(decode(ioapicRteRemappable, value).index).toBe(index);
        expect((value >> 49n) & 0x7fffn).toBe(BigInt(index & 0x7fff));
        expect((value >> 11n) & 1n).toBe(BigInt(index >> 15));
      }),
    );
  });

  test("must not ask for a delivery mode", () => {
    const found = validate(ioapicRteRemappable, encode(ioapicRteRemappable, { dlm: 4, format: 1 }));
    expect(found.map(({ rule }) => rule)).toEqual(["ioapic.rte.remappable-delivery-mode"]);
  });
});

test("a compatibility entry has its destination on top and nothing below it", () => {
  expect(decode(ioapicRte, 0x0300000000018931n)).toMatchObject({
    v: 0x31,
    dlm: 1,
    dm: 1,
    tm: 1,
    mask: 1,
    dst: 3,
  });
  const found = validate(ioapicRte, encode(ioapicRte, { dlm: 3 }) | (1n << 49n));
  expect(found.map(({ rule }) => rule)).toEqual(["ioapic.rte.reserved", "ioapic.rte.delivery-mode"]);
});

test("an extended destination puts bits 14:8 below bits 7:0", () => {
  expect(encode(ioapicRteExtended, { dst: 0x7f12 })).toBe(0x12fe000000000000n);
  expect(validate(ioapicRteExtended, 0x12fe000000000000n)).toEqual([]);
});

test("an AMD index takes vector and delivery mode together", () => {
  expect(decode(ioapicRteAmd, 0x7ffn).index).toBe(0x7ff);
});

test.each([
  [0x170020n, { version: 0x20, max: 23 }],
  [0x170011n, { version: 0x11, max: 23 }],
])("version and number of entries share a register, case %#", (value, fields) => {
  expect(decode(ioapicVersion as Layout, value)).toEqual(fields);
});
