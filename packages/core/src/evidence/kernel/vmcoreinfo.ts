import { InputError } from "../input-error.ts";
import { UnreadableMemory } from "./memory.ts";
import type { PhysicalMemory } from "./physical-memory.ts";
import { dword, textUpToZero } from "./words.ts";

/** What a kernel says of itself for those who read its dump (Documentation/admin-guide/kdump/vmcoreinfo.rst). */
export class Vmcoreinfo {
  readonly #lines: ReadonlyMap<string, string>;

  /** @param text lines of `KEY=value` or `KIND(name)=value`; of two with one key the last counts. */
  constructor(text: Uint8Array) {
    const lines = new Map<string, string>();
    for (const line of textUpToZero(text, 0, Math.min(text.length, textLimit)).split("\n")) {
      const sign = line.indexOf("=");
      if (sign > 0) lines.set(line.slice(0, sign), line.slice(sign + 1));
    }
    this.#lines = lines;
  }

  get(key: string): string | undefined {
    return this.#lines.get(key);
  }

  /** OSRELEASE. @throws InputError when there is none. */
  get release(): string {
    const release = this.get("OSRELEASE");
    if (release === undefined || !/^\d+\.\d[\w.+~-]*$/.test(release)) {
      throw new InputError(
        `VMCOREINFO: expected OSRELEASE to be a kernel's release, found ${JSON.stringify(release)}`,
      );
    }
    return release;
  }

  /** SYMBOL(name): where the symbol was when the kernel ran. */
  symbol(name: string): bigint | undefined {
    const text = this.get(`SYMBOL(${name})`);
    return text !== undefined && /^[0-9a-f]{1,16}$/.test(text) ? BigInt(`0x${text}`) : undefined;
  }

  /** NUMBER(name): a signed decimal number. */
  number(name: string): bigint | undefined {
    const text = this.get(`NUMBER(${name})`);
    return text !== undefined && /^-?\d{1,20}$/.test(text) ? BigInt(text) : undefined;
  }

  /** OFFSET(structure.member), in bytes. */
  offset(name: string): number | undefined {
    const text = this.get(`OFFSET(${name})`);
    return text !== undefined && /^\d{1,9}$/.test(text) ? Number(text) : undefined;
  }
}

const textLimit = 1 << 16;
const pageBytes = 4096;
const blockBytes = 1 << 22;
/** A note's header, its name of 11 bytes padded to 12, and the least of its text. */
const headBytes = 12 + 12;
const nameWords = [0x4f434d56, 0x4e494552, 0x00004f46] as const;
const candidateLimit = 4096;

/**
 * VMCOREINFO notes in RAM, in ascending order: their texts. The kernel keeps its note at the start of a page (since 4.14);
 * guests of the machine may have left some of their own.
 * @param progress told the bytes looked through and the bytes that there are.
 */
export function* scanForVmcoreinfo(
  memory: PhysicalMemory,
  progress?: (done: bigint, total: bigint) => void,
): Generator<Uint8Array> {
  const total = memory.ranges.reduce((sum, { start, end }) => sum + (end - start), 0n);
  let done = 0n;
  let found = 0;
  for (const { start, end } of memory.ranges) {
    const first = (start + BigInt(pageBytes - 1)) & ~BigInt(pageBytes - 1);
    for (let at = first; at < end; at += BigInt(blockBytes)) {
      progress?.(done + (at - start), total);
      const left = end - at;
      const size = left < BigInt(blockBytes) ? Number(left) : blockBytes;
      for (const [offset, bytes, from] of pagesOf(memory, at, size)) {
        if (!isHead(bytes, from)) continue;
        const text = textOf(memory, at + BigInt(offset));
        if (text === undefined) continue;
        yield text;
        if (++found === candidateLimit) return;
      }
    }
    done += end - start;
  }
  progress?.(total, total);
}

/** The offset of each page that is there, and bytes that have its beginning, from where on. */
function* pagesOf(
  memory: PhysicalMemory,
  at: bigint,
  size: number,
): Generator<readonly [number, Uint8Array, number]> {
  const block = readIfThere(memory, at, size);
  for (let offset = 0; offset + headBytes <= size; offset += pageBytes) {
    if (block !== undefined) yield [offset, block, offset];
    else {
      const head = readIfThere(memory, at + BigInt(offset), headBytes);
      if (head !== undefined) yield [offset, head, 0];
    }
  }
}

function isHead(bytes: Uint8Array, at: number): boolean {
  if (bytes[at] !== 11 || dword(bytes, at) !== 11) return false;
  const size = dword(bytes, at + 4);
  return (
    size >= headBytes - 12 &&
    size <= textLimit &&
    nameWords.every((value, i) => dword(bytes, at + 12 + 4 * i) === value)
  );
}

/** The text of the note at an address, if it is one of VMCOREINFO. */
function textOf(memory: PhysicalMemory, at: bigint): Uint8Array | undefined {
  const head = readIfThere(memory, at, headBytes);
  const text = head === undefined ? undefined : readIfThere(memory, at + 24n, dword(head, 4));
  if (text === undefined || !/^OSRELEASE=\d+\.\d/.test(textUpToZero(text, 0, 16))) return undefined;
  return text;
}

function readIfThere(memory: PhysicalMemory, at: bigint, length: number): Uint8Array | undefined {
  try {
    return memory.read(at, length);
  } catch (error) {
    if (error instanceof UnreadableMemory) return undefined;
    throw error;
  }
}
