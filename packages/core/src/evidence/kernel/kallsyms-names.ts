import { InputError } from "../input-error.ts";
import { type AddressSpace, readUpTo } from "./memory.ts";
import { NameTable } from "./name-table.ts";
import { word } from "./words.ts";

/** Names of symbols, and the letters of their types by their numbers. */
export interface SymbolNames {
  readonly table: NameTable;
  readonly types: Uint8Array;
}

/** What 8 bits of a name stand for, in bytes that hold all of it. */
interface Tokens {
  readonly bytes: Uint8Array;
  readonly starts: Uint16Array;
  readonly ends: Uint16Array;
}

/** Of all names together, as they are written and expanded; those of a kernel with 200,000 symbols take 2 and 6 MiB. */
const writtenLimit = 1 << 25;
const textLimit = 1 << 26;
/** Of one name, expanded; the kernel's is 512. */
const nameLimit = 1 << 12;
/** Of all tokens; the kernel's take less than 1,000. */
const tokensLimit = 1 << 13;
const tokenCount = 256;
const chunkBytes = 1 << 18;

/**
 * Reads names that are written one behind the other: a length of one byte, or of two with bit 7 of the first set and the
 * higher bits in the second (since 6.1), then as many tokens. The first character that they expand to is the type.
 * @throws InputError when there is no such thing.
 */
export function readSymbolNames(
  memory: AddressSpace,
  place: bigint,
  count: number,
  tokens: { readonly table: bigint; readonly index: bigint },
): SymbolNames {
  const { bytes, starts, ends } = readTokens(memory, tokens.table, tokens.index);
  const types = new Uint8Array(count);
  const bounds = new Uint32Array(count + 1);
  let text = new Uint8Array(1 << 20);
  let out = 0;
  const written = new Written(memory, place);
  for (let number = 0; number < count; number++) {
    const low = written.need(1)[written.at++]!;
    const length = low < 0x80 ? low : (low & 0x7f) | (written.need(1)[written.at++]! << 7);
    const chunk = written.need(length);
    if (text.length - out < 2 * nameLimit) text = grown(memory.name, text);
    const before = out;
    const end = written.at + length;
    for (let at = written.at; at < end && out - before <= nameLimit; at++) {
      const token = chunk[at]!;
      for (let i = starts[token]!; i < ends[token]!; i++) text[out++] = bytes[i]!;
    }
    written.at = end;
    if (out === before || out - before > nameLimit) {
      throw new InputError(
        `${memory.name}: kallsyms_names: expected symbol ${number} to have between 1 and ${nameLimit} characters`,
      );
    }
    types[number] = text[before]!;
    bounds[number + 1] = out;
  }
  const table = new NameTable([text], count);
  for (let number = 0; number < count; number++) table.add(bounds[number]! + 1, bounds[number + 1]!);
  return { table, types };
}

function readTokens(memory: AddressSpace, table: bigint, index: bigint): Tokens {
  const starts = new Uint16Array(tokenCount);
  const ends = new Uint16Array(tokenCount);
  const written = memory.read(index, tokenCount * 2);
  for (let i = 0; i < tokenCount; i++) starts[i] = word(written, i * 2);
  const last = Math.max(...starts);
  if (last >= tokensLimit) {
    throw new InputError(
      `${memory.name}: kallsyms_token_index: expected tokens within ${tokensLimit} bytes, found one at ${last}`,
    );
  }
  const bytes = readUpTo(memory, table, last + 1, last + nameLimit);
  for (let i = 0; i < tokenCount; i++) {
    const end = bytes.indexOf(0, starts[i]);
    if (end < 0 || end - starts[i]! >= nameLimit) {
      throw new InputError(`${memory.name}: kallsyms_token_table: expected token ${i} to end with a zero`);
    }
    ends[i] = end;
  }
  return { bytes, starts, ends };
}

/** Bytes from an address on, as far as they are needed. */
class Written {
  readonly #memory: AddressSpace;
  readonly #start: bigint;
  #read = 0;
  #chunk: Uint8Array = new Uint8Array(0);
  /** The next byte in the chunk. */
  at = 0;

  constructor(memory: AddressSpace, start: bigint) {
    this.#memory = memory;
    this.#start = start;
  }

  /** A chunk with so many bytes from `at` on. */
  need(count: number): Uint8Array {
    while (this.#chunk.length - this.at < count) this.#more();
    return this.#chunk;
  }

  #more(): void {
    if (this.#read > writtenLimit) {
      throw new InputError(`${this.#memory.name}: kallsyms_names: expected at most ${writtenLimit} bytes`);
    }
    const more = readUpTo(this.#memory, this.#start + BigInt(this.#read), 1, chunkBytes);
    const left = this.#chunk.subarray(this.at);
    const chunk = new Uint8Array(left.length + more.length);
    chunk.set(left);
    chunk.set(more, left.length);
    this.#read += more.length;
    this.#chunk = chunk;
    this.at = 0;
  }
}

function grown(name: string, text: Uint8Array): Uint8Array<ArrayBuffer> {
  if (text.length >= textLimit) {
    throw new InputError(`${name}: kallsyms_names: expected at most ${textLimit} characters`);
  }
  const bytes = new Uint8Array(text.length * 2);
  bytes.set(text);
  return bytes;
}
