import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { printRequester } from "../spec/requester.ts";
import { encode } from "../spec/codec.ts";
import { irtePosted, irteRemapped } from "../spec/vtd/irte.ts";
import { advice } from "./causes.ts";
import { explain, explainText } from "./explain.ts";

/** Reason, rule, requester and index of each finding. */
function facts(text: string): unknown[] {
  return explain(text).map(({ reason, rule, requester, index }) => [reason, rule, requester, index]);
}

const words = (entry: bigint): string => {
  const digits = entry.toString(16).padStart(32, "0");
  return `${digits.slice(0, 16)}    ${digits.slice(16)}`;
};
const hex8 = (value: number): string => value.toString(16).padStart(8, "0");
const byte = (value: number): string => value.toString(16).padStart(2, "0");
const irqtbl = (row: string): string => `DeviceId 0000:01:00.0\nIRT[0005] ${row}`;
const devtbl = (word: string): string =>
  `0000:01:00.0 0000000000000000 ${word} 0000000000000038 6000000114d7b603 iommu3`;
const lspci = (count: string, address: string, data: string, enable = "+"): string =>
  `Capabilities: [90] MSI: Enable${enable} Count=${count} Maskable+ 64bit+\n\tAddress: 00000000${address}  Data: ${data}`;

describe("pasted VT-d entries", () => {
  const remapped = fc.record({
    sid: fc.nat(0xffff),
    svt: fc.constant(1),
    v: fc.integer({ min: 16, max: 254 }),
    dst: fc.nat(0xffffffff),
    index: fc.nat(0xffff),
  });

  test("as the kernel prints them are in order, whatever their content", () => {
    fc.assert(
      fc.property(remapped, ({ index, ...fields }) => {
        const entry = encode(irteRemapped, { p: 1, ...fields });
        const row = ` ${index} ${printRequester(fields.sid)} ${hex8(fields.dst)} ${byte(fields.v)}  ${words(entry)}`;
        expect(explain(row)).toEqual([]);
      }),
    );
    fc.assert(
      fc.property(remapped, fc.nat(0x3ffffff), ({ index, sid, v, dst }, high) => {
        const pda = (BigInt(high) << 32n) | BigInt((dst & ~63) >>> 0);
        const entry = encode(irtePosted, { p: 1, im: 1, svt: 1, sid, vv: v, pda });
        const low = hex8((dst & ~63) >>> 0);
        const row = ` ${index} ${printRequester(sid)} ${hex8(high)} ${low} ${byte(v)}  ${words(entry)}`;
        expect(explain(row)).toEqual([]);
      }),
    );
  });

  test("that somebody made up disagree with themselves", () => {
    const invented = " 3 00:0a.0 00000001 23456040 f7  0000000123456789 00000000abcdef01";
    const [first] = explain(invented);
    expect(first).toMatchObject({ rule: "linux.debugfs.row-disagrees", requester: "00:0a.0", index: 3 });
    expect(first!.what).toContain("vector 0xf7 is 0xcd in the entry");
    expect(explain(" 0 00:0a.0 00000081 24  0000000000040050 000000800024000d")[0]!.what).toContain(
      "DstID 0x81",
    );
    expect(explain(" 0 00:0a.0 00000080 24  0000000000040050 000000800024800d")[0]!.what).toContain(
      "is posted",
    );
    expect(explain(" 0 00:0a.0 00000000 80002400 24 0000000000040050 000000800024000d")[0]!.what).toContain(
      "the entry is remapped",
    );
  });

  test("that are not present, or illegal, are faults in waiting", () => {
    expect(facts("0000000000040050 0000008000240000")).toEqual([
      [0x22, "vtd.ir.not-present", "00:0a.0", null],
    ]);
    expect(explain("0000000000040050 0000008000240002")[0]!.what).toContain("without a record");
    expect(facts("0000000000040050 0000008000241001")).toEqual([
      [0x24, "vtd.irte.reserved", "00:0a.0", null],
    ]);
    expect(explain("0000000000040050 0000008000241001")[0]!.causes).toEqual(
      advice["vtd.ir.entry-reserved"]!.causes,
    );
    expect(facts("00000000000c0050 0000008000240001")).toEqual([[0x24, "vtd.irte.svt", "00:0a.0", null]]);
  });

  test("that are in order are described, with what depends on settings", () => {
    const { what } = explainText("0000000000000050 000000800024000d").remarks[0]!;
    expect(what).toMatch(
      /^VT-d entry delivers from 00:0a.0 vector 0x24 \(fixed\) to logical destination 0x80; /,
    );
    expect(what).toMatch(
      /wrong with EIME=0 \(vtd\.irte\.xapic-destination\); SVT is 0, so any requester may use it\.$/,
    );
    expect(explainText("0000000100040050 2345604000f7c001").remarks[0]!.what).toContain(
      "posts from 00:0a.0 vector 0xf7 to the descriptor at 0x123456040, urgent",
    );
  });
});

test("rows of irqtbl belong to the device above them", () => {
  expect(facts(irqtbl("0000000000000020 0000000000000241"))).toEqual([]);
  expect(explainText(irqtbl("0000000000000020 0000000000000241")).remarks[0]!.what).toBe(
    "Entry 5 delivers vector 0x20 to destination 0x2.",
  );
  expect(explainText(irqtbl("0000000000001020 00000000000002c1")).remarks[0]!.what).toContain(
    "posts vector 0x20",
  );
  expect(explainText(irqtbl("0000000000000020 0000000000020041")).remarks[0]!.what).toContain("XTEn=0");
  expect(facts(irqtbl("0000000000000020 0000000000000240"))).toEqual([
    [2, "amdvi.ir.not-enabled", "0000:01:00.0", 5],
  ]);
  expect(facts(irqtbl("0000000000000020 0000000000000249"))).toEqual([
    [2, "amdvi.irte.int-type", "0000:01:00.0", 5],
  ]);
  expect(facts(irqtbl("ff210041"))).toEqual([[2, "amdvi.irte.reserved", "0000:01:00.0", 5]]);
});

test("a row of devtbl is judged by its interrupt fields", () => {
  expect(explainText(devtbl("20000001373b8013"))).toMatchObject({ findings: [], remarks: [{ line: 1 }] });
  expect(facts(devtbl("20000001373b801f"))).toEqual([[1, "amdvi.dte.inttablen", "0000:01:00.0", null]]);
  for (const [word, what] of [
    ["0000000000000000", "IV is 0"],
    ["0000000000000001", "IntCtl is 00b"],
    ["1000000000000001", "IntCtl is 01b"],
  ] as const) {
    expect(explainText(devtbl(word)).remarks[0]!.what).toContain(what);
  }
});

describe("messages", () => {
  test.each([
    ["fee00338", 25],
    ["fee00598", 44],
    ["fee00798", 60],
    ["fee008d8", 70],
    ["fee00578", 43],
    ["fee0001c", 32768],
  ])("lspci's address %s has index %i", (address, index) => {
    const { findings, remarks } = explainText(`Address: 00000000${address}  Data: 0000`);
    expect(findings).toEqual([]);
    expect(remarks[0]!.what).toContain(`index ${index} `);
  });

  test("in compatibility format are told so, with the index that AMD-Vi reads", () => {
    expect(explainText("Address: 00000000fee00000  Data: 4039").remarks[0]!.what).toMatch(
      /compatibility.* index is 57/,
    );
    expect(explain("Address: 00000000fee00000  Data: 0000")).toEqual([]);
  });

  test("of a function with one vector carry no data, and a block is aligned to its size", () => {
    expect(facts(lspci("1/1", "fee00338", "0000"))).toEqual([]);
    expect(facts(lspci("1/1", "fee00338", "0002"))).toEqual([[null, "linux.ir.single-msi-data", null, 27]]);
    expect(facts(lspci("1/1", "fee00338", "0002", "-"))).toEqual([]);
    expect(facts(lspci("2/32", "fee00618", "0000"))).toEqual([]);
    expect(facts(lspci("4/32", "fee005d8", "0000"))).toEqual([
      [null, "linux.ir.multi-msi-alignment", null, 46],
    ]);
    expect(facts("Address: 00000000fee00338  Data: 0002")).toEqual([]);
  });

  test("that no unit would accept are findings", () => {
    expect(facts("fee00338 10000")).toEqual([[0x20, "msi.remappable.data-reserved", null, 25]]);
    expect(facts("fee0001c 0000ffff")).toEqual([[0x21, "vtd.ir.index-out-of-range", null, null]]);
    expect(facts("Address: 00000000fdd00338  Data: 0000")).toEqual([[null, "msi.address.prefix", null, 25]]);
    expect(explainText("Address: 0000000000000000  Data: 0000")).toMatchObject({
      understood: 1,
      findings: [],
    });
  });
});
