import { InputError } from "../input-error.ts";
import { BtfMembers } from "./btf-members.ts";
import { type BtfType, type BtfTypes, isComposite, btfKind as kind } from "./btf-type.ts";
import { NameTable } from "./name-table.ts";
import { dword, textUpToZero, word } from "./words.ts";
import type { KernelType } from "./kernel.ts";

/** By kind: bytes behind the 12 of each type, and bytes for each of its parts. */
const extraBytes = [0, 4, 0, 12, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 4, 0, 0, 4, 0, 0] as const;
const partBytes = [0, 0, 0, 0, 12, 12, 8, 0, 0, 0, 0, 0, 0, 8, 0, 12, 0, 0, 0, 12] as const;
const headerBytes = 24;
const nameLimit = 256;
/** A kernel's with all its drivers built in has 20 MiB. */
export const btfLimit: number = 32 << 20;
const magic = 0xeb9f;

/**
 * The types of a kernel, or of a module beside those of its kernel (split BTF: ids and strings go on where the base's
 * end). Opening it walks over the types once; their members are read when somebody asks.
 */
export class Btf implements BtfTypes {
  readonly name: string;
  readonly #bytes: Uint8Array;
  readonly #base: Btf | null;
  /** By id minus the base's: the offset of the type. */
  readonly #types: Uint32Array;
  readonly #named: NameTable;
  /** By number in `#named`. */
  readonly #namedIds: Uint32Array;
  readonly #strings: number;
  readonly #stringsEnd: number;
  readonly #members = new Map<number, KernelType>();
  #enumerators: { readonly table: NameTable; readonly values: Float64Array } | undefined;
  /** Ids of types, the base's among them. */
  readonly end: number;
  /** Bytes of strings, the base's among them. */
  readonly stringEnd: number;

  /** @throws InputError when it is no BTF, or is cut off. */
  constructor(bytes: Uint8Array, base: Btf | null = null, name = "BTF") {
    this.name = name;
    this.#bytes = bytes;
    this.#base = base;
    if (bytes.length > btfLimit) {
      throw new InputError(`${name}: expected at most ${btfLimit} bytes, found ${bytes.length}`);
    }
    if (bytes.length < headerBytes || word(bytes, 0) !== magic || bytes[2] !== 1) {
      throw new InputError(`${name}: offset 0x0: expected little-endian BTF of version 1`);
    }
    const header = dword(bytes, 4);
    const start = header + dword(bytes, 8);
    const end = start + dword(bytes, 12);
    this.#strings = header + dword(bytes, 16);
    this.#stringsEnd = this.#strings + dword(bytes, 20);
    if (header < headerBytes || end > bytes.length || this.#stringsEnd > bytes.length) {
      throw new InputError(
        `${name}: offset 0x8: expected types up to ${end} and strings up to ${this.#stringsEnd}, it ends at ${bytes.length}`,
      );
    }
    this.stringEnd = (base?.stringEnd ?? 0) + dword(bytes, 20);
    const places = new Uint32Array(Math.floor((end - start) / 12) + 1);
    // Id 0 is void, of the base.
    let count = base === null ? 1 : 0;
    let named = 0;
    for (let at = start; at < end; count++) {
      const info = at + 12 <= end ? dword(bytes, at + 4) : 0;
      const kindOf = (info >>> 24) & 0x1f;
      const length = 12 + (extraBytes[kindOf] ?? 0) + (partBytes[kindOf] ?? 0) * (info & 0xffff);
      if (kindOf === 0 || kindOf >= extraBytes.length || at + length > end) {
        throw new InputError(
          `${name}: offset 0x${at.toString(16)}: expected a whole type of kind 1 to 19, found kind ${kindOf}, ${end - at} bytes left`,
        );
      }
      places[count] = at;
      if (isNamed(kindOf) && dword(bytes, at) !== 0) named++;
      at += length;
    }
    this.#types = places.subarray(0, count);
    this.end = (base?.end ?? 0) + count;
    this.#named = new NameTable(this.#texts, named);
    this.#namedIds = new Uint32Array(named);
    this.#index();
  }

  /** The structure or union with a name, or the one behind a typedef; undefined when there is none. */
  type(name: string): KernelType | undefined {
    const base = this.#base;
    const ids = [...this.#idsOf(name), ...(base === null ? [] : base.#idsOf(name))];
    const id =
      ids.find((id) => isComposite(this.at(id))) ?? ids.find((id) => isComposite(this.at(this.resolve(id))));
    return id === undefined ? undefined : this.composite(this.resolve(id), name);
  }

  /** The value of an enumerator: of several the first. */
  enumerator(name: string): number | undefined {
    this.#enumerators ??= this.#readEnumerators();
    const [number] = this.#enumerators.table.find(name);
    return number === undefined ? this.#base?.enumerator(name) : this.#enumerators.values[number];
  }

  /** The type with an id. @throws InputError when there is none. */
  at(id: number): BtfType {
    const first = this.#base?.end ?? 0;
    if (id < first) return this.#base!.at(id);
    if (id >= this.end) {
      throw new InputError(`${this.name}: expected types up to ${this.end - 1}, one refers to ${id}`);
    }
    if (id === 0)
      return { kind: 0, name: "void", flag: false, parts: 0, sizeOrType: 0, at: 0, bytes: this.#bytes };
    const at = this.#types[id - first]!;
    const info = dword(this.#bytes, at + 4);
    return {
      kind: (info >>> 24) & 0x1f,
      name: this.string(dword(this.#bytes, at)),
      flag: info >>> 31 === 1,
      parts: info & 0xffff,
      sizeOrType: dword(this.#bytes, at + 8),
      at: at + 12,
      bytes: this.#bytes,
    };
  }

  string(offset: number): string {
    const first = this.#base?.stringEnd ?? 0;
    if (offset < first) return this.#base!.string(offset);
    const start = this.#strings + (offset - first);
    return textUpToZero(this.#bytes, start, Math.min(this.#stringsEnd, start + nameLimit));
  }

  /** The id behind typedefs and qualifiers. */
  resolve(id: number): number {
    for (let depth = 0; depth < 64; depth++) {
      const type = this.at(id);
      if (!isTransparent(type.kind)) return id;
      id = type.sizeOrType;
    }
    throw new InputError(`${this.name}: type ${id}: expected typedefs to end`);
  }

  /** A structure or union by its id. */
  composite(id: number, name: string): KernelType {
    let type = this.#members.get(id);
    if (type === undefined) {
      type = new BtfMembers(this, id, name);
      this.#members.set(id, type);
    }
    return type;
  }

  #idsOf(name: string): readonly number[] {
    return this.#named.find(name).map((number) => this.#namedIds[number]!);
  }

  /** What names may stand in: these bytes, and the base's. */
  get #texts(): readonly Uint8Array[] {
    return this.#base === null ? [this.#bytes] : [this.#bytes, this.#base.#bytes];
  }

  #index(): void {
    const first = this.#base?.end ?? 0;
    for (let i = this.#base === null ? 1 : 0; i < this.#types.length; i++) {
      const at = this.#types[i]!;
      const name = dword(this.#bytes, at);
      if (name === 0 || !isNamed((dword(this.#bytes, at + 4) >>> 24) & 0x1f)) continue;
      this.#namedIds[this.#named.count] = first + i;
      this.#addString(this.#named, name);
    }
  }

  /** Adds a string to a table of names over these bytes and the base's. */
  #addString(table: NameTable, offset: number): void {
    const base = this.#base;
    const own = base === null || offset >= base.stringEnd;
    const holder = own ? this : base;
    const start = Math.min(
      holder.#strings + (own ? offset - (base?.stringEnd ?? 0) : offset),
      holder.#stringsEnd,
    );
    const limit = Math.min(holder.#stringsEnd, start + nameLimit);
    let end = start;
    while (end < limit && holder.#bytes[end] !== 0) end++;
    table.add(start, end, own ? 0 : 1);
  }

  #readEnumerators(): { table: NameTable; values: Float64Array } {
    const bytes = this.#bytes;
    const enums: {
      readonly at: number;
      readonly parts: number;
      readonly wide: boolean;
      readonly signed: boolean;
    }[] = [];
    let count = 0;
    for (let i = this.#base === null ? 1 : 0; i < this.#types.length; i++) {
      const info = dword(bytes, this.#types[i]! + 4);
      const kindOf = (info >>> 24) & 0x1f;
      if (kindOf !== kind.enum && kindOf !== kind.enum64) continue;
      const parts = info & 0xffff;
      enums.push({
        at: this.#types[i]! + 12,
        parts,
        wide: kindOf === kind.enum64,
        signed: info >>> 31 === 1,
      });
      count += parts;
    }
    const table = new NameTable(this.#texts, count);
    const values = new Float64Array(count);
    for (const { at, parts, wide, signed } of enums) {
      for (let i = 0; i < parts; i++) {
        const place = at + i * (wide ? 12 : 8);
        const low = dword(bytes, place + 4);
        const high = wide ? dword(bytes, place + 8) : 0;
        // Until 6.0 the flag was not set; an enumerator below zero then shows as one.
        const narrow = signed || low === 0xffff_ffff ? low | 0 : low;
        values[table.count] = wide ? (signed ? high | 0 : high) * 2 ** 32 + low : narrow;
        this.#addString(table, dword(bytes, place));
      }
    }
    return { table, values };
  }
}

/** Kinds that are asked for by name. */
function isNamed(kindOf: number): boolean {
  return kindOf === kind.struct || kindOf === kind.union || kindOf === kind.typedef;
}

function isTransparent(kindOf: number): boolean {
  return (
    kindOf === kind.typedef ||
    kindOf === kind.volatile ||
    kindOf === kind.const ||
    kindOf === kind.restrict ||
    kindOf === kind.typeTag
  );
}
