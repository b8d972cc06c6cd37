import { hex } from "../../spec/codec.ts";
import { InputError } from "../input-error.ts";
import type { Kernel, KernelMember, KernelType } from "./kernel.ts";
import { qword, textUpToZero } from "./words.ts";

/** A structure larger than this is read member by member. */
const wholeBytes = 4096;
const stringLimit = 4096;
const elementLimit = 1 << 16;

/** The type with a name. @throws InputError when the kernel's BTF has none. */
export function typeOf(kernel: Kernel, name: string, module?: string): KernelType {
  const type = kernel.types.type(name, module);
  if (type !== undefined) return type;
  const where = module === undefined ? "" : ` or of its module ${module}`;
  throw new InputError(
    `${kernel.memory.name}: expected struct ${name} in the BTF of kernel ${kernel.release}${where}`,
  );
}

/**
 * A structure in a kernel's memory, read by the names of its members. Where a member is called otherwise in other
 * releases, all its names are given and the first that there is counts; a name with dots goes into members of members.
 * Bytes are read once, when the first member is asked for.
 */
export class KernelStruct {
  readonly kernel: Kernel;
  readonly type: KernelType;
  readonly address: bigint;
  readonly #module: string | undefined;
  #bytes: Uint8Array | undefined;

  /**
   * @param type its name, or the type itself.
   * @param module whose BTF the names of types are looked up in first.
   * @throws InputError when the kernel has no such type.
   */
  constructor(kernel: Kernel, type: string | KernelType, address: bigint, module?: string) {
    this.kernel = kernel;
    this.type = typeof type === "string" ? typeOf(kernel, type, module) : type;
    this.address = BigInt.asUintN(64, address);
    this.#module = module;
  }

  /** Whether it has one of these members, in this release. */
  has(...names: readonly string[]): boolean {
    return names.some((name) => this.type.member(name) !== undefined);
  }

  /** The first of these members that there is. @throws InputError when there is none; so do the others. */
  member(...names: readonly string[]): KernelMember {
    for (const name of names) {
      const member = this.type.member(name);
      if (member !== undefined) return member;
    }
    throw new InputError(
      `${this.kernel.memory.name}: struct ${this.type.name} of kernel ${this.kernel.release}: expected a member ${names.join(" or ")}`,
    );
  }

  /** The address of a member. */
  addressOf(...names: readonly string[]): bigint {
    return this.address + BigInt(this.member(...names).bitOffset >>> 3);
  }

  /** @throws UnreadableMemory when it is not there; so do the others. */
  bytes(...names: readonly string[]): Uint8Array {
    const member = this.member(...names);
    return this.#read(member.bitOffset >>> 3, member.size);
  }

  u8(...names: readonly string[]): number {
    return Number(this.#unsigned(1, names));
  }

  u16(...names: readonly string[]): number {
    return Number(this.#unsigned(2, names));
  }

  u32(...names: readonly string[]): number {
    return Number(this.#unsigned(4, names));
  }

  u64(...names: readonly string[]): bigint {
    return this.#unsigned(8, names);
  }

  s32(...names: readonly string[]): number {
    return this.u32(...names) | 0;
  }

  s64(...names: readonly string[]): bigint {
    return BigInt.asIntN(64, this.u64(...names));
  }

  /** An unsigned number as wide as the member is: a bit field, or 1 to 8 bytes. */
  unsigned(...names: readonly string[]): bigint {
    const { bitOffset, bitWidth, size } = this.member(...names);
    if (bitWidth === 0) return this.#unsigned(size, names);
    const first = bitOffset >>> 3;
    const shift = bitOffset & 7;
    const bytes = this.#read(first, (shift + bitWidth + 7) >>> 3);
    let value = 0n;
    for (let i = bytes.length - 1; i >= 0; i--) value = (value << 8n) | BigInt(bytes[i]!);
    return BigInt.asUintN(bitWidth, value >> BigInt(shift));
  }

  /** The same as a number: a bit field, a bool, an enum. @throws InputError past 2^53. */
  number(...names: readonly string[]): number {
    const value = this.unsigned(...names);
    if (value > BigInt(Number.MAX_SAFE_INTEGER)) {
      throw this.#wrong(names, `a number below 2^53, found ${hex(value)}`);
    }
    return Number(value);
  }

  /** Whether a number, a bit field or a bool is not 0. */
  flag(...names: readonly string[]): boolean {
    return this.unsigned(...names) !== 0n;
  }

  /** An address that a member holds; 0 for none. */
  pointer(...names: readonly string[]): bigint {
    return this.#unsigned(8, names);
  }

  /**
   * The structure that a member points to; undefined when it points nowhere.
   * @param type where BTF does not say it (`void *`), or says another.
   */
  follow(name: string | readonly string[], type?: string, module = this.#module): KernelStruct | undefined {
    const names = typeof name === "string" ? [name] : name;
    const address = this.pointer(...names);
    if (address === 0n) return undefined;
    return new KernelStruct(this.kernel, type ?? this.#typeOf(names), address, module);
  }

  /** A structure inside this one. */
  struct(...names: readonly string[]): KernelStruct {
    const { pointer } = this.member(...names);
    if (pointer) throw this.#wrong(names, "a structure, it is a pointer");
    return new KernelStruct(this.kernel, this.#typeOf(names), this.addressOf(...names), this.#module);
  }

  /** The structures in an array, or as many of them. */
  structs(name: string | readonly string[], count?: number): KernelStruct[] {
    const names = typeof name === "string" ? [name] : name;
    const member = this.member(...names);
    const type = typeOf(this.kernel, this.#typeOf(names), this.#module);
    const length = this.#bounded(names, count ?? member.count);
    const start = this.addressOf(...names);
    return Array.from(
      { length },
      (_, i) => new KernelStruct(this.kernel, type, start + BigInt(i * type.size), this.#module),
    );
  }

  /** The 64-bit numbers in an array, or as many of them: pointers, words of a bitmap. */
  quads(name: string | readonly string[], count?: number): bigint[] {
    const names = typeof name === "string" ? [name] : name;
    const member = this.member(...names);
    const length = this.#bounded(names, count ?? Math.floor(member.size / 8));
    const bytes = this.#read(member.bitOffset >>> 3, length * 8);
    return Array.from({ length }, (_, i) => qword(bytes, i * 8));
  }

  /** The text of a character array, or behind a pointer; empty when it points nowhere. Each byte is a character. */
  string(...names: readonly string[]): string {
    const { pointer } = this.member(...names);
    if (!pointer) {
      const bytes = this.bytes(...names);
      return textUpToZero(bytes, 0, bytes.length);
    }
    const address = this.pointer(...names);
    return address === 0n ? "" : readString(this.kernel, address);
  }

  #typeOf(names: readonly string[]): string {
    const { type } = this.member(...names);
    if (type === null) throw this.#wrong(names, "a structure with a name, or a pointer to one");
    return type;
  }

  #unsigned(size: number, names: readonly string[]): bigint {
    const member = this.member(...names);
    if (size > member.size || size > 8 || member.bitWidth !== 0) {
      throw this.#wrong(
        names,
        `${size} bytes, it has ${member.bitWidth === 0 ? member.size : "less than one"}`,
      );
    }
    const bytes = this.#read(member.bitOffset >>> 3, size);
    let value = 0n;
    for (let i = size - 1; i >= 0; i--) value = (value << 8n) | BigInt(bytes[i]!);
    return value;
  }

  #bounded(names: readonly string[], count: number): number {
    if (count <= elementLimit) return count;
    throw this.#wrong(names, `at most ${elementLimit} elements, found ${count}`);
  }

  #wrong(names: readonly string[], expected: string): InputError {
    return new InputError(
      `${this.kernel.memory.name}: ${this.type.name}.${names.join(" or ")} at ${hex(this.address)}: expected ${expected}`,
    );
  }

  #read(offset: number, length: number): Uint8Array {
    const { size } = this.type;
    // A flexible array lies behind its structure.
    if (size > wholeBytes || offset + length > size) {
      return this.kernel.memory.read(this.address + BigInt(offset), length);
    }
    this.#bytes ??= this.kernel.memory.read(this.address, size);
    return this.#bytes.subarray(offset, offset + length);
  }
}

/** The text at an address, up to its zero byte; each byte is a character. @throws UnreadableMemory when it is not there. */
export function readString(kernel: Kernel, address: bigint, limit: number = stringLimit): string {
  let text = "";
  for (let at = address; text.length < limit;) {
    // A string may end at the end of a page, and nothing lie behind it.
    const length = Math.min(limit - text.length, 64 - Number(at & 63n));
    const part = textUpToZero(kernel.memory.read(at, length), 0, length);
    text += part;
    if (part.length < length) break;
    at += BigInt(length);
  }
  return text;
}

/** The unsigned 64 bits at an address. */
export function readQuad(kernel: Kernel, address: bigint): bigint {
  return qword(kernel.memory.read(address, 8), 0);
}
