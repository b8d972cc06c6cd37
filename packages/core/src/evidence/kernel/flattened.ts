import type { ByteSource } from "../byte-source.ts";
import { InputError } from "../input-error.ts";
import { textUpToZero } from "./words.ts";

/** What begins a dump in makedumpfile's flattened format. */
const signature = "makedumpfile";
const firstRecord = 4096;
const recordHeader = 16;
/** Records of 16 KiB of 256 GiB; QEMU writes records of that size. */
const recordLimit = 1 << 24;
const endMark = -1;

export function isFlattened(head: Uint8Array): boolean {
  return head.length >= 16 && textUpToZero(head, 0, 16) === signature;
}

/** Numbers that become more. */
class Column {
  values = new Float64Array(1024);
  length = 0;

  push(value: number): void {
    if (this.length === this.values.length) {
      const longer = new Float64Array(this.length * 2);
      longer.set(this.values);
      this.values = longer;
    }
    this.values[this.length++] = value;
  }
}

/** Records in the order in which they were written: where each goes, where it stands, how long it is. */
interface Records {
  readonly target: Column;
  readonly position: Column;
  readonly size: Column;
  /** Why the file ends before its records do. */
  readonly incomplete?: string;
}

/**
 * A dump in makedumpfile's flattened format, read in place: the file is a stream of writes (an offset and a length, 64
 * bits each, most significant byte first, then the bytes), and a later one goes over an earlier one. What no write
 * reached is zeros.
 */
export class FlattenedDump implements ByteSource {
  readonly name: string;
  readonly size: number;
  /** Why the file ends before its records do. */
  readonly incomplete?: string;
  readonly #source: ByteSource;
  /** Stretches in ascending order, apart from each other. */
  readonly #start = new Column();
  readonly #end = new Column();
  readonly #position = new Column();

  /** @throws InputError when it is no such file, or its records are damaged. */
  constructor(
    source: ByteSource,
    progress?: (done: bigint, total: bigint) => void,
    limit: number = recordLimit,
  ) {
    this.name = source.name;
    this.#source = source;
    const records = readRecords(source, limit, progress);
    if (records.incomplete !== undefined) this.incomplete = records.incomplete;
    this.#lay(records);
    this.size = this.#end.length === 0 ? 0 : this.#end.values[this.#end.length - 1]!;
  }

  read(offset: number | bigint, length: number): Uint8Array {
    const start = Number(offset);
    if (!(start >= 0 && length >= 0 && start + length <= this.size)) {
      throw new InputError(
        `${this.name}: offset 0x${offset.toString(16)} of the dump: expected ${length} bytes, the end is at ${this.size}`,
      );
    }
    let index = this.#find(start);
    const end = start + length;
    if (this.#start.values[index]! <= start && end <= this.#end.values[index]!) {
      return this.#source.read(this.#position.values[index]! + start - this.#start.values[index]!, length);
    }
    const bytes = new Uint8Array(length);
    for (; index < this.#start.length && this.#start.values[index]! < end; index++) {
      const from = Math.max(start, this.#start.values[index]!);
      const to = Math.min(end, this.#end.values[index]!);
      if (to <= from) continue;
      const position = this.#position.values[index]! + from - this.#start.values[index]!;
      bytes.set(this.#source.read(position, to - from), from - start);
    }
    return bytes;
  }

  /** The last stretch that does not begin behind an offset; the first if there is none. */
  #find(offset: number): number {
    let low = 0;
    let high = this.#start.length;
    while (high - low > 1) {
      const middle = (low + high) >> 1;
      if (this.#start.values[middle]! <= offset) low = middle;
      else high = middle;
    }
    return low;
  }

  /** Lays the records beside each other: of those that cover a byte, the last that was written. */
  #lay({ target, position, size }: Records): void {
    const starts = target.values;
    const order = ascending(starts, target.length);
    const end = (record: number): number => starts[record]! + size.values[record]!;
    const open = new Latest();
    let next = 0;
    let at = 0;
    while (next < order.length || open.top !== undefined) {
      if (open.top === undefined) at = Math.max(at, starts[order[next]!]!);
      for (; next < order.length && starts[order[next]!]! <= at; next++) open.push(order[next]!);
      while (open.top !== undefined && end(open.top) <= at) open.pop();
      const { top } = open;
      if (top === undefined) continue;
      const stop = next < order.length ? Math.min(end(top), starts[order[next]!]!) : end(top);
      this.#start.push(at);
      this.#end.push(stop);
      this.#position.push(position.values[top]! + at - starts[top]!);
      at = stop;
    }
  }
}

/** Records of which the one that was written last is on top: a binary heap. */
class Latest {
  readonly #heap: number[] = [];

  get top(): number | undefined {
    return this.#heap[0];
  }

  push(record: number): void {
    const heap = this.#heap;
    let at = heap.push(record) - 1;
    while (at > 0) {
      const parent = (at - 1) >> 1;
      if (heap[parent]! > record) break;
      heap[at] = heap[parent]!;
      at = parent;
    }
    heap[at] = record;
  }

  pop(): void {
    const heap = this.#heap;
    const last = heap.pop();
    if (last === undefined || heap.length === 0) return;
    let at = 0;
    for (;;) {
      let child = 2 * at + 1;
      if (child >= heap.length) break;
      if (child + 1 < heap.length && heap[child + 1]! > heap[child]!) child++;
      if (heap[child]! < last) break;
      heap[at] = heap[child]!;
      at = child;
    }
    heap[at] = last;
  }
}

function readRecords(
  source: ByteSource,
  limit: number,
  progress?: (done: bigint, total: bigint) => void,
): Records {
  const { name, size } = source;
  const target = new Column();
  const position = new Column();
  const sizes = new Column();
  const records = { target, position, size: sizes };
  const cutOff = (at: number): Records => ({
    ...records,
    incomplete: `the file is cut off at 0x${at.toString(16)}, before the mark that ends the flattened format`,
  });
  if (size < firstRecord) return cutOff(size);
  const kind = bigEndian(source.read(16, 8), 0);
  if (kind !== 1)
    throw new InputError(`${name}: offset 0x10: expected type 1 of the flattened format, found ${kind}`);
  for (let at = firstRecord; ;) {
    if (at + recordHeader > size) return cutOff(size);
    const header = source.read(at, recordHeader);
    const offset = bigEndian(header, 0);
    const length = bigEndian(header, 8);
    if (offset === endMark) return records;
    if (offset < 0 || length < 0 || offset + length > Number.MAX_SAFE_INTEGER) {
      throw new InputError(
        `${name}: offset 0x${at.toString(16)}: expected a record of the flattened format, found offset ${offset}, size ${length}`,
      );
    }
    if (target.length >= limit) {
      throw new InputError(
        `${name}: more than ${limit} records: put the dump together first, with \`makedumpfile -R\``,
      );
    }
    at += recordHeader;
    const there = Math.min(length, size - at);
    if (there > 0) {
      target.push(offset);
      position.push(at);
      sizes.push(there);
    }
    at += length;
    if (at > size) return cutOff(size);
    if ((target.length & 0xfff) === 0) progress?.(BigInt(at), BigInt(size));
  }
}

/** The signed value of 8 bytes, most significant first; past 2^53 about that. */
function bigEndian(bytes: Uint8Array, at: number): number {
  const high = (bytes[at]! << 24) | (bytes[at + 1]! << 16) | (bytes[at + 2]! << 8) | bytes[at + 3]!;
  const low = (bytes[at + 4]! << 24) | (bytes[at + 5]! << 16) | (bytes[at + 6]! << 8) | bytes[at + 7]!;
  return high * 2 ** 32 + (low >>> 0);
}

/** Indices of numbers in ascending order of the numbers, equal ones as they stand: a merge sort without calls. */
function ascending(values: Float64Array, count: number): Uint32Array {
  let from = new Uint32Array(count);
  let to = new Uint32Array(count);
  for (let i = 0; i < count; i++) from[i] = i;
  for (let width = 1; width < count; width *= 2) {
    for (let start = 0; start < count; start += 2 * width) {
      const middle = Math.min(start + width, count);
      const end = Math.min(start + 2 * width, count);
      let left = start;
      let right = middle;
      for (let at = start; at < end; at++) {
        const takeLeft = right >= end || (left < middle && values[from[left]!]! <= values[from[right]!]!);
        to[at] = takeLeft ? from[left++]! : from[right++]!;
      }
    }
    [from, to] = [to, from];
  }
  return from;
}
