import { hex } from "../../spec/codec.ts";
import { InputError } from "../input-error.ts";
import type { Kernel } from "./kernel.ts";
import { KernelStruct } from "./kernel-struct.ts";

/** What a tree keeps, and the lowest index at which it keeps it. Indices past 2^53 are not exact. */
export type TreeEntry = readonly [index: number, entry: bigint];

const nodeLimit = 1 << 16;
const depthLimit = 16;
/** Entries up to here that end in binary 10 are marks of the tree itself (retry, zero, sibling), no nodes. */
const markLimit = 4096n;

/**
 * The entries of an XArray in ascending order (`struct xarray`), or of a radix tree, which has been one since 4.20. An odd
 * entry is a number and no pointer, as the tree has it.
 * @param address of the root.
 * @throws InputError when it is no tree; UnreadableMemory when a node is not there.
 */
export function* xarrayOf(kernel: Kernel, address: bigint): Generator<TreeEntry> {
  const head = new KernelStruct(kernel, "xarray", address).pointer("xa_head");
  const budget = new Budget(kernel, address);
  if (isNode(head)) yield* xarrayNode(kernel, head - 2n, 0, 64, budget);
  else if (head !== 0n && !isMark(head)) yield [0, head];
}

function* xarrayNode(
  kernel: Kernel,
  address: bigint,
  first: number,
  above: number,
  budget: Budget,
): Generator<TreeEntry> {
  const node = new KernelStruct(kernel, "xa_node", address);
  const shift = node.u8("shift");
  if (shift >= above) throw budget.wrong(`a shift below ${above}, found ${shift}`);
  budget.spend(address);
  for (const [i, entry] of node.quads("slots").entries()) {
    const index = first + i * 2 ** shift;
    if (shift > 0 && isNode(entry)) yield* xarrayNode(kernel, entry - 2n, index, shift, budget);
    else if (entry !== 0n && !isMark(entry)) yield [index, entry];
  }
}

const mapleLeaf = 1;
const mapleRange = 2;
/** A range node that also keeps the largest gap below each slot. */
const mapleGaps = 3;

/**
 * The entries of a maple tree in ascending order (`struct maple_tree`, since 6.1), each once whatever range it covers.
 * @param address of the root.
 * @throws InputError when it is no tree; UnreadableMemory when a node is not there.
 */
export function* mapleTreeOf(kernel: Kernel, address: bigint): Generator<TreeEntry> {
  const root = new KernelStruct(kernel, "maple_tree", address).pointer("ma_root");
  const budget = new Budget(kernel, address);
  if (isNode(root)) yield* mapleNode(kernel, root, 0n, (1n << 64n) - 1n, 0, budget);
  else if (root !== 0n && !isMark(root)) yield [0, root];
}

function* mapleNode(
  kernel: Kernel,
  encoded: bigint,
  least: bigint,
  most: bigint,
  depth: number,
  budget: Budget,
): Generator<TreeEntry> {
  // A node lies at a multiple of 256; its type is in bits 6:3 of the pointer to it.
  const type = Number((encoded >> 3n) & 15n);
  if (depth > depthLimit || (type !== mapleLeaf && type !== mapleRange && type !== mapleGaps)) {
    throw budget.wrong(`nodes of type 1 to 3 and ${depthLimit} levels, found type ${type} at level ${depth}`);
  }
  const at = encoded & ~0xffn;
  const node = new KernelStruct(kernel, type === mapleGaps ? "maple_arange_64" : "maple_range_64", at);
  budget.spend(at);
  const pivots = node.quads("pivot");
  const slots = node.quads("slot");
  let from = least;
  for (const [i, entry] of slots.entries()) {
    const pivot = pivots[i] ?? most;
    // Behind the last slot that is used stand zeros, and other data.
    const last = pivot >= most || (pivot === 0n && (i > 0 || from > 0n));
    const to = last ? most : pivot;
    if (to < from) throw budget.wrong(`ranges in ascending order, found ${to} behind ${from}`);
    if (type === mapleLeaf) {
      if (entry !== 0n && !isMark(entry)) yield [Number(from), entry];
    } else if (entry !== 0n) {
      yield* mapleNode(kernel, entry, from, to, depth + 1, budget);
    }
    if (last) return;
    from = to + 1n;
  }
}

function isNode(entry: bigint): boolean {
  return (entry & 3n) === 2n && entry > markLimit;
}

function isMark(entry: bigint): boolean {
  return (entry & 3n) === 2n && entry <= markLimit;
}

/** Nodes of one tree that have been seen. */
class Budget {
  readonly #kernel: Kernel;
  readonly #root: bigint;
  readonly #seen = new Set<bigint>();

  constructor(kernel: Kernel, root: bigint) {
    this.#kernel = kernel;
    this.#root = root;
  }

  spend(node: bigint): void {
    if (this.#seen.has(node)) throw this.wrong(`each node once, found ${hex(node)} again`);
    if (this.#seen.size === nodeLimit) throw this.wrong(`at most ${nodeLimit} nodes`);
    this.#seen.add(node);
  }

  wrong(expected: string): InputError {
    return new InputError(`${this.#kernel.memory.name}: tree at ${hex(this.#root)}: expected ${expected}`);
  }
}
