import { describe, expect, test } from "vitest";
import { encode } from "../../spec/codec.ts";
import {
  commandCodes,
  invalidateDevtabEntry,
  invalidateInterruptTable,
  invalidateIommuAll,
} from "../../spec/amdvi/commands.ts";
import { irte32, irteRemapped128 } from "../../spec/amdvi/irte.ts";
import { control } from "../../spec/amdvi/registers.ts";
import { Outcome } from "../delivery.ts";
import { eventKinds } from "../event.ts";
import { controlOf } from "./bring-up.ts";
import { type AmdviProfile, amdviStrict } from "./profile.ts";
import { place, testbed } from "./testbed.ts";
import { TableCache, slotWords } from "./table-cache.ts";

const other = 0x0028;
const first = encode(irte32, { remapen: 1, dest: 1, vector: 0x41 });
const second = encode(irte32, { remapen: 1, dest: 1, vector: 0x77 });
const uncached: AmdviProfile = { ...amdviStrict, cacheTables: false, cacheDevices: false };

const dropTable = (devid: number): bigint =>
  encode(invalidateInterruptTable, { devid, opcode: commandCodes.INVALIDATE_INTERRUPT_TABLE });
const dropDevice = (devid: number): bigint =>
  encode(invalidateDevtabEntry, { devid, opcode: commandCodes.INVALIDATE_DEVTAB_ENTRY });
const dropAll = encode(invalidateIommuAll, { opcode: commandCodes.INVALIDATE_IOMMU_ALL });

type Bed = ReturnType<typeof testbed>;

/** Sends index 5 and tells the vector that came out, or the fault. */
function vectorOf(bed: Bed, device: number = place.device): number | string {
  const outcome = bed.send(5, 0, device);
  if (outcome === Outcome.remapped) return bed.fabric.deliveries.at(-1)!.vector;
  return outcome === Outcome.passed ? "passed" : bed.unit.fault!.name;
}

/** A unit that has used the first entry, which has been changed to the second since. */
function changed(profile: AmdviProfile = amdviStrict, setup = {}): Bed {
  const bed = testbed(profile, setup);
  bed.device({}, other);
  bed.entry(5, irte32, first);
  expect(vectorOf(bed)).toBe(0x41);
  bed.entry(5, irte32, second);
  return bed;
}

describe("a changed interrupt table entry", () => {
  test("is not seen until the device's table is invalidated", () => {
    const bed = changed();
    expect(vectorOf(bed)).toBe(0x41);
    bed.command(dropTable(other));
    expect(vectorOf(bed)).toBe(0x41);
    bed.command(dropTable(place.device));
    expect(vectorOf(bed)).toBe(0x77);
    expect(bed.reported(eventKinds.entry).map(([, hit]) => hit)).toEqual([0, 1, 1, 0]);
    expect(bed.reported(eventKinds.invalidated)).toEqual([
      [-1, -1, other, 0, 0, 0],
      [-1, -1, place.device, 0, 0, 0],
    ]);
  });

  test("is seen by another device that shares the table", () => {
    expect(vectorOf(changed(), other)).toBe(0x77);
  });

  test("is seen after INVALIDATE_IOMMU_ALL", () => {
    const bed = changed();
    bed.command(dropAll);
    expect(vectorOf(bed)).toBe(0x77);
    expect(bed.reported(eventKinds.invalidated)).toEqual([[-1, -1, -1, 0, 0, 0]]);
  });

  test("is not seen after INVALIDATE_DEVTAB_ENTRY", () => {
    const bed = changed();
    bed.command(dropDevice(place.device));
    expect(vectorOf(bed)).toBe(0x41);
  });

  test("is seen at once where the profile keeps none", () => {
    expect(vectorOf(changed(uncached))).toBe(0x77);
  });

  test("is seen at once while IRTCacheDis is 1", () => {
    const bed = testbed();
    bed.write("CONTROL", controlOf({ deviceTable: 0 }) | encode(control, { irtcachedis: 1 }));
    bed.entry(5, irte32, first);
    expect(vectorOf(bed)).toBe(0x41);
    bed.entry(5, irte32, second);
    expect(vectorOf(bed)).toBe(0x77);
  });

  test("is seen once IRTCacheDis has dropped what was kept", () => {
    const bed = changed();
    bed.write("CONTROL", controlOf({ deviceTable: 0 }) | encode(control, { irtcachedis: 1 }));
    bed.write("CONTROL", controlOf({ deviceTable: 0 }));
    expect(vectorOf(bed)).toBe(0x77);
  });

  test("that is cleared goes on working until it is invalidated", () => {
    const bed = changed();
    bed.entry(5, irte32, 0n);
    expect(vectorOf(bed)).toBe(0x41);
    bed.command(dropTable(place.device));
    expect(vectorOf(bed)).toBe("notEnabled");
  });

  test("is bounded by IntTabLen though it is kept", () => {
    const bed = changed();
    bed.device({ inttablen: 1 });
    bed.command(dropDevice(place.device));
    expect(vectorOf(bed)).toBe("indexOutOfRange");
  });
});

describe("an entry that cannot be used", () => {
  test.each([0n, first | 0xff00_0000n, encode(irte32, { remapen: 1, inttype: 3 })])(
    "is not kept: %s",
    (bad) => {
      const bed = testbed();
      bed.entry(5, irte32, bad);
      expect(bed.send(5)).toBe(Outcome.blocked);
      bed.entry(5, irte32, first);
      expect(vectorOf(bed)).toBe(0x41);
    },
  );
});

test("a change of the entries' form drops every kept entry", () => {
  const bed = changed();
  bed.write("CONTROL", controlOf({ deviceTable: 0, ga: true }));
  bed.entry(5, irteRemapped128, encode(irteRemapped128, { remapen: 1, dest: 1, vector: 0x99 }));
  expect(vectorOf(bed)).toBe(0x99);
});

describe("a changed device table entry", () => {
  test("is not seen until it is invalidated", () => {
    const bed = changed();
    bed.device({ intctl: 1 });
    expect(vectorOf(bed)).toBe(0x41);
    bed.command(dropDevice(other));
    expect(vectorOf(bed)).toBe(0x41);
    bed.command(dropDevice(place.device));
    expect(vectorOf(bed)).toBe("passed");
    expect(bed.reported(eventKinds.invalidated).at(-1)).toEqual([-1, -1, place.device, 1, 0, 0]);
  });

  test("is seen after INVALIDATE_IOMMU_ALL", () => {
    const bed = changed();
    bed.device({ intctl: 0 });
    bed.command(dropAll);
    expect(vectorOf(bed)).toBe("controlAbort");
  });

  test("is seen at once where the profile keeps none", () => {
    const bed = changed(uncached);
    bed.device({ intctl: 1 });
    expect(vectorOf(bed)).toBe("passed");
  });

  test("that had V and IV at 0 is seen at once", () => {
    const bed = testbed();
    bed.device({ v: 0, iv: 0 });
    expect(vectorOf(bed)).toBe("passed");
    bed.device({});
    bed.entry(5, irte32, first);
    expect(vectorOf(bed)).toBe(0x41);
  });

  test("keeps a device aborted that was aborted before its first interrupt was set up", () => {
    const bed = testbed();
    bed.device({ intctl: 0 });
    expect(vectorOf(bed)).toBe("controlAbort");
    bed.device({});
    bed.entry(5, irte32, first);
    expect(vectorOf(bed)).toBe("controlAbort");
    bed.command(dropDevice(place.device));
    expect(vectorOf(bed)).toBe(0x41);
  });
});

const held = (cache: TableCache, device: number, index: number): number =>
  cache.table(device)[index * slotWords]!;

describe("the cache of interrupt tables", () => {
  const words = new Int32Array([7, 8, 9, 10]);

  test("keeps no more devices than it has room for, until one goes", () => {
    const cache = new TableCache(1);
    cache.hold(1, 2047, words, 0, 4);
    cache.hold(2, 0, words, 0, 4);
    expect([held(cache, 1, 2047), held(cache, 2, 0)]).toEqual([1, 0]);
    cache.invalidate(2);
    cache.hold(2, 0, words, 0, 4);
    expect(held(cache, 2, 0)).toBe(0);
    cache.invalidate(1);
    cache.hold(2, 0, words, 0, 1);
    expect([...cache.table(2).subarray(0, slotWords)]).toEqual([1, 7, 0, 0, 0]);
    cache.invalidateAll();
    cache.hold(3, 1, words, 0, 4);
    expect([held(cache, 2, 0), held(cache, 3, 1), held(cache, 4, 1)]).toEqual([0, 1, 0]);
  });
});
