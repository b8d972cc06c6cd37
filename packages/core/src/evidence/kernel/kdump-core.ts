import { hex } from "../../spec/codec.ts";
import type { ByteSource } from "../byte-source.ts";
import { expandLzo } from "../compression/lzo.ts";
import { expandSnappy } from "../compression/snappy.ts";
import { InputError } from "../input-error.ts";
import { type KdumpHeader, kdumpBlock, pageFlag, readKdumpHeader } from "./kdump-header.ts";
import { UnreadableMemory } from "./memory.ts";
import { PageBitmap } from "./page-bitmap.ts";
import type { MemoryRange, PhysicalMemory } from "./physical-memory.ts";
import { dword, qword } from "./words.ts";

/**
 * Expands one page.
 * @param size the most that may come out, in bytes.
 * @throws an Error when it is damaged, or more comes out.
 */
export type Inflate = (bytes: Uint8Array, size: number) => Uint8Array;

/** What expands pages in formats that the platform has decoders for. */
export interface PageCodecs {
  readonly zlib: Inflate;
  readonly zstd: Inflate;
}

const descriptorBytes = 24;
const keptPages = 1024;

/**
 * Memory out of a kdump-compressed dump, as makedumpfile and QEMU write it. Pages that the dump has are counted in a
 * bitmap; a page's descriptor stands as far down the list as pages before it are in the dump.
 */
export class KdumpCore implements PhysicalMemory {
  readonly name: string;
  readonly ranges: readonly MemoryRange[];
  readonly vmcoreinfo?: Uint8Array;
  readonly incomplete?: string;
  readonly #source: ByteSource;
  readonly #header: KdumpHeader;
  readonly #present: PageBitmap;
  readonly #dumped: PageBitmap;
  readonly #inflate: ReadonlyMap<number, Inflate>;
  /** Pages that were read last, the oldest first. */
  readonly #kept = new Map<number, Uint8Array>();

  /** @throws InputError when its headers are damaged, cut off, or those of one part of a split dump. */
  constructor(source: ByteSource, codecs: PageCodecs) {
    const header = readKdumpHeader(source);
    this.name = source.name;
    this.#source = source;
    this.#header = header;
    this.#present = new PageBitmap(source, header.presentAt, header.pages);
    this.#dumped = new PageBitmap(source, header.dumpedAt, header.pages);
    this.#inflate = new Map([
      [pageFlag.zlib, codecs.zlib],
      [pageFlag.lzo, expandLzo],
      [pageFlag.snappy, expandSnappy],
      [pageFlag.zstd, codecs.zstd],
    ]);
    const descriptors = Math.floor((source.size - header.descriptorsAt) / descriptorBytes);
    this.ranges = this.#dumped.ranges(kdumpBlock, descriptors);
    if (header.vmcoreinfo !== undefined) this.vmcoreinfo = header.vmcoreinfo;
    if (header.incomplete) this.incomplete = "its header says that there was no room for all pages";
  }

  read(address: bigint, length: number): Uint8Array {
    const within = Number(address % BigInt(kdumpBlock));
    const first = this.#page(address, length);
    if (within + length <= kdumpBlock) return first.subarray(within, within + length);
    if (address + BigInt(length) > BigInt(this.#header.pages) * BigInt(kdumpBlock)) {
      throw new UnreadableMemory(this.name, address, length, "past the last page of the dump");
    }
    const bytes = new Uint8Array(length);
    bytes.set(first.subarray(within));
    for (let done = kdumpBlock - within; done < length; done += kdumpBlock) {
      const left = length - done;
      const page = this.#page(address + BigInt(done), left);
      bytes.set(left < kdumpBlock ? page.subarray(0, left) : page, done);
    }
    return bytes;
  }

  /** @param length what is wanted from there on, for messages. */
  #page(address: bigint, length: number): Uint8Array {
    const number = Number(address / BigInt(kdumpBlock));
    let page = this.#kept.get(number);
    if (page === undefined) {
      page = this.#load(number, address, length);
      if (this.#kept.size >= keptPages) this.#kept.delete(this.#kept.keys().next().value!);
    } else this.#kept.delete(number);
    this.#kept.set(number, page);
    return page;
  }

  #load(number: number, address: bigint, length: number): Uint8Array {
    const unreadable = (why: string): UnreadableMemory =>
      new UnreadableMemory(this.name, address, length, why);
    if (!this.#dumped.has(number)) {
      throw unreadable(this.#present.has(number) ? "left out of the dump" : "in no page of the dump");
    }
    const at = this.#header.descriptorsAt + this.#dumped.rank(number) * descriptorBytes;
    if (at + descriptorBytes > this.#source.size)
      throw unreadable("the dump ends before its page descriptor");
    const descriptor = this.#source.read(at, descriptorBytes);
    const offset = qword(descriptor, 0);
    const size = dword(descriptor, 8);
    const flags = dword(descriptor, 12);
    if (offset === 0n) throw unreadable("left out of the dump, which is incomplete");
    if (size === 0 || size > kdumpBlock) throw unreadable(`its page descriptor says ${size} bytes`);
    if (offset + BigInt(size) > BigInt(this.#source.size)) throw unreadable("the dump ends before it");
    const stored = this.#source.read(Number(offset), size);
    const page = flags === 0 ? stored : this.#expand(stored, flags, unreadable);
    if (page.length !== kdumpBlock) {
      throw unreadable(`expected ${kdumpBlock} bytes of its page at ${hex(offset)}, found ${page.length}`);
    }
    return page;
  }

  #expand(stored: Uint8Array, flags: number, unreadable: (why: string) => UnreadableMemory): Uint8Array {
    const inflate = this.#inflate.get(flags);
    if (inflate === undefined) throw unreadable(`its page descriptor has flags 0x${flags.toString(16)}`);
    try {
      return inflate(stored, kdumpBlock);
    } catch (error) {
      if (error instanceof InputError) throw unreadable(error.message);
      throw unreadable("its page is damaged");
    }
  }
}
