import * as fc from "fast-check";
import { expect, test } from "vitest";
import { cpusOfList, cpusOfMask } from "./cpu-set.ts";

test.each([
  ["f", [0, 1, 2, 3]],
  ["0", []],
  ["00000000,00000004", [2]],
  ["80000000,00000001", [0, 63]],
  ["1,00000000,00000000", [64]],
  ["  3\n", [0, 1]],
])("the mask %j has processors %j", (mask, cpus) => {
  expect(cpusOfMask(mask)).toEqual(cpus);
});

test.each([
  ["0-3,128-129", [0, 1, 2, 3, 128, 129]],
  ["2", [2]],
  ["", []],
  ["5,1", [1, 5]],
  ["0-1,1-2", [0, 1, 2]],
])("the list %j has processors %j", (list, cpus) => {
  expect(cpusOfList(list)).toEqual(cpus);
});

test.each(["3-1", "0-99999", "a", "1.5", "1;2", "0-3:1/2"])("%j is no list", (text) => {
  expect(cpusOfList(text)).toBeUndefined();
});

test.each(["", "0x3", "123456789", "f;f", "1.000"])("%j is no mask", (text) => {
  expect(cpusOfMask(text)).toBeUndefined();
});

test("a mask and a list of the same processors are read alike", () => {
  fc.assert(
    fc.property(fc.uniqueArray(fc.integer({ min: 0, max: 255 })), (cpus) => {
      const sorted = cpus.toSorted((a, b) => a - b);
      const value = cpus.reduce((mask, cpu) => mask | (1n << BigInt(cpu)), 0n);
      const groups = value.toString(16).padStart(64, "0").match(/.{8}/g)!;
      expect(cpusOfMask(groups.join(","))).toEqual(sorted);
      expect(cpusOfList(cpus.join(","))).toEqual(sorted);
    }),
  );
});
