import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { UnreadableMemory } from "./memory.ts";
import { PagedMemory } from "./page-tables.ts";
import { SparseMemory } from "./testing/sparse-memory.ts";

const top = 0x1000n;

/** Maps one page and writes its physical address into the beginning of it. */
function map(
  memory: SparseMemory,
  levels: number,
  virtual: bigint,
  physical: bigint,
  level: number,
  bits = 1n,
): void {
  let table = top;
  for (let at = levels; at > level; at--) {
    const next =
      0x10_0000n + ((virtual >> BigInt(12 + 9 * (at - 1))) % 0x200n) * 0x1000n + BigInt(at) * 0x100_0000n;
    memory.put(table + index(virtual, at), next | bits);
    table = next;
  }
  memory.put(table + index(virtual, level), physical | bits | (level > 1 ? 0x80n : 0n));
}

function index(virtual: bigint, level: number): bigint {
  return ((virtual >> BigInt(12 + 9 * (level - 1))) & 0x1ffn) * 8n;
}

const kernel = 0xffff_ffff_8100_0000n;

describe.each([
  [4, kernel, 1],
  [4, kernel, 2],
  [4, 0xffff_8880_0000_0000n, 3],
  [5, 0xff11_0000_0000_0000n, 1],
  [5, 0xff11_0000_4000_0000n, 3],
] as const)("%d levels, %s in a page of level %d", (levels, virtual, level) => {
  const physical = 0x40_0000_0000n;
  const size = 1n << BigInt(12 + 9 * (level - 1));

  test("each address in the page is found, none before or behind it", () => {
    const memory = new SparseMemory();
    map(memory, levels, virtual, physical, level);
    const paged = new PagedMemory(memory, { base: top, levels, encryption: 0n });
    fc.assert(
      fc.property(fc.bigInt({ min: 0n, max: size - 1n }), (offset) => {
        expect(paged.physical(virtual + offset)).toBe(physical + offset);
      }),
      { numRuns: 100 },
    );
    expect(paged.physical(virtual + size)).toBeUndefined();
    expect(paged.physical(virtual - 1n)).toBeUndefined();
    // The same bits without the sign.
    expect(paged.physical(virtual & 0xff_ffff_ffff_ffffn)).toBeUndefined();
  });

  test("the encryption bit is no part of an address", () => {
    const memory = new SparseMemory();
    const encryption = 1n << 51n;
    map(memory, levels, virtual, physical, level, 1n | encryption);
    expect(new PagedMemory(memory, { base: top, levels, encryption }).physical(virtual)).toBe(physical);
    expect(new PagedMemory(memory, { base: top, levels, encryption: 0n }).physical(virtual)).toBeUndefined();
  });
});

test("what spans pages is read from where each of them lies", () => {
  const memory = new SparseMemory();
  for (const [i, physical] of [0x70_0000n, 0x70_1000n, 0x60_0000n, 0x60_2000n].entries()) {
    map(memory, 4, kernel + BigInt(i) * 0x1000n, physical, 1);
    memory.write(physical, new Uint8Array(4096).fill(i + 1));
  }
  const paged = new PagedMemory(memory, { base: top, levels: 4, encryption: 0n });
  const bytes = paged.read(kernel + 0xffen, 0x2004);
  expect([
    bytes[0],
    bytes[1],
    bytes[2],
    bytes[0x1001],
    bytes[0x1002],
    bytes[0x2001],
    bytes[0x2002],
    bytes[0x2003],
  ]).toEqual([1, 1, 2, 2, 3, 3, 4, 4]);
  expect(() => paged.read(kernel + 0x3fffn, 2)).toThrow(UnreadableMemory);
  expect(() => paged.read(kernel + 0x3fffn, 2)).toThrow("memory: 1 bytes at 0xffffffff81004000: not mapped");
});

test("no-execute, PAT and other bits beside the address do not count", () => {
  const memory = new SparseMemory();
  map(memory, 4, kernel, 0x20_0000n, 2, 1n | (1n << 63n) | (1n << 59n) | 0x1000n | 0x66n);
  // The tables' own addresses are not meant to have bit 12; they lie a page further.
  const paged = new PagedMemory(memory, { base: top, levels: 4, encryption: 0n });
  expect(paged.physical(kernel + 5n)).toBeUndefined();
  const pages = new SparseMemory();
  map(pages, 4, kernel, 0x20_0000n, 2);
  pages.put(
    0x10_0000n + ((kernel >> 30n) % 0x200n) * 0x1000n + 3n * 0x100_0000n + index(kernel, 2),
    0x20_0000n | (1n << 63n) | (1n << 59n) | 0x1000n | 0xe7n,
  );
  expect(new PagedMemory(pages, { base: top, levels: 4, encryption: 0n }).physical(kernel + 5n)).toBe(
    0x20_0005n,
  );
});

test("tables that are not there, that are no tables, or that point to themselves end a walk", () => {
  const paged = (memory: SparseMemory): PagedMemory =>
    new PagedMemory(memory, { base: top, levels: 4, encryption: 0n });
  expect(paged(new SparseMemory()).physical(kernel)).toBeUndefined();
  const self = new SparseMemory();
  for (let i = 0n; i < 512n; i++) self.put(top + i * 8n, top | 1n);
  expect(paged(self).physical(kernel)).toBe(top);
  // A large page of 512 GiB does not exist: the bit is ignored, as a table's.
  const huge = new SparseMemory();
  huge.put(top + index(kernel, 4), 0x5000n | 0x81n);
  expect(paged(huge).physical(kernel)).toBeUndefined();
});
