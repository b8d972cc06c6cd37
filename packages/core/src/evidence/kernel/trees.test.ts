import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { InputError } from "../input-error.ts";
import { BtfWriter } from "./testing/btf-writer.ts";
import { SyntheticKernel } from "./testing/synthetic-kernel.ts";
import { type TreeEntry, mapleTreeOf, xarrayOf } from "./trees.ts";

const btf = new BtfWriter();
const long = btf.int("long", 8);
const byte = btf.int("char", 1);
const pointer = btf.pointer(0);
btf.struct("xarray", 16, [["xa_head", pointer, 64]]);
btf.struct("xa_node", 576, [
  ["shift", byte, 0],
  ["slots", btf.array(pointer, 64), 320],
]);
btf.struct("maple_tree", 24, [["ma_root", pointer, 64]]);
btf.struct("maple_range_64", 256, [
  ["pivot", btf.array(long, 15), 64],
  ["slot", btf.array(pointer, 16), 1024],
]);
btf.struct("maple_arange_64", 248, [
  ["pivot", btf.array(long, 9), 64],
  ["slot", btf.array(pointer, 10), 640],
]);
const bytes = btf.finish();

const root = 0x1000n;
const most = (1n << 64n) - 1n;
const pointerTo = (index: number): bigint => 0xffff_8880_0000_0000n + BigInt(index) * 64n;

/** A tree that is written node by node. */
class Tree {
  readonly kernel = new SyntheticKernel(bytes);
  #next = 0x1_0000n;

  constructor(type: "xarray" | "maple_tree") {
    this.kernel.set(type, root, type === "xarray" ? "xa_head" : "ma_root", 0);
  }

  xarrayNode(shift: number, slots: readonly (readonly [number, bigint])[]): bigint {
    const node = (this.#next += 0x400n);
    this.kernel.memory.write(node, new Uint8Array(576));
    this.kernel.set("xa_node", node, "shift", shift);
    for (const [i, entry] of slots) this.kernel.memory.put(node + 40n + BigInt(8 * i), entry);
    return node | 2n;
  }

  /** The nodes above the entries at these indices, in ascending order. */
  xarray(indices: readonly number[]): void {
    let entries = indices.map((index) => [index, pointerTo(index)] as const);
    for (let shift = 0; shift === 0 || entries.length > 1 || entries[0]![0] > 0; shift += 6) {
      const groups = new Map<number, (readonly [number, bigint])[]>();
      for (const [index, entry] of entries) {
        const group = groups.get(Math.floor(index / 64)) ?? [];
        groups.set(Math.floor(index / 64), [...group, [index % 64, entry]]);
      }
      entries = [...groups].map(([index, slots]) => [index, this.xarrayNode(shift, slots)] as const);
    }
    this.kernel.set("xarray", root, "xa_head", entries[0]![1]);
  }

  /** @param slots what each holds, and the last index that it holds it for. */
  mapleNode(type: 1 | 2 | 3, slots: readonly (readonly [last: bigint, entry: bigint])[]): bigint {
    const node = (this.#next += 0x400n);
    const name = type === 3 ? "maple_arange_64" : "maple_range_64";
    const [pivots, at, size] = type === 3 ? [9, 80n, 248] : [15, 128n, 256];
    this.kernel.memory.write(node, new Uint8Array(size));
    for (const [i, [last, entry]] of slots.entries()) {
      // What lasts up to the end of the tree may have no pivot.
      if (i < pivots && last !== most) this.kernel.memory.put(node + 8n + BigInt(8 * i), last);
      this.kernel.memory.put(node + at + BigInt(8 * i), entry);
    }
    expect(this.kernel.types.type(name)).toBeDefined();
    return node | BigInt(type << 3) | 4n;
  }

  /** Leaves above single indices and the gaps between, and nodes above them. */
  maple(indices: readonly number[], width: number): void {
    const slots: (readonly [bigint, bigint])[] = [];
    let from = 0;
    for (const index of indices) {
      if (index > from) slots.push([BigInt(index - 1), 0n]);
      slots.push([BigInt(index), pointerTo(index)]);
      from = index + 1;
    }
    slots.push([most, 0n]);
    let type: 1 | 2 | 3 = 1;
    let level = slots;
    do {
      const nodes: (readonly [bigint, bigint])[] = [];
      for (let i = 0; i < level.length; i += width) {
        const part = level.slice(i, i + width);
        nodes.push([part.at(-1)![0], this.mapleNode(type, part)]);
      }
      level = nodes;
      type = type === 3 ? 2 : 3;
    } while (level.length > 1);
    this.kernel.set("maple_tree", root, "ma_root", level[0]![1] | 2n);
  }
}

const indices = fc
  .uniqueArray(fc.nat(5000), { minLength: 1, maxLength: 200 })
  .map((list) => list.sort((a, b) => a - b));
const expected = (list: readonly number[]): TreeEntry[] => list.map((index) => [index, pointerTo(index)]);

test("an XArray has its entries at their indices, in ascending order", () => {
  fc.assert(
    fc.property(indices, (list) => {
      const tree = new Tree("xarray");
      tree.xarray(list);
      expect([...xarrayOf(tree.kernel, root)]).toEqual(expected(list));
    }),
    { numRuns: 40 },
  );
});

test("a maple tree has its entries at their indices, in ascending order", () => {
  fc.assert(
    fc.property(indices, fc.integer({ min: 2, max: 10 }), (list, width) => {
      const tree = new Tree("maple_tree");
      tree.maple(list, width);
      expect([...mapleTreeOf(tree.kernel, root)]).toEqual(expected(list));
    }),
    { numRuns: 40 },
  );
});

test("a full leaf of 16 has its last entry without a pivot", () => {
  const tree = new Tree("maple_tree");
  const slots = Array.from({ length: 16 }, (_, i) => [i === 15 ? most : BigInt(i), pointerTo(i)] as const);
  tree.kernel.set("maple_tree", root, "ma_root", tree.mapleNode(1, slots) | 2n);
  expect([...mapleTreeOf(tree.kernel, root)]).toEqual(expected(slots.map((_, i) => i)));
});

describe.each([
  ["xarray", "xa_head", xarrayOf],
  ["maple_tree", "ma_root", mapleTreeOf],
] as const)("a tree of one entry (%s)", (type, member, entries) => {
  test.each([
    [0n, []],
    [pointerTo(3), [[0, pointerTo(3)]]],
    [1026n, []],
    [1030n, []],
  ])("%s at its root", (entry, found) => {
    const { kernel } = new Tree(type);
    kernel.set(type, root, member, entry);
    expect([...entries(kernel, root)]).toEqual(found);
  });
});

test("marks of the tree itself are no entries", () => {
  const array = new Tree("xarray");
  const slots = [[0, 1030n], [1, 6n], [2, pointerTo(2)], [3, 9n]] as const; // prettier-ignore
  array.kernel.set("xarray", root, "xa_head", array.xarrayNode(0, slots));
  expect([...xarrayOf(array.kernel, root)]).toEqual([
    [2, pointerTo(2)],
    [3, 9n],
  ]);
  const maple = new Tree("maple_tree");
  const leaf = maple.mapleNode(1, [[0n, 1030n], [4n, pointerTo(4)], [most, 0n]]); // prettier-ignore
  maple.kernel.set("maple_tree", root, "ma_root", leaf | 2n);
  expect([...mapleTreeOf(maple.kernel, root)]).toEqual([[1, pointerTo(4)]]);
});

/** Walks an XArray whose root is made so. */
function array(fill: (tree: Tree) => bigint): () => unknown {
  const tree = new Tree("xarray");
  tree.kernel.set("xarray", root, "xa_head", fill(tree));
  return () => [...xarrayOf(tree.kernel, root)];
}

/** Walks a maple tree whose root is made so. */
function maple(fill: (tree: Tree) => bigint): () => unknown {
  const tree = new Tree("maple_tree");
  tree.kernel.set("maple_tree", root, "ma_root", fill(tree));
  return () => [...mapleTreeOf(tree.kernel, root)];
}

describe("a tree that is none ends in one line", () => {
  test.each([
    [
      "a node in itself",
      array((tree) => {
        const node = tree.xarrayNode(6, []);
        tree.kernel.memory.put(node - 2n + 40n, node);
        return node;
      }),
      /expected a shift below 6, found 6/,
    ],
    [
      "a shift past 64 bits",
      array((tree) => tree.xarrayNode(200, [])),
      /expected a shift below 64, found 200/,
    ],
    [
      "a node twice",
      array((tree) => {
        const leaf = tree.xarrayNode(0, [[0, pointerTo(0)]]);
        return tree.xarrayNode(6, [[0, leaf], [1, leaf]]); // prettier-ignore
      }),
      /tree at 0x1000: expected each node once/,
    ],
    ["a node that is not there", array(() => 0x7777_0002n), /576 bytes at 0x77770000/],
    [
      "a maple node in itself",
      maple((tree) => {
        const node = tree.mapleNode(2, [[most, 0n]]);
        tree.kernel.memory.put((node & ~0xffn) + 128n, node);
        return node | 2n;
      }),
      /expected each node once/,
    ],
    [
      "a node of no known type",
      maple((tree) => (tree.mapleNode(1, []) & ~0xffn) | 0x3en),
      /nodes of type 1 to 3 and 16 levels, found type 7/,
    ],
    ["ranges that go back", maple((tree) => tree.mapleNode(1, [[9n, 0n], [5n, pointerTo(5)]]) | 2n), /ranges in ascending order, found 5 behind 10/], // prettier-ignore
  ] as [string, () => unknown, RegExp][])("%s", (_, walk, message) => {
    expect(walk).toThrow(InputError);
    expect(walk).toThrow(message);
  });

  test("deeper than one can be", () => {
    const walk = maple((tree) => {
      let node = tree.mapleNode(1, [[most, pointerTo(0)]]);
      for (let i = 0; i < 20; i++) node = tree.mapleNode(2, [[most, node]]);
      return node | 2n;
    });
    expect(walk).toThrow(/16 levels, found type 2 at level 17|found type 1 at level 17/);
  });
});
