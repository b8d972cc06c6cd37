import { type TupleBuffers, TupleTable, mix } from "./tuple-table.ts";
import type { World } from "./world.ts";

/** What a store is made of, to be handed to other threads. */
export interface StoreBuffers {
  /** None for parts that the world packs. */
  readonly parts: readonly (TupleBuffers | null)[];
  readonly states: TupleBuffers;
}

export interface StoreOptions {
  /** What it may cost. */
  readonly mostBytes: number;
  /** Bits of hashes that count; all unless told. */
  readonly hashMask?: number;
  /** Several threads may work on it; one unless told. */
  readonly shared?: boolean;
}

/** States that can be noted before they are entered. */
export const mostStaged = 256;

/** States that a thread takes numbers for at once. */
export const blockStates = 256;

/** Words of a state's row behind its parts. */
const extraWords = 2;
/** Words of the parts that neighbouring live words are put into when the world does not tell. */
const partWidth = 6;
/** Bits of a mask without its sign. */
const mostParts = 30;

/**
 * The states that have been seen. A state is one word for each part: what the world packs the part into, or a number
 * under which the part's words are kept once. Nothing is hashed away. The world holds one of the states: the base, which
 * is what changes are compared with and taken back to.
 */
export class StateStore {
  readonly states: TupleTable;
  /** All parts, a bit for each. */
  readonly everything: number;
  /** Where the states that were noted come from, and which they are. */
  readonly from: Int32Array = new Int32Array(mostStaged);
  readonly to: Int32Array = new Int32Array(mostStaged);
  /** How many were noted. */
  staged = 0;
  readonly #world: World;
  readonly #width: number;
  /** Of the parts that the world does not pack. */
  readonly #parts: readonly (TupleTable | null)[];
  /** By part: the world packs it. */
  readonly #packs: Uint8Array;
  /** Live words, part by part; where each part begins, and the end. */
  readonly #live: Int32Array;
  readonly #starts: Int32Array;
  /** The base: the words of parts that the world does not pack, in the order of {@link #live}; its parts; its hash. */
  readonly #words: Int32Array;
  readonly #base: Int32Array;
  #hash = 0;
  /** The number of the base. */
  #number = -1;
  /** Words of a part that is being looked up. */
  readonly #key: Int32Array;
  /** Parts that differ from the base. */
  #changed = 0;
  /** States that were noted and not entered yet: their parts and hashes. */
  readonly #staged: Int32Array;
  readonly #hashes = new Int32Array(mostStaged);

  /** @throws RangeError when the world's parts are not such. */
  constructor(
    world: World,
    options: StoreOptions,
    buffers: StoreBuffers = reserve(world, options),
    thread = 0,
  ) {
    this.#world = world;
    const open = (each: TupleBuffers): TupleTable => new TupleTable(each, thread, options.hashMask);
    this.#parts = buffers.parts.map((each) => each && open(each));
    this.#packs = Uint8Array.from(buffers.parts, (each) => Number(each === null));
    this.states = open(buffers.states);
    const parts = partsOf(world);
    this.#width = parts.length;
    this.everything = 2 ** parts.length - 1;
    this.#live = Int32Array.from(parts.flat());
    const starts = [0];
    for (const part of parts) starts.push(starts.at(-1)! + part.length);
    this.#starts = Int32Array.from(starts);
    this.#words = new Int32Array(this.#live.length);
    this.#key = new Int32Array(this.#live.length);
    this.#base = new Int32Array(parts.length);
    this.#staged = new Int32Array(parts.length * mostStaged);
  }

  get buffers(): StoreBuffers {
    return { parts: this.#parts.map((table) => table && table.buffers), states: this.states.buffers };
  }

  /** Goes on with greater buffers, if another thread has replaced these. */
  adopt(buffers: StoreBuffers): void {
    for (const [part, each] of buffers.parts.entries()) if (each !== null) this.#parts[part]!.adopt(each);
    this.states.adopt(buffers.states);
  }

  /** Bytes that have been put to use. */
  get bytes(): number {
    return this.#tables.reduce((sum, { bytes }) => sum + bytes, 0);
  }

  get #tables(): TupleTable[] {
    return [...this.#parts.filter((table) => table !== null), this.states];
  }

  /** Whether so many states more can be added before {@link grow}. */
  hasRoom(more: number): boolean {
    if (!this.states.hasRoom(more)) return false;
    for (const table of this.#parts) if (table !== null && !table.hasRoom(more)) return false;
    return true;
  }

  /** Makes room for so many states more, while nobody adds any. @returns whether there is room. */
  grow(more: number, mostBytes: number): boolean {
    let left = mostBytes;
    for (const table of this.#parts) {
      if (table === null) continue;
      // Words of parts are few beside the states that are made of them.
      if (!table.grow(more, 4 * more, left)) return false;
      left -= table.granted;
    }
    return this.states.grow(more, Infinity, left);
  }

  /** Enters the state that the world holds, and makes it the base. @returns its number. */
  begin(): number {
    const { words } = this.#world;
    for (let i = 0; i < this.#live.length; i++) this.#key[i] = words[this.#live[i]!]!;
    const parts = this.#parts.map((table, part) => {
      if (table === null) return this.#world.pack!(part);
      const from = this.#starts[part]!;
      return table.intern(this.#key, from, hashOf(this.#key, from, this.#starts[part + 1]!));
    });
    const state = Int32Array.from(parts);
    const number = this.states.intern(state, 0, hashOf(state, 0, state.length));
    this.#number = -1;
    this.load(number);
    return number;
  }

  /** Makes a state the base, and the world hold it. */
  load(number: number): void {
    const { rows, stride } = this.states;
    const row = number * stride;
    const base = this.#base;
    const width = this.#width;
    const first = this.#number < 0;
    let hash = this.#hash;
    if (first) hash = hashOf(rows, row, row + width);
    for (let part = 0; part < width; part++) {
      const is = rows[row + part]!;
      const was = base[part]!;
      if (is === was && !first) continue;
      if (!first) hash ^= mix(part, was) ^ mix(part, is);
      base[part] = is;
      if (this.#packs[part] === 1) this.#world.unpack!(part, is);
      else this.#loadPart(part, is);
    }
    this.#hash = hash;
    this.#number = number;
  }

  #loadPart(part: number, number: number): void {
    const { rows, stride } = this.#parts[part]!;
    const { words } = this.#world;
    const end = this.#starts[part + 1]!;
    for (let i = this.#starts[part]!, at = number * stride; i < end; i++, at++) {
      const word = rows[at]!;
      this.#words[i] = word;
      words[this.#live[i]!] = word;
    }
  }

  /** The state that the world holds after a move from the base; it is not kept waiting. @returns its number. */
  intern(touched: number): number {
    if (!this.stage(touched)) return this.#number;
    this.settle();
    return this.to[0]!;
  }

  /**
   * Notes the state that the world holds after a move from the base, to be entered with others: the table of states is
   * in nobody's cache, and is waited for once for all of them.
   * @param touched the parts that may have changed, a bit for each.
   * @returns whether it is another state than the base.
   */
  stage(touched: number): boolean {
    const world = this.#world;
    const base = this.#base;
    const staged = this.#staged;
    const width = this.#width;
    const at = this.staged;
    const row = at * width;
    let hash = this.#hash;
    let changed = 0;
    for (let rest = touched; rest !== 0; rest &= rest - 1) {
      const part = 31 - Math.clz32(rest & -rest);
      const is = this.#packs[part] === 1 ? world.pack!(part) : this.#internPart(part);
      const was = base[part]!;
      if (is === was) continue;
      if (changed === 0) for (let i = 0; i < width; i++) staged[row + i] = base[i]!;
      staged[row + part] = is;
      hash ^= mix(part, was) ^ mix(part, is);
      changed |= 1 << part;
    }
    this.#changed = changed;
    if (changed === 0) return false;
    this.#hashes[at] = hash;
    this.from[at] = this.#number;
    this.staged = at + 1;
    return true;
  }

  /** The number of what the world holds of a part. */
  #internPart(part: number): number {
    const { words } = this.#world;
    const live = this.#live;
    const key = this.#key;
    const from = this.#starts[part]!;
    const end = this.#starts[part + 1]!;
    let differs = 0;
    for (let i = from; i < end; i++) differs |= words[live[i]!]! ^ this.#words[i]!;
    if (differs === 0) return this.#base[part]!;
    for (let i = from; i < end; i++) key[i] = words[live[i]!]!;
    return this.#parts[part]!.intern(key, from, hashOf(key, from, end));
  }

  /**
   * Enters the states that were noted: the i-th was reached from {@link from}[i] and is {@link to}[i].
   * @returns how many there were.
   */
  settle(): number {
    const { states, to, from, staged } = this;
    const hashes = this.#hashes;
    const width = this.#width;
    states.fetch(hashes, staged, to);
    for (let i = 0; i < staged; i++) {
      const number = states.intern(this.#staged, i * width, hashes[i]!);
      to[i] = number;
      if (states.fresh) this.setParent(number, from[i]!);
    }
    this.staged = 0;
    return staged;
  }

  /** Takes back what {@link stage} has seen change: the world holds the base again. */
  restore(): void {
    const world = this.#world;
    const base = this.#base;
    for (let rest = this.#changed; rest !== 0; rest &= rest - 1) {
      const part = 31 - Math.clz32(rest & -rest);
      if (this.#packs[part] === 1) world.unpack!(part, base[part]!);
      else this.#restorePart(part);
    }
    this.#changed = 0;
  }

  #restorePart(part: number): void {
    const { words } = this.#world;
    const end = this.#starts[part + 1]!;
    for (let i = this.#starts[part]!; i < end; i++) words[this.#live[i]!] = this.#words[i]!;
  }

  // What stands behind a state: where it was first reached from, and how many moves lead to it.

  setParent(state: number, parent: number): void {
    const { rows, stride } = this.states;
    rows[(state + 1) * stride - 2] = parent;
  }

  parent(state: number): number {
    const { rows, stride } = this.states;
    return rows[(state + 1) * stride - 2]!;
  }

  /**
   * Counts ways into a state.
   * @param together others may do so at the same time.
   * @returns how many were counted before.
   */
  addWays(state: number, change: 1 | -1, together: boolean): number {
    const { rows, stride } = this.states;
    const at = (state + 1) * stride - 1;
    if (together) return Atomics.add(rows, at, change);
    const before = rows[at]!;
    rows[at] = before + change;
    return before;
  }

  ways(state: number): number {
    const { rows, stride } = this.states;
    return rows[(state + 1) * stride - 1]!;
  }
}

function hashOf(words: Int32Array, from: number, end: number): number {
  let hash = 0;
  for (let i = from; i < end; i++) hash ^= mix(i - from, words[i]!);
  return hash;
}

function partsOf({ live, parts }: World): readonly (readonly number[])[] {
  if (parts !== undefined) return parts;
  const width = Math.max(partWidth, Math.ceil(live.length / mostParts));
  const runs: number[][] = [];
  for (let i = 0; i < live.length; i += width) runs.push(live.slice(i, i + width));
  return runs;
}

/** @throws RangeError */
function reserve(world: World, { mostBytes, shared = false }: StoreOptions): StoreBuffers {
  const parts = partsOf(world);
  if (parts.length === 0 || parts.length > mostParts || parts.some(({ length }) => length === 0)) {
    throw new RangeError(`${parts.length} parts: from 1 to ${mostParts} were expected, none of them empty`);
  }
  const rowsFor = (words: number, most: number): number =>
    Math.min(most, Math.max(fewestRows, Math.floor(mostBytes / (4 * words))));
  return {
    parts: parts.map(({ length }, part) =>
      world.packs?.[part] === true
        ? null
        : TupleTable.reserve({ width: length, mostRows: rowsFor(length, 2 ** 24), block: 16, shared }),
    ),
    states: TupleTable.reserve({
      width: parts.length,
      extra: extraWords,
      mostRows: rowsFor(parts.length + extraWords, 2 ** 28),
      block: blockStates,
      shared,
    }),
  };
}

const fewestRows = 2 ** 14;
