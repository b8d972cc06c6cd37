import * as fc from "fast-check";
import { expect, test } from "vitest";
import { decode, encode, validate } from "../codec.ts";
import { dmarHeader, dmarStructures, drhd } from "./dmar.ts";
import {
  entryBytes,
  entryLayouts,
  entryType,
  ivhd10,
  ivhd11,
  ivhd40,
  ivhdLayouts,
  ivrsHeader,
} from "./ivrs.ts";
import { acpiHeader, acpiHeaderBytes, acpiHeaderFields } from "./table.ts";

test("the header of every table is 36 bytes long", () => {
  expect(acpiHeader.width).toBe(8 * acpiHeaderBytes);
  expect(Object.keys(decode(acpiHeader, 0n))).toEqual(Object.keys(acpiHeaderFields));
});

test("the fixed parts of the structures have the documents' lengths", () => {
  expect(dmarStructures.map(({ kind, layout }) => [kind, layout.width / 8])).toEqual([
    ["DRHD", 16],
    ["RMRR", 24],
    ["ATSR", 8],
    ["RHSA", 20],
    ["ANDD", 8],
    ["SATC", 8],
    ["SIDP", 8],
  ]);
  expect([ivhd10, ivhd11, ivhd40].map(({ width }) => width / 8)).toEqual([24, 40, 40]);
  expect(Object.keys(ivhdLayouts).map(Number)).toEqual([0x10, 0x11, 0x40]);
});

test("the two high bits of an entry's type give its length, below F0h", () => {
  fc.assert(
    fc.property(fc.integer({ min: 0, max: 0xef }), (type) => {
      expect(entryBytes(type)).toBe([4, 8, 16, 32][type >> 6]);
    }),
  );
  for (let type = 0xf0; type <= 0xff; type++) expect(entryBytes(type)).toBeUndefined();
  for (const [type, layout] of Object.entries(entryLayouts)) {
    if (Number(type) !== entryType.acpi) expect(layout.width / 8).toBe(entryBytes(Number(type)));
  }
});

test.each([
  [{ x2apicoptout: 1, intrremap: 0 }, ["acpi.dmar.x2apic-opt-out"]],
  [{ x2apicoptout: 1, intrremap: 1 }, []],
  [{ x2apicoptout: 0, intrremap: 0 }, []],
])("a DMAR header with %o breaks %o", (fields, broken) => {
  expect(validate(dmarHeader, encode(dmarHeader, fields)).map(({ rule }) => rule)).toEqual(broken);
});

test("reserved bytes of headers and structures are zero", () => {
  expect(validate(dmarHeader, 1n << 304n).map(({ rule }) => rule)).toEqual(["acpi.dmar.reserved"]);
  expect(validate(drhd, 1n << 33n).map(({ rule }) => rule)).toEqual(["acpi.dmar.reserved"]);
  expect(validate(ivrsHeader, 1n << 320n).map(({ rule }) => rule)).toEqual(["acpi.ivrs.reserved"]);
});
