import { hex } from "../../spec/codec.ts";
import { InputError } from "../input-error.ts";
import { readSymbolNames } from "./kallsyms-names.ts";
import type { AddressSpace } from "./memory.ts";
import { NameTable } from "./name-table.ts";
import type { Vmcoreinfo } from "./vmcoreinfo.ts";
import { dword, qword, textUpToZero } from "./words.ts";

/** The symbols of a kernel without its modules. */
export interface SymbolTable {
  /** How many there are. */
  readonly count: number;
  /** Where a symbol is; of several with one name a global one, else the one that is listed first. */
  address(name: string): bigint | undefined;
}

const symbolLimit = 1 << 22;

/**
 * The symbols that a kernel keeps of itself, by what VMCOREINFO says of them (since 6.0).
 *
 * An address is an offset of 32 bits: up to 6.14 a signed one, below 0 counted backwards from one below the base, else
 * absolute (per-CPU symbols lay from 0 on); then an unsigned one from the base; since 7.0 a signed one from its own place.
 * Which it is is told by symbols that VMCOREINFO also has.
 * @throws InputError when VMCOREINFO lacks what it takes, or what is there is no kallsyms.
 */
export function readKallsyms(memory: AddressSpace, info: Vmcoreinfo): SymbolTable {
  const needed = (name: string): bigint => {
    const address = info.symbol(name);
    if (address !== undefined) return address;
    throw new InputError(
      `${memory.name}: VMCOREINFO of kernel ${info.release}: expected SYMBOL(${name}), by which a kernel of 6.0 or newer tells its symbols`,
    );
  };
  const place = needed("kallsyms_names");
  const offsetsPlace = needed("kallsyms_offsets");
  const count = dword(memory.read(needed("kallsyms_num_syms"), 4), 0);
  if (count === 0 || count > symbolLimit) {
    throw new InputError(
      `${memory.name}: kallsyms_num_syms: expected between 1 and ${symbolLimit} symbols, found ${count}`,
    );
  }
  const { table, types } = readSymbolNames(memory, place, count, {
    table: needed("kallsyms_token_table"),
    index: needed("kallsyms_token_index"),
  });
  const offsets = memory.read(offsetsPlace, count * 4);
  const basePlace = info.symbol("kallsyms_relative_base");
  const base = basePlace === undefined ? null : qword(memory.read(basePlace, 8), 0);
  const decode = encodingOf(memory.name, info, table, base, (number, base) =>
    addressesOf(dword(offsets, number * 4), base, offsetsPlace + BigInt(number * 4)),
  );
  return {
    count,
    address: (name) => {
      const number = chosen(table.find(name), types);
      return number === undefined ? undefined : decode(number);
    },
  };
}

/** The addresses that an offset can stand for, by encoding. */
function addressesOf(offset: number, base: bigint | null, place: bigint): readonly bigint[] {
  const signed = BigInt(offset | 0);
  if (base === null) return [BigInt.asUintN(64, place + signed)];
  return [
    signed < 0n ? BigInt.asUintN(64, base - 1n - signed) : signed,
    BigInt.asUintN(64, base + BigInt(offset)),
  ];
}

/** Symbols that VMCOREINFO has had in every release. */
const witnesses = ["_stext", "swapper_pg_dir", "init_top_pgt", "init_uts_ns", "node_data"] as const;

function encodingOf(
  source: string,
  info: Vmcoreinfo,
  table: NameTable,
  base: bigint | null,
  read: (number: number, base: bigint | null) => readonly bigint[],
): (number: number) => bigint {
  const seen = witnesses.flatMap((name) => {
    const address = info.symbol(name);
    return address === undefined ? [] : table.find(name).map((number) => ({ number, address }));
  });
  for (let encoding = 0; encoding < (base === null ? 1 : 2); encoding++) {
    const holds = seen.some(({ number, address }) => read(number, base)[encoding] === address);
    if (holds) return (number) => read(number, base)[encoding]!;
  }
  throw new InputError(
    `${source}: kallsyms: expected _stext at ${hex(info.symbol("_stext") ?? 0n)}, as VMCOREINFO has it; ` +
      `no known encoding of the addresses puts it there`,
  );
}

/** Of symbols with one name the first whose type is a capital letter, else the first. */
function chosen(numbers: readonly number[], types: Uint8Array): number | undefined {
  return numbers.find((number) => types[number]! < 0x61) ?? numbers[0];
}

/** The text of /proc/kallsyms: `ffffffff81000000 T _stext`, of a module's symbol with `\t[module]` behind. */
export class KallsymsText {
  readonly #text: Uint8Array;
  readonly #table: NameTable;
  readonly #lines: Uint32Array;

  /** @throws InputError when it is none, or shows no addresses. */
  constructor(text: Uint8Array, name = "proc/kallsyms") {
    this.#text = text;
    let lines = 0;
    for (let at = text.indexOf(10); at >= 0; at = text.indexOf(10, at + 1)) lines++;
    this.#table = new NameTable([text], lines + 1);
    this.#lines = new Uint32Array(lines + 1);
    let shown = false;
    let tab = text.indexOf(9);
    for (let start = 0; start < text.length;) {
      const newline = text.indexOf(10, start);
      const end = newline < 0 ? text.length : newline;
      if (tab >= 0 && tab < start) tab = text.indexOf(9, start);
      const nameEnd = tab >= 0 && tab < end ? tab : end;
      // 16 digits, a space, the type, a space, the name.
      if (end - start < 20 || text[start + 16] !== 0x20 || text[start + 18] !== 0x20) {
        throw new InputError(
          `${name}: line ${this.#table.count + 1}: expected 16 hexadecimal digits, a type and a name`,
        );
      }
      this.#lines[this.#table.count] = start;
      shown ||= !isZero(text, start);
      this.#table.add(start + 19, nameEnd);
      start = end + 1;
    }
    if (!shown) {
      throw new InputError(
        `${name}: expected addresses, found none but zeros: reading them needs root (CAP_SYSLOG) and kernel.kptr_restrict below 2`,
      );
    }
  }

  get count(): number {
    return this.#table.count;
  }

  address(name: string, module?: string): bigint | undefined {
    const numbers = this.#table.find(name).filter((number) => this.#module(number, name) === module);
    const global = numbers.find((number) => this.#text[this.#lines[number]! + 17]! < 0x61) ?? numbers[0];
    if (global === undefined) return undefined;
    const digits = textUpToZero(this.#text, this.#lines[global]!, this.#lines[global]! + 16);
    return /^[0-9a-f]{16}$/.test(digits) ? BigInt(`0x${digits}`) : undefined;
  }

  #module(number: number, name: string): string | undefined {
    const start = this.#lines[number]! + 19 + name.length;
    if (this.#text[start] !== 9) return undefined;
    const end = this.#text.indexOf(0x5d, start);
    return end < 0 || end - start > 64 ? undefined : textUpToZero(this.#text, start + 2, end);
  }
}

function isZero(text: Uint8Array, start: number): boolean {
  for (let i = 0; i < 16; i++) if (text[start + i] !== 0x30) return false;
  return true;
}
