/** Bytes of a configuration space: conventional, or extended as PCI Express has it. */
export type ConfigSize = 256 | 4096;

/** Width of an access to configuration space or a BAR, in bytes. */
export type Width = 1 | 2 | 4;

/**
 * Configuration space of one function: dwords, each bit either read-only, writable, or cleared by writing a one.
 * Little-endian; a bit that nobody declared is read-only zero.
 */
export class ConfigSpace {
  /** The dwords; dword n holds bytes 4n to 4n + 3. */
  readonly words: Int32Array;
  readonly #writable: Int32Array;
  readonly #clearable: Int32Array;
  /** What was declared: where a reset goes back to. */
  readonly #initial: Int32Array;

  constructor(size: ConfigSize) {
    this.words = new Int32Array(size / 4);
    this.#writable = new Int32Array(size / 4);
    this.#clearable = new Int32Array(size / 4);
    this.#initial = new Int32Array(size / 4);
  }

  /** Sets a dword's value and says which of its bits software can write, and which it clears by writing ones. */
  declare(offset: number, value: number, writable = 0, clearable = 0): void {
    this.words[offset >> 2] = value;
    this.#initial[offset >> 2] = value;
    this.#writable[offset >> 2] = writable;
    this.#clearable[offset >> 2] = clearable;
  }

  /** Everything is again as it was declared. */
  reset(): void {
    this.words.set(this.#initial);
  }

  /**
   * @param width 1, 2 or 4; the access must not cross a dword.
   * @returns the value, unsigned.
   * @throws RangeError when the access leaves the space or crosses a dword.
   */
  read(offset: number, width: Width): number {
    this.#check(offset, width);
    return ((this.words[offset >> 2]! >>> (8 * (offset & 3))) & widthMask(width)) >>> 0;
  }

  /**
   * @returns the dword's index.
   * @throws RangeError when the access leaves the space or crosses a dword.
   */
  write(offset: number, width: Width, value: number): number {
    this.#check(offset, width);
    const index = offset >> 2;
    const lanes = widthMask(width) << (8 * (offset & 3));
    const written = value << (8 * (offset & 3));
    const writable = this.#writable[index]! & lanes;
    const cleared = this.#clearable[index]! & lanes & written;
    this.words[index] = ((this.words[index]! & ~writable) | (written & writable)) & ~cleared;
    return index;
  }

  #check(offset: number, width: Width): void {
    if (
      !Number.isInteger(offset) ||
      offset < 0 ||
      offset + width > 4 * this.words.length ||
      (offset & 3) + width > 4
    ) {
      throw new RangeError(
        `config space: ${width} bytes at 0x${offset.toString(16)} do not lie in one of its dwords`,
      );
    }
  }
}

function widthMask(width: Width): number {
  return width === 4 ? -1 : (1 << (8 * width)) - 1;
}
