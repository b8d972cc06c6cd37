import { kdumpBlock } from "../kdump-header.ts";
import { latin1 } from "./sparse-memory.ts";

/** A page in a dump as it is stored. */
export interface StoredPage {
  readonly flags: number;
  readonly bytes: Uint8Array;
  /** Where its descriptor says that it is; where it is unless told. */
  readonly offset?: number;
  /** Bytes that its descriptor says; those that there are unless told. */
  readonly size?: number;
}

export interface KdumpOptions {
  readonly pages: ReadonlyMap<number, StoredPage>;
  /** Pages that the machine has and the dump does not. */
  readonly leftOut?: readonly number[];
  /** Pages have numbers below this. */
  readonly end: number;
  readonly version?: number;
  readonly status?: number;
  readonly machine?: string;
  readonly blockSize?: number;
  /** Page numbers from and up to of one part of a split dump. */
  readonly split?: readonly [number, number];
  readonly vmcoreinfo?: Uint8Array;
  /** Blocks of both bitmaps that the header says; as many as they need unless told. */
  readonly bitmapBlocks?: number;
  /** Only the pages of the dump are told apart. */
  readonly oneBitmap?: boolean;
}

/** A kdump-compressed dump. */
export function kdumpOf(options: KdumpOptions): Uint8Array {
  const { pages, leftOut = [], end, version = 6, split, oneBitmap = false } = options;
  const bitmapBlocks = Math.ceil(end / 8 / kdumpBlock) * (oneBitmap ? 1 : 2);
  const bitmapAt = 2 * kdumpBlock;
  const descriptorsAt = bitmapAt + bitmapBlocks * kdumpBlock;
  const numbers = [...pages.keys()].sort((a, b) => a - b);
  let at = descriptorsAt + numbers.length * 24;
  const bytes = numbers.reduce((sum, number) => sum + pages.get(number)!.bytes.length, 0);
  const file = Buffer.alloc(at + bytes + (options.vmcoreinfo?.length ?? 0));
  file.write("KDUMP   ", 0, "latin1");
  file.writeInt32LE(version, 8);
  file.set(latin1(options.machine ?? "x86_64"), 12 + 4 * 65);
  file.writeUInt32LE(options.status ?? 0, 424);
  file.writeUInt32LE(options.blockSize ?? kdumpBlock, 428);
  file.writeUInt32LE(1, 432);
  file.writeUInt32LE(options.bitmapBlocks ?? bitmapBlocks, 436);
  file.writeUInt32LE(end % 2 ** 32, 440);
  if (split !== undefined) {
    file.writeUInt32LE(1, kdumpBlock + 12);
    split.forEach((page, i) => {
      file.writeBigUInt64LE(BigInt(page), kdumpBlock + 16 + 8 * i);
      file.writeBigUInt64LE(BigInt(page), kdumpBlock + 80 + 8 * i);
    });
  }
  file.writeBigUInt64LE(BigInt(end), kdumpBlock + 96);
  const set = (bitmap: number, page: number): void => {
    file[bitmap + (page >> 3)]! |= 1 << (page & 7);
  };
  const dumpedAt = oneBitmap ? bitmapAt : bitmapAt + (bitmapBlocks / 2) * kdumpBlock;
  for (const page of leftOut) set(bitmapAt, page);
  for (const [i, number] of numbers.entries()) {
    const page = pages.get(number)!;
    set(bitmapAt, number);
    set(dumpedAt, number);
    file.writeBigUInt64LE(BigInt(page.offset ?? at), descriptorsAt + 24 * i);
    file.writeUInt32LE(page.size ?? page.bytes.length, descriptorsAt + 24 * i + 8);
    file.writeUInt32LE(page.flags, descriptorsAt + 24 * i + 12);
    file.set(page.bytes, at);
    at += page.bytes.length;
  }
  if (options.vmcoreinfo !== undefined) {
    file.set(options.vmcoreinfo, at);
    file.writeBigUInt64LE(BigInt(at), kdumpBlock + 32);
    file.writeBigUInt64LE(BigInt(options.vmcoreinfo.length), kdumpBlock + 40);
  }
  return file;
}

/** One write of the flattened format. */
export interface FlatWrite {
  readonly offset: bigint;
  readonly bytes: Uint8Array;
  /** Bytes that its header says; those that there are unless told. */
  readonly size?: bigint;
}

function recordHeader(offset: bigint, size: bigint): Buffer {
  const bytes = Buffer.alloc(16);
  bytes.writeBigInt64BE(offset, 0);
  bytes.writeBigInt64BE(size, 8);
  return bytes;
}

/** @param ended whether the mark stands at the end. */
export function flattenedOf(writes: readonly FlatWrite[], ended = true): Uint8Array {
  const head = Buffer.alloc(4096);
  head.write("makedumpfile", 0, "latin1");
  head.writeBigInt64BE(1n, 16);
  head.writeBigInt64BE(1n, 24);
  const parts = writes.flatMap(({ offset, bytes, size }) => [
    recordHeader(offset, size ?? BigInt(bytes.length)),
    bytes,
  ]);
  return Buffer.concat([head, ...parts, ...(ended ? [recordHeader(-1n, -1n)] : [])]);
}
