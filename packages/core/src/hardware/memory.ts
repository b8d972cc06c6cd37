const chunkShift = 20;
const chunkBytes = 1 << chunkShift;
const chunkWords = chunkBytes / 4;
const wayCount = 64;

/** Guest physical addresses are 52 bits wide. */
export const physicalAddressLimit = 2 ** 52;

export interface MemoryOptions {
  /** The most that may be written to, in MiB; 4096 unless told. */
  readonly limitMiB?: number;
}

/**
 * Guest physical memory: sparse, 52 bits of address, little-endian, zero until written.
 *
 * It is kept in chunks of 1 MiB, each an `Int32Array`, so that a naturally aligned structure of up to 1 MiB (a full
 * interrupt-remapping table) lies in one chunk. The hot path asks for the chunk by its int32 number and indexes it.
 */
export class Memory {
  readonly #chunks = new Map<number, Int32Array>();
  readonly #limit: number;
  /** A direct-mapped shortcut to recently used chunks. */
  readonly #wayNumbers = new Int32Array(wayCount).fill(-1);
  readonly #ways: Int32Array[] = Array.from({ length: wayCount }, () => unwritten);
  readonly #poison: { readonly from: number; readonly to: number }[] = [];
  /** True once a read error has been injected: the hot path then takes the slow way. */
  poisoned = false;

  constructor(options: MemoryOptions = {}) {
    this.#limit = options.limitMiB ?? 4096;
  }

  /**
   * The chunk with number `address >>> 20`, as int32; {@link unwritten} if it never was.
   * The caller must not write to it.
   */
  chunk(number: number): Int32Array {
    const way = number & (wayCount - 1);
    if (this.#wayNumbers[way] === number) return this.#ways[way]!;
    const chunk = this.#chunks.get(number);
    return chunk === undefined ? unwritten : this.#remember(number, chunk);
  }

  #remember(number: number, chunk: Int32Array): Int32Array {
    const way = number & (wayCount - 1);
    this.#wayNumbers[way] = number;
    this.#ways[way] = chunk;
    return chunk;
  }

  /**
   * The chunk with number `address >>> 20`, as int32, to be written to.
   * @throws RangeError when more chunks would be touched than the memory's limit.
   */
  writableChunk(number: number): Int32Array {
    const chunk = this.chunk(number);
    return chunk === unwritten ? this.#allocate(number) : chunk;
  }

  #allocate(number: number): Int32Array {
    if (this.#chunks.size >= this.#limit) {
      throw new RangeError(`memory: more than ${this.#limit} MiB would be written to`);
    }
    const chunk = new Int32Array(chunkWords);
    this.#chunks.set(number, chunk);
    return this.#remember(number, chunk);
  }

  /** The 32-bit word at a 4-byte aligned address, as int32. */
  read32(address: number): number {
    return this.chunk(chunkNumber(address))[wordInChunk(address)]!;
  }

  write32(address: number, value: number): void {
    this.writableChunk(chunkNumber(address))[wordInChunk(address)] = value;
  }

  read64(address: number): bigint {
    return (BigInt(this.read32(address + 4) >>> 0) << 32n) | BigInt(this.read32(address) >>> 0);
  }

  write64(address: number, value: bigint): void {
    this.write32(address, Number(BigInt.asIntN(32, value)));
    this.write32(address + 4, Number(BigInt.asIntN(32, value >> 32n)));
  }

  /** Copies words out, starting at a 4-byte aligned address. */
  readWords(address: number, target: Int32Array): void {
    for (let i = 0; i < target.length; i++) target[i] = this.read32(address + 4 * i);
  }

  /** Copies words in, starting at a 4-byte aligned address. */
  writeWords(address: number, source: Int32Array): void {
    for (let i = 0; i < source.length; i++) this.write32(address + 4 * i, source[i]!);
  }

  readBytes(address: number, length: number): Uint8Array {
    const bytes = new Uint8Array(length);
    for (let i = 0; i < length; i++) {
      const at = address + i;
      bytes[i] = this.read32(at - (at % 4)) >>> (8 * (at % 4));
    }
    return bytes;
  }

  writeBytes(address: number, bytes: Uint8Array): void {
    for (let i = 0; i < bytes.length; i++) {
      const at = address + i;
      const shift = 8 * (at % 4);
      const word = at - (at % 4);
      this.write32(word, (this.read32(word) & ~(0xff << shift)) | (bytes[i]! << shift));
    }
  }

  /** From now on, hardware that reads these bytes gets an error. */
  injectError(address: number, length: number): void {
    this.#poison.push({ from: address, to: address + length });
    this.poisoned = true;
  }

  /** Takes all injected errors back. */
  heal(): void {
    this.#poison.length = 0;
    this.poisoned = false;
  }

  /** Whether hardware can read these bytes: they lie in the address space and carry no injected error. */
  readable(address: number, length: number): boolean {
    if (address < 0 || address + length > physicalAddressLimit) return false;
    return !this.#poison.some(({ from, to }) => address < to && address + length > from);
  }
}

/** Stands for every chunk that was never written: all zeros. */
export const unwritten = new Int32Array(chunkWords);

/** The number of the chunk that holds an address, as int32. */
export function chunkNumber(address: number): number {
  return Math.floor(address / chunkBytes) | 0;
}

/** The index of an address's word in its chunk. */
export function wordInChunk(address: number): number {
  return (address % chunkBytes) >>> 2;
}
