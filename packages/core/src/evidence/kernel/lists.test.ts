import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { InputError } from "../input-error.ts";
import { hashListOf, listOf } from "./lists.ts";
import { BtfWriter } from "./testing/btf-writer.ts";
import { SyntheticKernel } from "./testing/synthetic-kernel.ts";

const btf = new BtfWriter();
const long = btf.int("long", 8);
const link = btf.struct("list_head", 16, [["next", btf.pointer(0), 0], ["prev", btf.pointer(0), 64]]); // prettier-ignore
btf.struct("unit", 32, [
  ["number", long, 0],
  ["list", link, 64],
]);

const head = 0x1000n;
const linkAt = (i: number): bigint => 0x2000n + BigInt(i) * 0x40n + 8n;

/** Units whose links point where they are told, or to the next and at the end to `end`. */
function linked(count: number, end: bigint, others: Readonly<Record<number, bigint>> = {}): SyntheticKernel {
  const kernel = new SyntheticKernel(btf.finish());
  kernel.memory.put(head, count === 0 ? end : linkAt(0));
  for (let i = 0; i < count; i++) {
    kernel.memory.put(linkAt(i) - 8n, i);
    kernel.memory.put(linkAt(i), others[i] ?? (i + 1 === count ? end : linkAt(i + 1)));
  }
  return kernel;
}

const numbers = (units: Iterable<{ u64(name: string): bigint }>): number[] =>
  [...units].map((unit) => Number(unit.u64("number")));

test("a list has its structures in their order, up to its head or to what ends it", () => {
  fc.assert(
    fc.property(fc.nat(100), (count) => {
      const expected = Array.from({ length: count }, (_, i) => i);
      expect(numbers(listOf(linked(count, head), head, "unit", "list"))).toEqual(expected);
      expect(numbers(hashListOf(linked(count, 0n), head, "unit", "list"))).toEqual(expected);
      expect(numbers(hashListOf(linked(count, 7n), head, "unit", "list"))).toEqual(expected);
    }),
    { numRuns: 30 },
  );
});

describe("a list that does not end is named", () => {
  test.each([
    [0, 0],
    [4, 4],
    [4, 2],
    [4, 0],
  ])("element %d points back to %d", (from, to) => {
    const kernel = linked(5, head, { [from]: linkAt(to) });
    expect(() => numbers(listOf(kernel, head, "unit", "list"))).toThrow(InputError);
    expect(() => numbers(hashListOf(kernel, head, "unit", "list"))).toThrow(
      `memory: list at 0x1000: expected it to end, it runs in a circle after ${from + 1} elements`,
    );
  });

  test("it is longer than one can be", () => {
    const kernel = linked(65_537, head);
    expect(() => numbers(listOf(kernel, head, "unit", "list"))).toThrow(/found more than 65536 elements/);
  });
});

test("a list that leads out of memory, of no such structure or by no such member ends in one line", () => {
  const kernel = linked(3, 0x9000_0000n);
  expect(() => numbers(listOf(kernel, head, "unit", "list"))).toThrow("8 bytes at 0x90000000: never written");
  expect(() => numbers(listOf(kernel, head, "none", "list"))).toThrow("expected struct none");
  expect(() => numbers(listOf(kernel, head, "unit", "node"))).toThrow(
    "struct unit of kernel 6.1.0: expected a member node",
  );
});
