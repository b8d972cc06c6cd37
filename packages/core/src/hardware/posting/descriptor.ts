import * as pid from "../../spec/accessors/posted-descriptor.ts";
import { postedDescriptor } from "../../spec/vtd/irte.ts";
import { decode, fromWords } from "../../spec/codec.ts";
import { type Memory, chunkNumber, wordInChunk } from "../memory.ts";
import { type VectorPage, group } from "./vector-page.ts";

/** What became of an interrupt that was posted. */
export const Post = {
  /** Its PIR bit was set already. */
  merged: 0,
  /** PIR only: a notification is outstanding, or is not wanted. */
  recorded: 1,
  /** ON was set: a notification has to be sent. */
  notify: 2,
} as const;

export type Post = (typeof Post)[keyof typeof Post];

/** A descriptor as the documents list its fields; `pir` has one bit for each vector. */
export interface DescriptorFields {
  readonly pir: bigint;
  readonly on: 0 | 1;
  readonly sn: 0 | 1;
  readonly nv: number;
  readonly ndst: number;
}

const pirWords = 8;

/**
 * A posted-interrupt descriptor in memory, as processor and software see it. Each method is one atomic step of the
 * posting protocol.
 */
export class PostedDescriptor {
  readonly address: number;
  readonly #memory: Memory;
  readonly #chunk: number;
  readonly #first: number;
  /** The chunk, once it is known to have been written: it stays the same from then on. */
  #written: Int32Array | null = null;

  /** @param address on a 64-byte boundary. @throws RangeError when it is not. */
  constructor(memory: Memory, address: number) {
    if (address % 64 !== 0) {
      throw new RangeError(
        `posted-interrupt descriptor at 0x${address.toString(16)}: a 64-byte boundary was expected`,
      );
    }
    this.address = address;
    this.#memory = memory;
    this.#chunk = chunkNumber(address);
    this.#first = wordInChunk(address);
  }

  get #words(): Int32Array {
    return this.#written ?? this.#memory.chunk(this.#chunk);
  }

  get #writable(): Int32Array {
    return (this.#written ??= this.#memory.writableChunk(this.#chunk));
  }

  read(): DescriptorFields {
    const fields = decode(postedDescriptor, fromWords(this.#words, this.#first, postedDescriptor.width));
    return {
      pir: BigInt(fields.pir),
      on: this.on,
      sn: this.sn,
      nv: Number(fields.nv),
      ndst: Number(fields.ndst),
    };
  }

  get on(): 0 | 1 {
    return pid.on(this.#words, this.#first) as 0 | 1;
  }

  get sn(): 0 | 1 {
    return pid.sn(this.#words, this.#first) as 0 | 1;
  }

  get nv(): number {
    return pid.nv(this.#words, this.#first);
  }

  /** As int32: in xAPIC mode the id lies in bits 15:8. */
  get ndst(): number {
    return pid.ndst(this.#words, this.#first);
  }

  /** Whether PIR holds anything. */
  get pending(): boolean {
    const words = this.#words;
    for (let i = 0; i < pirWords; i++) if (words[this.#first + pid.PIR_WORD + i] !== 0) return true;
    return false;
  }

  /** Sets PIR[vector]. @returns what it was. */
  testAndSetPir(vector: number): 0 | 1 {
    return this.#testAndSet(pid.PIR_WORD + (vector >>> 5), 1 << vector);
  }

  /** Sets ON. @returns what it was. */
  testAndSetOn(): 0 | 1 {
    return this.#testAndSet(pid.ON_WORD, pid.ON_MASK);
  }

  #testAndSet(word: number, mask: number): 0 | 1 {
    const words = this.#writable;
    const at = this.#first + word;
    const was = words[at]!;
    words[at] = was | mask;
    return (was & mask) === 0 ? 0 : 1;
  }

  clearOn(): void {
    this.#replace(pid.ON_WORD, pid.ON_MASK, 0);
  }

  /** Writes SN, NV and NDST at once, as software does when it moves a vCPU; ON and PIR stay. */
  setNotification(sn: 0 | 1, nv: number, ndst: number): void {
    this.#replace(pid.SN_WORD, pid.SN_MASK | pid.NV_MASK, (sn << pid.SN_SHIFT) | (nv << pid.NV_SHIFT));
    this.#replace(pid.NDST_WORD, pid.NDST_MASK, ndst);
  }

  #replace(word: number, mask: number, value: number): void {
    const words = this.#writable;
    const at = this.#first + word;
    words[at] = (words[at]! & ~mask) | value;
  }

  /** Takes part 0 to 7 of PIR: 32 vectors, cleared as they are read. */
  exchangePir(part: number): number {
    const at = this.#first + pid.PIR_WORD + part;
    const vectors = this.#words[at]!;
    if (vectors !== 0) this.#writable[at] = 0;
    return vectors;
  }

  /** Software posts a virtual interrupt (vmx.pid.software-post). */
  postFromSoftware(vector: number): Post {
    if (this.testAndSetPir(vector) === 1) return Post.merged;
    return this.testAndSetOn() === 1 ? Post.recorded : Post.notify;
  }

  /** The processor posts an IPI that it virtualizes (vmx.ipi.virtualization): SN holds the notification back. */
  postFromIpi(vector: number): Post {
    const was = this.testAndSetPir(vector);
    if (this.on === 0 && this.sn === 0) {
      this.testAndSetOn();
      return Post.notify;
    }
    return was === 1 ? Post.merged : Post.recorded;
  }

  /**
   * Moves PIR into the IRR of a page, part by part, each cleared as it is read.
   * @returns the highest vector moved; -1 if there was none.
   */
  harvest(page: VectorPage): number {
    const words = this.#writable;
    const first = this.#first + pid.PIR_WORD;
    let highest = -1;
    for (let part = 0; part < pirWords; part++) {
      const vectors = words[first + part]!;
      if (vectors === 0) continue;
      words[first + part] = 0;
      page.merge(group.irr, part, vectors);
      highest = (part << 5) | (31 - Math.clz32(vectors));
    }
    return highest;
  }

  /**
   * Software brings what was posted to the vCPU's IRR (vmx.pid.software-harvest): ON first, so that a post in between
   * sets it again. @returns as {@link harvest}.
   */
  harvestFromSoftware(page: VectorPage): number {
    if (this.on === 0) return -1;
    this.clearOn();
    return this.harvest(page);
  }
}
