import { readFileSync } from "node:fs";
import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import {
  entryType,
  ivhd10,
  ivhd11,
  ivhd40,
  ivhdAcpiEntry,
  ivhdAliasEntry,
  ivhdEntry,
  ivhdExtendedEntry,
  ivhdSpecialEntry,
  ivmd,
  ivrsHeader,
} from "../spec/acpi/ivrs.ts";
import { type Values, encode } from "../spec/codec.ts";
import type { Layout } from "../spec/layout.ts";
import { effectiveUnits, readIvrs } from "./ivrs.ts";

const real = new Uint8Array(readFileSync(new URL("fixtures/qemu-7.2-amd.ivrs.bin", import.meta.url)));

function bytesOf<Name extends string>(layout: Layout<Name>, fields: Partial<Values<Name>>): number[] {
  const value = encode(layout, fields);
  return Array.from({ length: layout.width / 8 }, (_, i) => Number((value >> BigInt(8 * i)) & 0xffn));
}

/** ASCII text as the number whose lowest byte is its first character. */
function text(content: string): bigint {
  return content.split("").reduceRight((sum, c) => (sum << 8n) | BigInt(c.charCodeAt(0)), 0n);
}

/** A block with its length filled in. */
function block<Name extends string>(
  layout: Layout<Name | "length">,
  fields: Partial<Values<Name>>,
  entries: number[][] = [],
): number[] {
  const tail = entries.flat();
  const length = layout.width / 8 + tail.length;
  return [...bytesOf(layout, { ...fields, length } as Partial<Values<Name | "length">>), ...tail];
}

function tableOf(
  blocks: number[][],
  fields: Partial<Values<keyof typeof ivrsHeader.fields>> = {},
): Uint8Array {
  const body = blocks.flat();
  const header = { signature: 0x53525649, length: 48 + body.length, revision: 2, pasize: 48, ...fields };
  const bytes = Uint8Array.from([...bytesOf(ivrsHeader, header), ...body]);
  bytes[9] = -bytes.reduce((sum, byte) => sum + byte, 0);
  return bytes;
}

function rulesOf(bytes: Uint8Array): string[] {
  return readIvrs(bytes).findings.map(({ rule }) => rule);
}

/** A table whose one unit has these entries. */
function withEntries(...entries: number[][]): Uint8Array {
  return tableOf([block(ivhd11, { type: 0x11, deviceid: 2, base: 0xfd300000 }, entries)]);
}

function entry(type: number, deviceid: number): number[] {
  return bytesOf(ivhdEntry, { type, deviceid });
}

describe("the table of a QEMU 7.2 machine", () => {
  const table = readIvrs(real);

  test("says what the firmware says", () => {
    expect(table).toMatchObject({
      header: { signature: "IVRS", length: 148, oemId: "BOCHS" },
      efrSupported: false,
      physicalAddressSize: 40,
      findings: [],
    });
    expect(table.blocks).toMatchObject([
      { kind: "IVHD", type: 0x10, deviceId: 8, capabilityOffset: 0x40, base: 0xfed80000n, segment: 0 },
    ]);
    expect(effectiveUnits(table)).toEqual(table.blocks);
  });

  test("names the south bridge's I/O APIC and the bus behind the bridge", () => {
    const [{ entries }] = effectiveUnits(table) as [ReturnType<typeof effectiveUnits>[0]];
    expect(entries.at(-1)).toMatchObject({ type: entryType.special, variety: 1, handle: 0, source: 0xa0 });
    expect(entries.find(({ type }) => type === entryType.aliasRangeStart)).toMatchObject({
      deviceId: 0x300,
      source: 0x300,
    });
  });

  test("cut short is read as far as it goes, or refused with its offset and what was expected", () => {
    for (let length = 0; length < real.length; length++) {
      const cut = real.subarray(0, length);
      if (length < 48) expect(() => readIvrs(cut)).toThrow(`expected a header of 48 bytes, found ${length}`);
      else expect(rulesOf(cut)).toContain("acpi.length");
    }
  });
});

test("every kind of block and entry is read", () => {
  const acpi = (uidformat: number, uid: number[]): number[] => [
    ...bytesOf(ivhdAcpiEntry, {
      type: 0xf0,
      deviceid: 0x99,
      hid: text("AMDI0020"),
      cid: text("AMDI0021"),
      uidformat,
      uidlength: uid.length,
    }),
    ...uid,
  ];
  const unit = { deviceid: 2, capoffset: 0x40, base: 0xfd300000 };
  const table = readIvrs(
    tableOf(
      [
        block(ivhd10, { type: 0x10, ...unit }, [entry(entryType.all, 0)]),
        block(ivhd11, { type: 0x11, ...unit, efr: 0x246577efa2254afan, efr2: 0x10 }, [
          bytesOf(ivhdEntry, { type: 2, deviceid: 0x10, initpass: 1, nmipass: 1, lint1pass: 1, sysmgt: 2 }),
          [0, 0, 0, 0],
          entry(entryType.rangeStart, 0x18),
          entry(entryType.rangeEnd, 0xffff),
          [0x40, 0, 0, 0, 0, 0, 0, 0],
          bytesOf(ivhdAliasEntry, { type: 0x42, deviceid: 0x300, source: 0x30a }),
          bytesOf(ivhdExtendedEntry, { type: 0x47, deviceid: 0x400, atsdisabled: 1 }),
          entry(entryType.rangeEnd, 0x4ff),
          bytesOf(ivhdSpecialEntry, {
            type: 0x48,
            handle: 33,
            source: 0xa0,
            variety: 1,
            eintpass: 1,
            lint0pass: 1,
          }),
          bytesOf(ivhdSpecialEntry, { type: 0x48, handle: 0, source: 0xa0, variety: 2 }),
        ]),
        block(ivhd40, { type: 0x40, ...unit, efr: 1, efr2: 2 }, [
          acpi(0, []),
          acpi(1, [5, 0, 0, 0, 0, 0, 0, 0x80]),
          acpi(2, [0x49, 0x32, 0x43]),
        ]),
        block(ivmd, { type: 0x20, unity: 1, ir: 1, iw: 1, start: 0x1000, size: 0x2000 }),
        block(ivmd, { type: 0x22, exclusion: 1, deviceid: 8, aux: 16, start: 0x8000, size: 0x1000 }),
        [0x77, 0, 8, 0, 1, 2, 3, 4],
      ],
      { efrsup: 1, vasize: 64 },
    ),
  );
  expect(table).toMatchObject({ efrSupported: true, physicalAddressSize: 48, virtualAddressSize: 64 });
  expect(table.findings.map(({ rule }) => rule)).toEqual(["acpi.ivrs.block-unknown"]);
  expect(table.blocks).toMatchObject([
    { kind: "IVHD", type: 0x10, entries: [{ type: 1 }] },
    {
      kind: "IVHD",
      type: 0x11,
      efr: 0x246577efa2254afan,
      efr2: 0x10n,
      entries: [
        {
          deviceId: 0x10,
          initPass: true,
          eintPass: false,
          nmiPass: true,
          lint0Pass: false,
          lint1Pass: true,
          sysMgt: 2,
        },
        { type: 3, deviceId: 0x18 },
        { type: 4, deviceId: 0xffff },
        { type: 0x42, deviceId: 0x300, source: 0x30a },
        { type: 0x47, atsDisabled: true },
        { type: 4 },
        { type: 0x48, handle: 33, source: 0xa0, variety: 1, eintPass: true, lint0Pass: true },
        { type: 0x48, variety: 2 },
      ],
    },
    {
      type: 0x40,
      entries: [
        { hardwareId: "AMDI0020", compatibleId: "AMDI0021" },
        { uniqueId: 0x8000000000000005n },
        { uniqueId: "I2C" },
      ],
    },
    {
      kind: "IVMD",
      unity: true,
      readable: true,
      writable: true,
      start: 0x1000n,
      bytes: 0x2000n,
      lastDeviceId: 0,
    },
    { kind: "IVMD", exclusion: true, deviceId: 8, lastDeviceId: 16 },
    { kind: "unknown", type: 0x77 },
  ]);
  const [, , highest] = table.blocks;
  expect(highest!.kind === "IVHD" && "uniqueId" in highest!.entries[0]!).toBe(false);
  expect(effectiveUnits(table)).toEqual([highest]);
});

test("blocks of different units all count", () => {
  const one = block(ivhd10, { type: 0x10, deviceid: 2, base: 0xfd300000 });
  const segment = block(ivhd11, { type: 0x11, deviceid: 2, segment: 1, base: 0xfd400000 });
  expect(effectiveUnits(readIvrs(tableOf([one, segment])))).toHaveLength(2);
});

const start = entry(entryType.rangeStart, 0x10);
const end = entry(entryType.rangeEnd, 0x20);
const unit = block(ivhd10, { type: 0x10, base: 0x4000 });

test.each([
  ["a zero length", tableOf([unit, [0x11, 0, 0, 0]]), ["acpi.ivrs.block-length"]],
  ["a length past the end", tableOf([unit, [0x10, 0, 99, 0]]), ["acpi.ivrs.block-length"]],
  ["a length below its kind's", tableOf([[0x40, 0, 8, 0, 0, 0, 0, 0], unit]), ["acpi.ivrs.block-length"]],
  ["a rest of two bytes", tableOf([unit, [0x10, 0]]), ["acpi.ivrs.block-length"]],
  ["no unit", tableOf([]), ["acpi.ivrs.unit-missing"]],
  ["a unit at zero", tableOf([block(ivhd10, { type: 0x10 })]), ["acpi.ivrs.unit-base"]],
  [
    "a unit off its alignment",
    tableOf([block(ivhd10, { type: 0x10, base: 0x1000 })]),
    ["acpi.ivrs.unit-base"],
  ],
  ["an entry past its block", withEntries([0x42, 0, 0, 0]), ["acpi.ivrs.entry-length"]],
  ["an ACPI entry cut short", withEntries([0xf0, 0, 0, 0, 0, 0, 0, 0]), ["acpi.ivrs.entry-length"]],
  ["an entry of unknowable length", withEntries([0xf1, 0, 0, 0]), ["acpi.ivrs.entry-length"]],
  ["an entry of unknown type", withEntries([0x05, 0, 0, 0], start, end), ["acpi.ivrs.entry-unknown"]],
  ["a range without an end", withEntries(start), ["acpi.ivrs.range"]],
  ["a range within a range", withEntries(start, start, end), ["acpi.ivrs.range"]],
  ["an end without a start", withEntries(end), ["acpi.ivrs.range"]],
  [
    "a range that ends below its start",
    withEntries(start, entry(entryType.rangeEnd, 0xf)),
    ["acpi.ivrs.range"],
  ],
  [
    "a special device of no variety",
    withEntries(bytesOf(ivhdSpecialEntry, { type: 0x48 })),
    ["acpi.ivrs.variety"],
  ],
  [
    "an ACPI device in a block of type 11h",
    withEntries(bytesOf(ivhdAcpiEntry, { type: 0xf0 })),
    ["acpi.ivrs.entry-acpi"],
  ],
  [
    "memory both excluded and mapped",
    tableOf([unit, block(ivmd, { type: 0x20, unity: 1, exclusion: 1 })]),
    ["acpi.ivrs.memory"],
  ],
  [
    "memory of a range that ends below its start",
    tableOf([unit, block(ivmd, { type: 0x22, deviceid: 1 })]),
    ["acpi.ivrs.memory"],
  ],
])("%s is found", (_, bytes, expected) => {
  expect(rulesOf(bytes)).toEqual(expected);
});

test("another table's bytes are refused", () => {
  const bytes = real.slice();
  bytes[0] = 0x44;
  expect(() => readIvrs(bytes)).toThrow('IVRS: offset 0x0: expected signature IVRS, found "DVRS"');
});

test("any bytes behind a header, or as entries, end in a table", () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 300 }), (body) => {
      const bytes = Array.from(body);
      let end = 48;
      for (const { offset, length } of readIvrs(tableOf([bytes])).blocks) {
        expect(offset).toBe(end);
        end = offset + length;
      }
      expect(end).toBeLessThanOrEqual(48 + bytes.length);
      const [unit] = readIvrs(withEntries(bytes)).blocks;
      const offsets = unit!.kind === "IVHD" ? unit!.entries.map(({ offset }) => offset) : [];
      expect(offsets).toEqual([...new Set(offsets)].toSorted((a, b) => a - b));
    }),
  );
});
