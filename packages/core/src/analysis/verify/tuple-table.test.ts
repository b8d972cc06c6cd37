import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { TupleTable, mix } from "./tuple-table.ts";

const width = 3;
/** Few values, so that tuples come again and differ in one word only. */
const tuples = fc.array(
  fc.array(fc.constantFrom(0, 1, -1, 2 ** 31 - 1), { minLength: width, maxLength: width }),
  {
    maxLength: 300,
  },
);

function hashOf(tuple: Int32Array): number {
  return tuple.reduce((hash, word, place) => hash ^ mix(place, word), 0);
}

function intern(table: TupleTable, tuple: readonly number[]): number {
  const key = Int32Array.from([7, ...tuple]);
  return table.intern(key, 1, hashOf(key.subarray(1)));
}

function reserve(): ReturnType<typeof TupleTable.reserve> {
  return TupleTable.reserve({ width, extra: 1, mostRows: 2 ** 16, block: 4 });
}

describe("a tuple", () => {
  test.each([
    ["", -1],
    [", though all hashes are the same", 0],
    [", though hashes are of four kinds", 3],
  ])("has one number, and no other tuple has it%s", (_, hashMask) => {
    fc.assert(
      fc.property(tuples, (all) => {
        const table = new TupleTable(reserve(), 0, hashMask);
        const known = new Map<string, number>();
        for (const tuple of all) {
          const number = intern(table, tuple);
          expect(table.fresh).toBe(!known.has(tuple.join()));
          expect(known.get(tuple.join()) ?? number).toBe(number);
          known.set(tuple.join(), number);
          expect([...table.rows.subarray(number * table.stride, number * table.stride + width)]).toEqual(
            tuple,
          );
        }
        expect(new Set(known.values()).size).toBe(known.size);
        expect(table.count).toBe(known.size);
      }),
    );
  });

  test("keeps its number while the table grows", () => {
    const table = new TupleTable(reserve());
    const numbers = Array.from({ length: 9000 }, (_, i) => {
      if (!table.hasRoom(1)) expect(table.grow(1, Infinity, Infinity)).toBe(true);
      return intern(table, [i, i >> 3, -i]);
    });
    expect(numbers).toEqual(numbers.map((_, i) => i));
    expect(numbers.map((_, i) => intern(table, [i, i >> 3, -i]))).toEqual(numbers);
    expect(table.count).toBe(9000);
  });

  test("has the same number for everybody who adds to the table, in whatever order", () => {
    fc.assert(
      fc.property(fc.array(fc.tuple(fc.nat(2), fc.nat(40)), { maxLength: 400 }), (adds) => {
        const buffers = reserve();
        const tables = [0, 1, 15].map((thread) => new TupleTable(buffers, thread));
        const known = new Map<number, number>();
        for (const [who, value] of adds) {
          const number = intern(tables[who]!, [value, 0, 0]);
          expect(known.get(value) ?? number).toBe(number);
          known.set(value, number);
        }
        expect(tables[0]!.count).toBe(known.size);
        const rows = tables[1]!
          .ranges()
          .flatMap(([from, to]) => Array.from({ length: to - from }, (_, i) => from + i));
        expect(new Set(rows)).toEqual(new Set(known.values()));
        // Rows that were handed out and not used are not taken for tuples.
        tables[2]!.grow(2 ** 14, Infinity, Infinity);
        for (const [value, number] of known) expect(intern(tables[2]!, [value, 0, 0])).toBe(number);
      }),
    );
  });
});

test("a table does not grow past its rows, what is asked for, or what it may cost", () => {
  const table = new TupleTable(reserve());
  expect(table.grow(2 ** 15, Infinity, 2 ** 14)).toBe(false);
  expect(table.grow(2 ** 10, 2 ** 11, 2 ** 20)).toBe(true);
  expect([table.hasRoom(2 ** 11), table.hasRoom(2 ** 11 + 1)]).toEqual([true, false]);
  expect(table.grow(2 ** 15, Infinity, 2 ** 20)).toBe(true);
  expect(table.bytes).toBe(2 ** 16 * 4);
  expect(table.granted).toBeLessThanOrEqual(2 ** 20);
  expect(table.grow(2 ** 17, Infinity, Infinity)).toBe(false);
});
