import { encode } from "../../spec/codec.ts";
import { configOffset, pciIoBar, pciMemoryBar } from "../../spec/pci/config-header.ts";
import type { ConfigSpace, Width } from "./config-space.ts";

export interface BarOptions {
  /** 0 to 5; a 64-bit BAR takes the next index too. */
  readonly index: number;
  /** Bytes, a power of two: at least 16 for memory, 4 for I/O ports. */
  readonly size: number;
  /** `memory32` unless told. */
  readonly kind?: "memory32" | "memory64" | "io";
  readonly prefetchable?: boolean;
  /** What lies behind the BAR, where no MSI-X structure does; reads as zero unless told. */
  readonly read?: (offset: number, width: Width) => number;
  readonly write?: (offset: number, width: Width, value: number) => void;
}

/** A Base Address register: where a range of a function's registers appears in the address space. */
export class Bar {
  readonly index: number;
  readonly size: number;
  readonly kind: "memory32" | "memory64" | "io";
  readonly read: (offset: number, width: Width) => number;
  readonly write: (offset: number, width: Width, value: number) => void;
  readonly #words: Int32Array;
  readonly #word: number;

  /** @throws RangeError when the index, or the size, is not one that a BAR can have. */
  constructor(config: ConfigSpace, options: BarOptions) {
    const { index, size, kind = "memory32", prefetchable = false } = options;
    const last = kind === "memory64" ? 4 : 5;
    const [least, most] = kind === "io" ? [4, 256] : [16, kind === "memory64" ? 2 ** 51 : 2 ** 31];
    if (!(Number.isInteger(index) && index >= 0 && index <= last)) {
      throw new RangeError(`BAR ${index}: expected an index from 0 to ${last}`);
    }
    if (!(size >= least && size <= most && Number.isInteger(Math.log2(size)))) {
      throw new RangeError(`BAR ${index}: size ${size}, expected a power of two from ${least} to ${most}`);
    }
    const type =
      kind === "io"
        ? encode(pciIoBar, { space: 1 })
        : encode(pciMemoryBar, { type: kind === "memory64" ? 2 : 0, prefetch: Number(prefetchable) });
    const offset = configOffset.bar0 + 4 * index;
    // pci.bar.sizing: the address bits that the size does not decode cannot be written.
    const decoded = -BigInt(size);
    config.declare(offset, Number(type), Number(BigInt.asIntN(32, decoded)));
    if (kind === "memory64") config.declare(offset + 4, 0, Number(BigInt.asIntN(32, decoded >> 32n)));
    this.index = index;
    this.size = size;
    this.kind = kind;
    this.read = options.read ?? (() => 0);
    this.write = options.write ?? (() => {});
    this.#words = config.words;
    this.#word = offset >> 2;
  }

  /** The address that software has programmed. */
  get base(): number {
    const low = this.#words[this.#word]! & (this.kind === "io" ? ~3 : ~15);
    return this.kind === "memory64"
      ? (this.#words[this.#word + 1]! >>> 0) * 2 ** 32 + (low >>> 0)
      : low >>> 0;
  }
}
