import { type Memory, chunkNumber, wordInChunk } from "../../hardware/memory.ts";
import { fromWords } from "../../spec/codec.ts";
import { type Layout, fieldsOf, maskOf } from "../../spec/layout.ts";
import type { RuleId } from "../../spec/rules.ts";
import type { Stop, Touched } from "./step.ts";

/** A structure in memory that hardware and software share. */
export interface Structure {
  readonly what: string;
  readonly stop: Stop;
  /** Whose it is. */
  readonly actor: string;
  /** Physical. */
  readonly address: number;
  /** In 32-bit words. */
  readonly words: number;
  /** Which layout its words have. */
  readonly layout: (words: Int32Array) => Layout;
  /** What a change that software makes is held against. */
  readonly rule: (change: Touched) => RuleId | null;
}

interface Watched {
  readonly structure: Structure;
  /** As it was seen last. */
  readonly seen: Int32Array;
  /** Where it begins: the number of memory's chunk, and the word in it. */
  readonly chunk: number;
  readonly first: number;
}

/** Structures of a machine, each with what was last seen of it: whoever looks again learns what has changed. */
export class Structures {
  readonly #memory: Memory;
  readonly #watched = new Map<number, Watched>();
  readonly #now = new Int32Array(16);

  constructor(memory: Memory) {
    this.#memory = memory;
  }

  has(address: number): boolean {
    return this.#watched.has(address);
  }

  /** @param blank it was all zeros until now, and whoever wrote it is to be seen; otherwise it is as it is now. */
  watch(structure: Structure, blank: boolean): void {
    const seen = new Int32Array(structure.words);
    if (!blank) this.#memory.readWords(structure.address, seen);
    const { address } = structure;
    this.#watched.set(address, { structure, seen, chunk: chunkNumber(address), first: wordInChunk(address) });
  }

  forget(address: number): void {
    this.#watched.delete(address);
  }

  at(address: number): Structure | undefined {
    return this.#watched.get(address)?.structure;
  }

  /** What changed at an address since it was last looked at; undefined if nothing did. */
  changed(address: number): Touched | undefined {
    const watched = this.#watched.get(address);
    return watched !== undefined && this.#differs(watched) ? this.#take(watched) : undefined;
  }

  /** The same of a structure that hardware is changing: `complete` adds to its words what is still to come. */
  changing(address: number, complete: (words: Int32Array) => void): Touched {
    return this.#take(this.#watched.get(address)!, complete);
  }

  /** Everything that changed since it was last looked at. */
  *changes(): Generator<{ readonly structure: Structure; readonly touched: Touched }> {
    for (const watched of this.#watched.values()) {
      if (this.#differs(watched)) yield { structure: watched.structure, touched: this.#take(watched) };
    }
  }

  /** What changed until now is nobody's business. */
  settle(): void {
    for (const { structure, seen } of this.#watched.values()) {
      this.#memory.readWords(structure.address, seen);
    }
  }

  /** Called at every call that the software makes: structures are aligned to their size, so that each lies in one chunk. */
  #differs({ chunk, first, seen }: Watched): boolean {
    const words = this.#memory.chunk(chunk);
    for (let i = 0; i < seen.length; i++) if (words[first + i] !== seen[i]) return true;
    return false;
  }

  #take({ structure, seen }: Watched, complete?: (words: Int32Array) => void): Touched {
    const { address, words, what, layout } = structure;
    const now = this.#now.subarray(0, words);
    this.#memory.readWords(address, now);
    complete?.(now);
    const chosen = layout(now);
    const width = words * 32;
    const touched = written(what, chosen, fromWords(seen, 0, width), fromWords(now, 0, width));
    seen.set(now);
    return touched;
  }
}

/** A structure that was written: the fields that are not as they were. */
export function written(what: string, layout: Layout, before: bigint, value: bigint): Touched {
  const changed = before ^ value;
  const fields = fieldsOf(layout)
    .filter(([, { parts }]) => parts.some((part) => (changed & maskOf(part)) !== 0n))
    .map(([name]) => name);
  return { what, layout: layout.name, before, value, fields };
}
