import { readFileSync } from "node:fs";
import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { readIntelDebugfs } from "./intel-debugfs.ts";

const text = readFileSync(new URL("../fixtures/intel-debugfs.txt", import.meta.url), "latin1");
const { units } = readIntelDebugfs(text);

/** Tables as the kernel prints them, with tabs; posted rows as its format has them. */
const printed = [
  "Remapped Interrupt supported on IOMMU: dmar0",
  " IR table address:100900000",
  " Entry SrcID   DstID    Vct IRTE_high\t\tIRTE_low",
  " 0     00:0a.0 00000080 24  0000000000040050\t000000800024000d",
  "",
  "Remapped Interrupt supported on IOMMU: dmar1",
  "Interrupt Remapping is not enabled",
  "",
  "****",
  "",
  "Posted Interrupt supported on IOMMU: dmar0",
  " IR table address:100900000",
  " Entry SrcID   PDA_high PDA_low  Vct IRTE_high\t\tIRTE_low",
  " 7     01:00.0 00000001 23456040 41  0000000100040100\t2345604000418001",
  "",
].join("\n");

describe("the example of the kernel's documentation", () => {
  test("has a table for each unit", () => {
    expect(units.map(({ name, table }) => [name, table!.base, [...table!.entries]])).toEqual([
      [
        "dmar0",
        0x1_0090_0000n,
        [
          [0, (0x40050n << 64n) | 0x80_0024_000dn],
          [1, (0x40050n << 64n) | 0x1_00ef_000dn],
        ],
      ],
      ["dmar1", 0x1_0030_0000n, [[0, (0x40010n << 64n) | 0x2_0026_000dn]]],
    ]);
  });

  test("leaves rows out where it says so", () => {
    expect(units.map(({ table }) => [table!.posted, table!.cut])).toEqual([
      [true, false],
      [true, true],
    ]);
  });

  test("has registers", () => {
    expect(units[0]!.registers).toMatchObject({ base: 0x2_6be3_7000n });
    expect(units[0]!.registers!.values.map(({ name, offset, value }) => [name, offset, value])).toEqual([
      ["VER", 0, 0x10n],
      ["GCMD", 0x18, 0n],
      ["GSTS", 0x1c, 0xc700_0000n],
      ["FSTS", 0x34, 0n],
      ["FECTL", 0x38, 0n],
    ]);
  });

  test("has queues of two and of four quadwords a descriptor", () => {
    expect(units.map(({ queue }) => queue)).toMatchObject([
      { base: 0x1_0022_e000n, head: 20, tail: 20 },
      { base: 0x1_0026_e000n, head: 32, tail: 32 },
    ]);
    expect(units.map(({ queue }) => queue!.descriptors)).toEqual(
      [
        [0x14n, (0x1_0005_9c04n << 64n) | 0x2_0000_0025n, 0x14n],
        [0x4n, (0x1_0005_9804n << 64n) | 0x2_0000_0025n, 0x11n],
      ].map((values) => values.map((value) => ({ value, status: 0 }))),
    );
  });
});

test("rows are read with tabs and with spaces, remapped and posted ones into one table", () => {
  const [first, second] = readIntelDebugfs(printed).units;
  expect([...first!.table!.entries.keys()]).toEqual([0, 7]);
  expect(first!.table).toMatchObject({ posted: true, cut: false });
  expect(second).toMatchObject({ name: "dmar1", disabled: 7 });
  expect(readIntelDebugfs(printed.replaceAll("\t", "    ")).units).toEqual(readIntelDebugfs(printed).units);
  expect(readIntelDebugfs(printed.replaceAll("\n", "\r\n")).units).toEqual(readIntelDebugfs(printed).units);
});

test("a table without what follows the remapped entries may have posted ones", () => {
  expect(readIntelDebugfs(printed.split("****", 1)[0]!).units[0]!.table!.posted).toBe(false);
});

test.each([
  ["vector", " 24  0000000000040050", " 25  0000000000040050"],
  ["source id", "00:0a.0", "00:0b.0"],
])("a row whose %s is not that of its entry is not believed", (_, real, changed) => {
  expect(readIntelDebugfs(printed.replace(real, changed)).units[0]!.table!.entries.has(0)).toBe(false);
});

test("rows without a heading are of a unit without a name", () => {
  const [row] = printed.split("\n").slice(3);
  expect(readIntelDebugfs(row!).units).toMatchObject([{ name: null, table: { base: null, posted: false } }]);
});

test("edited text never yields an entry that stands nowhere in it", () => {
  fc.assert(
    fc.property(
      fc.array(fc.tuple(fc.nat({ max: printed.length }), fc.nat({ max: 4 }), fc.string({ maxLength: 4 })), {
        maxLength: 5,
      }),
      (edits) => {
        const changed = edits.reduce(
          (text, [at, cut, put]) => text.slice(0, at) + put + text.slice(at + cut),
          printed,
        );
        for (const { table } of readIntelDebugfs(changed).units) {
          for (const entry of table?.entries.values() ?? []) {
            const digits = entry.toString(16).padStart(32, "0");
            expect(changed.toLowerCase()).toContain(digits.slice(0, 16));
            expect(changed.toLowerCase()).toContain(digits.slice(16));
          }
        }
      },
    ),
  );
});
