import { btfKind as kind } from "../btf-type.ts";
import { latin1 } from "./sparse-memory.ts";

/** A member: its name, the id of its type, its offset in bits, of a bit field its width. */
export type Member = readonly [name: string, type: number, bitOffset: number, bitWidth?: number];

/** Writes BTF type by type; ids count from 1, or from where a base ends. */
export class BtfWriter {
  readonly #types: number[] = [];
  readonly #strings: number[] = [];
  readonly #firstString: number;
  #next: number;

  /** @param base of the BTF that this one goes on from: its ids and its bytes of strings. */
  constructor(base: { readonly end: number; readonly stringEnd: number } | null = null) {
    this.#next = base?.end ?? 1;
    this.#firstString = base?.stringEnd ?? 0;
    if (base === null) this.#strings.push(0);
  }

  int(name: string, size: number, bits: number = size * 8, offset = 0): number {
    return this.type(kind.int, name, size, 0, dwords((offset << 16) | bits));
  }

  pointer(type: number): number {
    return this.type(kind.pointer, "", type);
  }

  array(type: number, count: number): number {
    return this.type(kind.array, "", 0, 0, dwords(type, 0, count));
  }

  typedef(name: string, type: number): number {
    return this.type(kind.typedef, name, type);
  }

  struct(name: string, size: number, members: readonly Member[], flag = true, union = false): number {
    const parts = members.flatMap(([name, type, bitOffset, bitWidth = 0]) =>
      dwords(this.string(name), type, flag ? (bitWidth << 24) | bitOffset : bitOffset),
    );
    return this.type(union ? kind.union : kind.struct, name, size, members.length, parts, flag);
  }

  enum(name: string, values: Readonly<Record<string, number>>, signed = false): number {
    const parts = Object.entries(values).flatMap(([name, value]) => dwords(this.string(name), value));
    return this.type(kind.enum, name, 4, Object.keys(values).length, parts, signed);
  }

  enum64(name: string, values: Readonly<Record<string, bigint>>, signed = false): number {
    const parts = Object.entries(values).flatMap(([name, value]) =>
      dwords(this.string(name), Number(BigInt.asUintN(32, value)), Number(BigInt.asUintN(32, value >> 32n))),
    );
    return this.type(kind.enum64, name, 8, Object.keys(values).length, parts, signed);
  }

  /** Any type. @param parts how many its header says. @param tail what stands behind it. */
  type(
    kindOf: number,
    name: string,
    sizeOrType = 0,
    parts = 0,
    tail: readonly number[] = [],
    flag = false,
  ): number {
    const info = ((flag ? 0x8000_0000 : 0) | (kindOf << 24) | parts) >>> 0;
    this.#types.push(...dwords(this.string(name), info, sizeOrType), ...tail);
    return this.#next++;
  }

  /** The offset of a string; the empty one is 0. */
  string(text: string): number {
    if (text === "") return 0;
    const offset = this.#firstString + this.#strings.length;
    this.#strings.push(...latin1(`${text}\0`));
    return offset;
  }

  finish(): Uint8Array {
    const types = this.#types.length;
    const header = dwords(0x0001_eb9f, 24, 0, types, types, this.#strings.length);
    return Uint8Array.from([...header, ...this.#types, ...this.#strings]);
  }
}

function dwords(...values: readonly number[]): number[] {
  return values.flatMap((value) => [
    value & 0xff,
    (value >>> 8) & 0xff,
    (value >>> 16) & 0xff,
    (value >>> 24) & 0xff,
  ]);
}
