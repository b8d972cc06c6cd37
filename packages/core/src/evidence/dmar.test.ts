import { readFileSync } from "node:fs";
import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { andd, atsr, deviceScope, dmarHeader, drhd, rhsa, rmrr, satc, sidp } from "../spec/acpi/dmar.ts";
import { type Values, encode } from "../spec/codec.ts";
import type { Layout } from "../spec/layout.ts";
import { readDmar } from "./dmar.ts";

const real = new Uint8Array(readFileSync(new URL("fixtures/qemu-7.2-intel.dmar.bin", import.meta.url)));

function bytesOf<Name extends string>(layout: Layout<Name>, fields: Partial<Values<Name>>): number[] {
  const value = encode(layout, fields);
  return Array.from({ length: layout.width / 8 }, (_, i) => Number((value >> BigInt(8 * i)) & 0xffn));
}

/** A structure with its length filled in. */
function structure<Name extends string>(
  layout: Layout<Name | "length">,
  fields: Partial<Values<Name>>,
  tail: number[] = [],
): number[] {
  const length = layout.width / 8 + tail.length;
  return [...bytesOf(layout, { ...fields, length } as Partial<Values<Name | "length">>), ...tail];
}

function scope(type: number, bus: number, path: number[], id = 0): number[] {
  return [...bytesOf(deviceScope, { type, length: 6 + path.length, id, bus }), ...path];
}

/** A table of these structures, with length and checksum filled in. */
function tableOf(
  structures: number[][],
  fields: Partial<Values<keyof typeof dmarHeader.fields>> = {},
): Uint8Array {
  const body = structures.flat();
  const header = {
    signature: 0x52414d44,
    length: 48 + body.length,
    revision: 1,
    haw: 45,
    intrremap: 1,
    ...fields,
  };
  const bytes = Uint8Array.from([...bytesOf(dmarHeader, header), ...body]);
  bytes[9] = -bytes.reduce((sum, byte) => sum + byte, 0);
  return bytes;
}

function rulesOf(bytes: Uint8Array): string[] {
  return readDmar(bytes).findings.map(({ rule }) => rule);
}

const unit = structure(drhd, { includepciall: 1, base: 0xfed90000 });

describe("the table of a QEMU 7.2 machine", () => {
  const table = readDmar(real);

  test("says what the firmware says", () => {
    expect(table).toMatchObject({
      header: {
        signature: "DMAR",
        length: 152,
        revision: 1,
        oemId: "BOCHS",
        oemTableId: "BXPC",
        creatorId: "BXPC",
      },
      hostAddressWidth: 39,
      interruptRemapping: true,
      x2apicOptOut: false,
      dmaControlOptIn: false,
      findings: [],
    });
  });

  test("names the I/O APIC's requester id beside the PCI devices'", () => {
    const [only, ...others] = table.structures;
    expect(others).toEqual([]);
    expect(only).toMatchObject({ kind: "DRHD", includePciAll: false, segment: 0, base: 0xfed90000n });
    const scopes = only!.kind === "DRHD" ? only!.scopes : [];
    expect(scopes).toHaveLength(11);
    expect(scopes[0]).toMatchObject({ type: 3, enumerationId: 0, requester: 0xff00 });
    expect(scopes.map(({ requester }) => requester)).toContain((0x1f << 3) | 2);
    expect(scopes.filter(({ type }) => type === 2)).toHaveLength(2);
  });

  test("fails its checksum with any one byte changed", () => {
    fc.assert(
      fc.property(fc.integer({ min: 48, max: 151 }), fc.integer({ min: 1, max: 255 }), (at, delta) => {
        const bytes = real.slice();
        bytes[at] = bytes[at]! + delta;
        expect(rulesOf(bytes)).toContain("acpi.checksum");
      }),
    );
  });

  test("cut short is read as far as it goes, or refused with its offset and what was expected", () => {
    for (let length = 0; length < real.length; length++) {
      const cut = real.subarray(0, length);
      if (length < 48) expect(() => readDmar(cut)).toThrow(`expected a header of 48 bytes, found ${length}`);
      else expect(rulesOf(cut)).toContain("acpi.length");
    }
  });
});

test("every kind of structure is read", () => {
  const bytes = tableOf(
    [
      structure(drhd, { base: 0xfed91000, size: 1, segment: 2 }, scope(1, 0, [2, 0, 1, 3])),
      structure(drhd, { includepciall: 1, base: 0xfed90000 }, [
        ...scope(3, 0xf0, [31, 7], 2),
        ...scope(4, 0, [15, 0]),
      ]),
      structure(rmrr, { type: 1, base: 0x7d800000, limit: 0x7fffffff }, scope(1, 0, [2, 0])),
      structure(atsr, { type: 2, allports: 1, segment: 1 }),
      structure(rhsa, { type: 3, base: 0xfed90000, proximity: 3 }),
      structure(
        andd,
        { type: 4, device: 2 },
        "\\_SB.I2C1\0".split("").map((c) => c.charCodeAt(0)),
      ),
      structure(satc, { type: 5, atcrequired: 1 }, scope(1, 0, [5, 0])),
      structure(sidp, { type: 6 }, scope(2, 7, [0, 0])),
      [9, 0, 6, 0, 1, 2],
    ],
    { x2apicoptout: 1, dmactrlplatformoptin: 1 },
  );
  const table = readDmar(bytes);
  expect(table).toMatchObject({ hostAddressWidth: 46, x2apicOptOut: true, dmaControlOptIn: true });
  expect(table.structures).toMatchObject([
    {
      kind: "DRHD",
      offset: 48,
      includePciAll: false,
      segment: 2,
      registerBytes: 8192,
      scopes: [
        {
          path: [
            { device: 2, function: 0 },
            { device: 1, function: 3 },
          ],
          requester: undefined,
        },
      ],
    },
    {
      kind: "DRHD",
      includePciAll: true,
      scopes: [{ enumerationId: 2, requester: 0xf0ff }, { requester: 0x78 }],
    },
    { kind: "RMRR", base: 0x7d800000n, limit: 0x7fffffffn, scopes: [{ requester: 0x10 }] },
    { kind: "ATSR", allPorts: true, segment: 1 },
    { kind: "RHSA", base: 0xfed90000n, proximityDomain: 3 },
    { kind: "ANDD", deviceNumber: 2, name: "\\_SB.I2C1" },
    { kind: "SATC", atcRequired: true, scopes: [{ bus: 0 }] },
    { kind: "SIDP", segment: 0, scopes: [{ bus: 7 }] },
    { kind: "unknown", type: 9, length: 6 },
  ]);
  expect(table.findings.map(({ rule }) => rule)).toEqual(["acpi.dmar.structure-unknown"]);
});

test.each([
  ["a zero length", tableOf([unit, [0, 0, 0, 0]]), ["acpi.dmar.structure-length"]],
  ["a length past the end", tableOf([unit, [3, 0, 200, 0, 0, 0]]), ["acpi.dmar.structure-length"]],
  ["a length below its kind's", tableOf([[3, 0, 4, 0], unit]), ["acpi.dmar.structure-length"]],
  ["a rest of three bytes", tableOf([unit, [3, 0, 20]]), ["acpi.dmar.structure-length"]],
  ["no unit", tableOf([]), ["acpi.dmar.unit-missing"]],
  ["a unit at zero", tableOf([structure(drhd, {})]), ["acpi.dmar.unit-base"]],
  ["a unit off its page", tableOf([structure(drhd, { base: 0xfed90010 })]), ["acpi.dmar.unit-base"]],
  ["a unit after the one for all others", tableOf([unit, unit]), ["acpi.dmar.include-all-last"]],
  ["kinds out of order", tableOf([structure(atsr, { type: 2 }), unit]), ["acpi.dmar.structure-order"]],
  [
    "a region that ends before it starts",
    tableOf([unit, structure(rmrr, { type: 1, base: 0x2000, limit: 0x1fff })]),
    ["acpi.dmar.reserved-region"],
  ],
  [
    "a region off its pages",
    tableOf([unit, structure(rmrr, { type: 1, base: 0x2000, limit: 0x3000 })]),
    ["acpi.dmar.reserved-region"],
  ],
  ["a name without an end", tableOf([unit, structure(andd, { type: 4 }, [0x5c])]), ["acpi.dmar.name"]],
  [
    "a scope of zero bytes",
    tableOf([structure(drhd, { base: 4096 }, [1, 0, 0, 0, 0, 0])]),
    ["acpi.dmar.scope-length"],
  ],
  [
    "a scope of odd length",
    tableOf([structure(drhd, { base: 4096 }, [1, 7, 0, 0, 0, 0, 2])]),
    ["acpi.dmar.scope-length"],
  ],
  [
    "a scope past its structure",
    tableOf([structure(drhd, { base: 4096 }, [1, 8, 0, 0, 0, 0]), unit]),
    ["acpi.dmar.scope-length"],
  ],
  [
    "a rest too short for a scope",
    tableOf([structure(drhd, { base: 4096 }, [1, 8])]),
    ["acpi.dmar.scope-length"],
  ],
  [
    "a scope of type 6",
    tableOf([structure(drhd, { base: 4096 }, scope(6, 0, [1, 0]))]),
    ["acpi.dmar.scope-type"],
  ],
  [
    "an opt-out without remapping",
    tableOf([unit], { intrremap: 0, x2apicoptout: 1 }),
    ["acpi.dmar.x2apic-opt-out"],
  ],
])("%s is found", (_, bytes, expected) => {
  expect(rulesOf(bytes)).toEqual(expected);
});

test("a finding says where in the table it is", () => {
  const [finding] = readDmar(tableOf([unit, [3, 0, 200, 0, 0, 0]])).findings;
  expect(finding).toMatchObject({ offset: 64, section: "VT-d 5.10 §8.2" });
  expect(finding!.found).toBe("structure of type 3: length 200, expected 20 to 6");
});

test("a header whose length is below itself does not hide the structures", () => {
  const bytes = tableOf([unit], { length: 4 });
  expect(rulesOf(bytes)).toEqual(["acpi.length"]);
  expect(readDmar(bytes).structures).toHaveLength(1);
});

test("another table's bytes are refused", () => {
  const bytes = real.slice();
  bytes[0] = 0x49;
  expect(() => readDmar(bytes)).toThrow('DMAR: offset 0x0: expected signature DMAR, found "IMAR"');
});

test("any bytes behind a header end in a table, with structures that do not overlap", () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 300 }), (body) => {
      const bytes = tableOf([Array.from(body)]);
      let end = 48;
      for (const { offset, length } of readDmar(bytes).structures) {
        expect(offset).toBe(end);
        expect(length).toBeGreaterThanOrEqual(4);
        end = offset + length;
      }
      expect(end).toBeLessThanOrEqual(bytes.length);
    }),
  );
});
