import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { decode, encode } from "../../spec/codec.ts";
import { vtdStrict } from "../../hardware/vtd/profile.ts";
import { extendedCapability } from "../../spec/vtd/registers.ts";
import { enableIrX2apic } from "../remapping.ts";
import { host } from "../testbed.ts";
import { intelRemapping } from "./remapping-state.ts";
import { RemappingTable, allocIrte, tableEntries } from "./table.ts";

describe("the table", () => {
  test("hands out aligned blocks that never overlap, and takes every one back", () => {
    const action = fc.oneof(
      { weight: 3, arbitrary: fc.record({ take: fc.nat({ max: 12 }) }) },
      { weight: 2, arbitrary: fc.record({ free: fc.nat() }) },
    );
    fc.assert(
      fc.property(fc.array(action, { maxLength: 60 }), (actions) => {
        const table = new RemappingTable(0);
        const blocks: { index: number; order: number }[] = [];
        const owner = new Int32Array(tableEntries);
        let name = 0;
        for (const one of actions) {
          if ("take" in one) {
            const index = table.take(one.take);
            if (index < 0) continue;
            const count = 2 ** one.take;
            expect(index % count).toBe(0);
            expect(owner.subarray(index, index + count).every((who) => who === 0)).toBe(true);
            owner.fill(++name, index, index + count);
            blocks.push({ index, order: one.take });
          } else if (blocks.length > 0) {
            const [block] = blocks.splice(one.free % blocks.length, 1);
            table.release(block!.index, block!.order);
            owner.fill(0, block!.index, block!.index + 2 ** block!.order);
          }
        }
        expect(table.allocated).toBe(owner.filter((who) => who !== 0).length);
        for (const { index, order } of blocks) table.release(index, order);
        expect(table.allocated).toBe(0);
      }),
    );
  });

  test("fills up to the last entry, and is full then", () => {
    const table = new RemappingTable(0);
    for (let i = 0; i < tableEntries / 4096; i++) expect(table.take(12)).toBe(i * 4096);
    expect(table.take(0)).toBe(-1);
    table.release(8192, 12);
    expect(table.take(0)).toBe(8192);
    expect(table.take(12)).toBe(-1);
  });

  test("takes the first block that fits, not the first that is free", () => {
    const table = new RemappingTable(0);
    for (const index of [0, 1, 2]) expect(table.take(0)).toBe(index);
    expect(table.take(2)).toBe(4);
    expect(table.take(0)).toBe(3);
  });
});

function unit(mhmv: number) {
  const ecap = { ...decode(extendedCapability, vtdStrict.extendedCapability), mhmv };
  const profile = { ...vtdStrict, extendedCapability: encode(extendedCapability, ecap) };
  const { k } = host({ profile });
  enableIrX2apic(k);
  return { k, iommu: intelRemapping(k).units[0]! };
}

describe("entries for several MSIs", () => {
  test.each([
    [1, 0],
    [2, 1],
    [3, 2],
    [16, 4],
    [17, 5],
  ])("for %i of them are a block of 2^%i", (count, mask) => {
    const { k, iommu } = unit(15);
    expect(allocIrte(k, iommu, count)).toMatchObject({ index: 0, mask, subHandle: 0 });
    expect(iommu.table!.allocated).toBe(2 ** mask);
  });

  test("are refused where one invalidation cannot cover them", () => {
    const { k, iommu } = unit(3);
    expect(allocIrte(k, iommu, 8)).not.toBeNull();
    expect(allocIrte(k, iommu, 9)).toBeNull();
    expect(k.log.lines.at(-1)!.text).toBe(
      "DMAR-IR: Requested mask 4 exceeds the max invalidation handle mask value 3",
    );
  });

  test("are refused when the table is full", () => {
    const { k, iommu } = unit(15);
    iommu.table!.take(16);
    expect(allocIrte(k, iommu, 1)).toBeNull();
    expect(k.log.lines.at(-1)!.text).toBe("DMAR-IR: IR0: can't allocate an IRTE");
  });
});
