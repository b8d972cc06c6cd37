/** What a table is made of, to be handed to other threads. */
export interface TupleBuffers extends Required<TupleOptions> {
  /** Counts how often they were replaced by greater ones. */
  readonly generation: number;
  readonly rows: ArrayBufferLike;
  readonly slots: ArrayBufferLike;
  readonly control: ArrayBufferLike;
}

/**
 * Words of the control buffer: rows handed out, slots in use, rows that there is room for; then the open block of each
 * thread, a cache line apart.
 */
const claimed = 0;
const slotMask = 1;
const rowLimit = 2;
const line = 16;

/** Threads that one table can be filled by. */
export const mostThreads = 16;

const fewestSlots = 1 << 12;
const fewestRows = 1 << 14;
/** Times that greater buffers are as great: what is not used of them costs nothing but addresses. */
const step = 8;

export interface TupleOptions {
  /** Words of a tuple. */
  readonly width: number;
  /** Words of a row that stand behind the tuple, and are whoever's who uses the table. */
  readonly extra?: number;
  /** Rows that can be kept; fewer than 2^30. */
  readonly mostRows: number;
  /** Rows that a thread takes at once. */
  readonly block: number;
  /**
   * Several threads may fill it; one unless told. Where a page is not isolated from others, browsers have no memory
   * that threads share.
   */
  readonly shared?: boolean;
}

/** Zeroed memory, which threads may share if they are to. @throws RangeError when there is not so much. */
export function bufferOf(bytes: number, shared: boolean): ArrayBufferLike {
  return shared ? new SharedArrayBuffer(bytes) : new ArrayBuffer(bytes);
}

/**
 * Tuples of words, each kept once, whole, under a number: what is not equal word for word is not taken for equal,
 * whatever the hash. Rows stand in the order in which they came; slots, found by hash, hold their numbers and some
 * bits of the hash. Several threads may add at once, each with a table of its own over the same buffers.
 */
export class TupleTable {
  /** Words from one row to the next. */
  readonly stride: number;
  /** Whether the last {@link intern} added its tuple. */
  fresh = false;
  #buffers: TupleBuffers;
  #rows: Int32Array;
  #slots: Int32Array;
  readonly #width: number;
  readonly #control: Int32Array;
  /** Where this thread's open block stands in the control buffer. */
  readonly #own: number;
  readonly #block: number;
  readonly #numberMask: number;
  readonly #tagMask: number;
  readonly #hashMask: number;

  /**
   * @param thread the number of the thread that uses it.
   * @param hashMask bits of the hash that count: fewer only make it slower.
   */
  constructor(buffers: TupleBuffers, thread = 0, hashMask = -1) {
    this.stride = buffers.width + buffers.extra;
    this.#buffers = buffers;
    this.#rows = new Int32Array(buffers.rows);
    this.#slots = new Int32Array(buffers.slots);
    this.#width = buffers.width;
    this.#control = new Int32Array(buffers.control);
    this.#own = (1 + thread) * line;
    this.#block = buffers.block;
    this.#numberMask = (1 << Math.ceil(Math.log2(buffers.mostRows + 2))) - 1;
    this.#tagMask = ~this.#numberMask;
    this.#hashMask = hashMask;
  }

  static reserve({ width, extra = 0, mostRows, block, shared = false }: TupleOptions): TupleBuffers {
    const control = bufferOf((1 + mostThreads) * line * 4, shared);
    new Int32Array(control)[slotMask] = fewestSlots - 1;
    return {
      width,
      extra,
      mostRows,
      block,
      generation: 0,
      shared,
      rows: bufferOf(Math.min(mostRows, fewestRows) * (width + extra) * 4, shared),
      slots: bufferOf(fewestSlots * 4, shared),
      control,
    };
  }

  get buffers(): TupleBuffers {
    return this.#buffers;
  }

  get rows(): Int32Array {
    return this.#rows;
  }

  /** Goes on with buffers that have replaced these, in whatever thread. */
  adopt(buffers: TupleBuffers): void {
    if (buffers.generation === this.#buffers.generation) return;
    this.#buffers = buffers;
    this.#rows = new Int32Array(buffers.rows);
    this.#slots = new Int32Array(buffers.slots);
  }

  /** How many tuples there are; exact while nobody adds any. */
  get count(): number {
    let count = this.#control[claimed]!;
    for (let at = line; at < this.#control.length; at += line) {
      count -= this.#control[at + 1]! - this.#control[at]!;
    }
    return count;
  }

  /** Bytes that have been put to use. */
  get bytes(): number {
    return this.#control[claimed]! * this.stride * 4 + (this.#control[slotMask]! + 1) * 4;
  }

  /** Whether so many tuples more can be added before {@link grow}. */
  hasRoom(more: number): boolean {
    return this.#control[claimed]! + more <= this.#control[rowLimit]!;
  }

  /** Bytes that may be put to use before {@link grow}. */
  get granted(): number {
    const rows = Math.max(this.#control[claimed]!, this.#control[rowLimit]!);
    return rows * this.stride * 4 + (this.#control[slotMask]! + 1) * 4;
  }

  /**
   * Makes room for so many tuples more, while nobody adds any.
   * @param atMost and for no more than these.
   * @param mostBytes what it may cost, all in all.
   * @returns whether there is room.
   */
  grow(more: number, atMost: number, mostBytes: number): boolean {
    const used = this.#control[claimed]!;
    const before = this.#control[slotMask]! + 1;
    let slots = before;
    while (used + more > slots * mostFilled) slots *= 2;
    // Each thread may leave a block open.
    const spare = this.#block * mostThreads;
    const limit = Math.min(
      used + atMost,
      slots * mostFilled,
      this.#buffers.mostRows - spare,
      Math.floor((mostBytes - slots * 4) / (this.stride * 4)),
    );
    if (used + more > limit || !this.#hold(limit + spare, slots)) return false;
    if (slots > before) this.#rehash(slots);
    this.#control[rowLimit] = limit;
    return true;
  }

  /** Gets greater buffers if need be. @returns whether there is memory for them. */
  #hold(rows: number, slots: number): boolean {
    const { mostRows, shared } = this.#buffers;
    const held = this.#rows.length / this.stride;
    if (rows <= held && slots <= this.#slots.length) return true;
    try {
      const greater = {
        ...this.#buffers,
        generation: this.#buffers.generation + 1,
        ...(rows > held && {
          rows: bufferOf(Math.min(mostRows, Math.max(rows, held * step)) * this.stride * 4, shared),
        }),
        ...(slots > this.#slots.length && { slots: bufferOf(slots * step * 4, shared) }),
      };
      if (rows > held) {
        new Int32Array(greater.rows).set(this.#rows.subarray(0, this.#control[claimed]! * this.stride));
      }
      this.adopt(greater);
      return true;
    } catch (error) {
      if (error instanceof RangeError) return false;
      throw error;
    }
  }

  /** Finds slots for all rows, with so many of them. */
  #rehash(slots: number): void {
    this.#slots.fill(0, 0, slots);
    this.#control[slotMask] = slots - 1;
    for (const [from, to] of this.ranges()) {
      for (let row = from; row < to; row++) {
        const hash = this.#hashOf(row);
        let at = hash & (slots - 1);
        while (this.#slots[at] !== 0) at = (at + 1) & (slots - 1);
        this.#slots[at] = (hash & this.#tagMask) | (row + 1);
      }
    }
  }

  /** The rows that hold tuples, in order: all that were handed out but for the rest of each thread's block. */
  ranges(): [from: number, to: number][] {
    const open: [number, number][] = [];
    for (let at = line; at < this.#control.length; at += line) {
      open.push([this.#control[at]!, this.#control[at + 1]!]);
    }
    open.sort(([one], [other]) => one - other);
    const ranges: [number, number][] = [];
    let from = 0;
    for (const [next, end] of [...open, [this.#control[claimed]!, 0] as const]) {
      if (next > from) ranges.push([from, next]);
      from = Math.max(from, end);
    }
    return ranges;
  }

  /**
   * @param whole the tuple's hash: of all its words, {@link mix}ed with their places, the exclusive or.
   * @returns the number of the tuple that begins at a word of `key`, which is added if it is not there.
   */
  intern(key: Int32Array, from: number, whole: number): number {
    const slots = this.#slots;
    const rows = this.#rows;
    const { stride } = this;
    const width = this.#width;
    const tagMask = this.#tagMask;
    const mask = this.#control[slotMask]!;
    const hash = whole & this.#hashMask;
    for (let at = hash & mask; ; at = (at + 1) & mask) {
      // What another thread has put there a moment ago may not be seen yet: then the exchange shows it.
      let slot = slots[at]!;
      if (slot === 0) {
        const own = this.#nextRow();
        const row = own * stride;
        for (let i = 0; i < width; i++) rows[row + i] = key[from + i]!;
        slot = Atomics.compareExchange(slots, at, 0, (hash & tagMask) | (own + 1));
        if (slot === 0) {
          this.#control[this.#own]! += 1;
          this.fresh = true;
          return own;
        }
        // Another thread was faster: perhaps with the same tuple.
      }
      if (((slot ^ hash) & tagMask) !== 0) continue;
      const number = (slot & this.#numberMask) - 1;
      const row = number * stride;
      let i = 0;
      while (i < width && rows[row + i] === key[from + i]) i++;
      if (i === width) {
        this.fresh = false;
        return number;
      }
    }
  }

  /**
   * Brings to the cache what {@link intern} will look at for each of some hashes: memory works on many at once.
   * @param into takes what was found; nobody needs it.
   */
  fetch(hashes: Int32Array, count: number, into: Int32Array): void {
    const slots = this.#slots;
    const rows = this.#rows;
    const { stride } = this;
    const mask = this.#control[slotMask]! & this.#hashMask;
    const numberMask = this.#numberMask;
    for (let i = 0; i < count; i++) into[i] = slots[hashes[i]! & mask]!;
    for (let i = 0; i < count; i++) {
      const number = (into[i]! & numberMask) - 1;
      into[i] = number < 0 ? 0 : rows[number * stride]!;
    }
  }

  /** The first row of this thread's block that is free. */
  #nextRow(): number {
    const control = this.#control;
    const own = this.#own;
    if (control[own] === control[own + 1]) {
      const from = Atomics.add(control, claimed, this.#block);
      control[own + 1] = from + this.#block;
      control[own] = from;
    }
    return control[own]!;
  }

  #hashOf(row: number): number {
    const at = row * this.stride;
    let hash = 0;
    for (let i = 0; i < this.#width; i++) hash ^= mix(i, this.#rows[at + i]!);
    return hash & this.#hashMask;
  }
}

/** The part that a word has in its tuple's hash. @param place its place in the tuple. */
export function mix(place: number, word: number): number {
  let hash = Math.imul(word ^ Math.imul(place + 1, 0x27d4_eb2f), 0x9e37_79b1);
  hash = Math.imul(hash ^ (hash >>> 15), 0x85eb_ca6b);
  return hash ^ (hash >>> 13);
}

/** Slots that may be in use, of all. */
const mostFilled = 0.75;
