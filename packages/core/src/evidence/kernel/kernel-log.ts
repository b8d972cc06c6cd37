import { hex } from "../../spec/codec.ts";
import type { HostDraft } from "../host/draft.ts";
import { addKernelLog } from "../host/read-log.ts";
import { InputError } from "../input-error.ts";
import type { Kernel } from "./kernel.ts";
import { KernelStruct, readQuad } from "./kernel-struct.ts";
import { UnreadableMemory } from "./memory.ts";
import { dword, qword } from "./words.ts";

/** `log_buf_len=` at most: 2^31 bytes may be asked for; logs of that size are cut here. */
const sizeBitsLimit = 31;
const countBitsLimit = 26;
const recordLimit = 1 << 20;
const textLimit = 1 << 25;
/** prb_desc.state_var: the state in bits 63:62, the id below. */
const stateShift = 62n;
const idMask = (1n << stateShift) - 1n;
/** A record that is being written may still grow (committed), or is finished (finalized). */
const readable: ReadonlySet<bigint> = new Set([1n, 2n]);

/** One message of a kernel's log. */
export interface KernelLogRecord {
  /** Nanoseconds since the kernel started. */
  readonly time: bigint;
  readonly text: string;
}

/** A kernel's log, and what of it was lost. */
export interface KernelLog {
  readonly records: readonly KernelLogRecord[];
  /** Why records are left out; null when none is. */
  readonly lost: string | null;
}

/** Adds what the log in a kernel's memory says of interrupt remapping. */
export function walkKernelLog(kernel: Kernel, draft: HostDraft): void {
  const needs = "the output of dmesg";
  try {
    const { records, lost } = readKernelMemoryLog(kernel);
    addKernelLog(printLog(records), "kernel memory", draft);
    if (lost !== null) draft.missing.push({ what: "part of the kernel log", why: lost, needs });
  } catch (error) {
    if (!(error instanceof InputError)) throw error;
    draft.missing.push({ what: "kernel log", why: error.message, needs });
  }
}

/** The log as dmesg prints it: each line behind its time in seconds. */
export function printLog(records: readonly KernelLogRecord[]): string {
  const lines: string[] = [];
  for (const { time, text } of records) {
    const microseconds = time / 1000n;
    const seconds = String(microseconds / 1_000_000n).padStart(5);
    const stamp = `[${seconds}.${String(microseconds % 1_000_000n).padStart(6, "0")}] `;
    for (const line of text.split("\n")) lines.push(`${stamp}${line}\n`);
  }
  return lines.join("");
}

/**
 * The log that printk keeps: a ring of descriptors and one of text since 5.10, before it one buffer of records.
 * @throws InputError when it is not there, or is none; single records that cannot be read are left out.
 */
export function readKernelMemoryLog(kernel: Kernel): KernelLog {
  const ring = kernel.symbols.address("prb");
  if (ring !== undefined)
    return readRing(new KernelStruct(kernel, "printk_ringbuffer", readQuad(kernel, ring)));
  if (kernel.symbols.address("log_first_idx") !== undefined) return readBuffer(kernel);
  throw new InputError(`${kernel.memory.name}: expected the symbol prb, as a kernel since 5.10 has it`);
}

function readRing(ring: KernelStruct): KernelLog {
  const { kernel } = ring;
  const countBits = bounded(ring, "desc_ring.count_bits", countBitsLimit);
  const sizeBits = bounded(ring, "text_data_ring.size_bits", sizeBitsLimit);
  const mask = (1n << BigInt(countBits)) - 1n;
  const head = ring.u64("desc_ring.head_id.counter", "desc_ring.head_id");
  const tail = ring.u64("desc_ring.tail_id.counter", "desc_ring.tail_id");
  const span = (head - tail) & idMask;
  if (span > mask) {
    throw new InputError(
      `${kernel.memory.name}: printk_ringbuffer: expected tail_id within ${mask} of head_id, found ${span}`,
    );
  }
  const descriptorBytes = BigInt(size(kernel, "prb_desc"));
  const infoBytes = BigInt(size(kernel, "printk_info"));
  const descriptors = ring.pointer("desc_ring.descs");
  const infos = ring.pointer("desc_ring.infos");
  const collected = new Collected();
  for (let i = 0n; i <= span && collected.open; i++) {
    const id = (tail + i) & idMask;
    const index = id & mask;
    collected.add(() => {
      const descriptor = new KernelStruct(kernel, "prb_desc", descriptors + index * descriptorBytes);
      const state = descriptor.u64("state_var.counter", "state_var");
      if ((state & idMask) !== id || !readable.has(state >> stateShift)) return null;
      const info = new KernelStruct(kernel, "printk_info", infos + index * infoBytes);
      const text = textOf(ring, descriptor, sizeBits, id, info.u16("text_len"));
      return text === null ? null : { time: info.u64("ts_nsec"), text };
    });
  }
  return collected.finish();
}

/** The text of a record; null when it has none, or has been written over. */
function textOf(
  ring: KernelStruct,
  descriptor: KernelStruct,
  sizeBits: number,
  id: bigint,
  length: number,
): string | null {
  const begin = descriptor.u64("text_blk_lpos.begin");
  const next = descriptor.u64("text_blk_lpos.next");
  // Odd positions stand for text that is empty, or for which no room was left.
  if ((begin & 1n) === 1n || next <= begin) return (begin & next & 1n) === 1n ? "" : null;
  const bits = BigInt(sizeBits);
  const ringMask = (1n << bits) - 1n;
  // A block that does not fit before the end of the ring stands at its start as a whole.
  const wraps = begin >> bits !== (next - 1n) >> bits;
  const start = wraps ? 0n : begin & ringMask;
  const bytes = wraps ? next & ringMask : next - begin;
  if (bytes < 8n || bytes > ringMask + 1n) return null;
  const block = ring.kernel.memory.read(
    ring.pointer("text_data_ring.data") + start,
    Math.min(Number(bytes), 8 + length),
  );
  // Each block begins with the id of its descriptor.
  return (qword(block, 0) & idMask) === id ? latin1(block.subarray(8)) : null;
}

/** Before 5.10: records one behind the other, from log_first_idx to log_next_idx, and one of no length at the end. */
function readBuffer(kernel: Kernel): KernelLog {
  const number = (name: string, size: 4 | 8): bigint => {
    const address = kernel.symbols.address(name);
    if (address === undefined) throw new InputError(`${kernel.memory.name}: expected the symbol ${name}`);
    const bytes = kernel.memory.read(address, size);
    return size === 8 ? qword(bytes, 0) : BigInt(dword(bytes, 0));
  };
  const buffer = number("log_buf", 8);
  const total = number("log_buf_len", 4);
  const headBytes = BigInt(size(kernel, "printk_log"));
  const collected = new Collected();
  const end = number("log_next_idx", 4);
  let at = number("log_first_idx", 4);
  let read = 0n;
  // What has been gone through: once round at most.
  while (at !== end && collected.open && read < total) {
    if (at + headBytes > total) {
      throw new InputError(
        `${kernel.memory.name}: log_buf: expected a record below ${total}, found one at ${at}`,
      );
    }
    const record = new KernelStruct(kernel, "printk_log", buffer + at);
    const length = BigInt(record.u16("len"));
    if (length === 0n) {
      read += total - at;
      at = 0n;
      continue;
    }
    if (length < headBytes) {
      throw new InputError(
        `${kernel.memory.name}: log_buf: expected records of ${headBytes} bytes and more, found ${length} at ${hex(record.address)}`,
      );
    }
    collected.add(() => ({
      time: record.u64("ts_nsec"),
      text: latin1(kernel.memory.read(record.address + headBytes, record.u16("text_len"))),
    }));
    read += length;
    at += length;
  }
  return collected.finish();
}

/** Records as they are read, as many as are kept. */
class Collected {
  readonly #records: KernelLogRecord[] = [];
  #characters = 0;
  #failed = 0;
  #why = "";

  get open(): boolean {
    return this.#records.length + this.#failed < recordLimit && this.#characters < textLimit;
  }

  /** @param read null for a record that is none. */
  add(read: () => KernelLogRecord | null): void {
    try {
      const record = read();
      if (record === null) return;
      this.#records.push(record);
      this.#characters += record.text.length;
    } catch (error) {
      if (!(error instanceof UnreadableMemory)) throw error;
      if (this.#failed++ === 0) this.#why = error.message;
    }
  }

  finish(): KernelLog {
    if (!this.open) return { records: this.#records, lost: "it is longer than is kept" };
    const lost =
      this.#failed === 0 ? null : `${this.#failed} records cannot be read, the first: ${this.#why}`;
    return { records: this.#records, lost };
  }
}

function bounded(ring: KernelStruct, name: string, limit: number): number {
  const bits = ring.u32(name);
  if (bits > 0 && bits <= limit) return bits;
  throw new InputError(
    `${ring.kernel.memory.name}: printk_ringbuffer.${name}: expected 1 to ${limit}, found ${bits}`,
  );
}

function size(kernel: Kernel, type: string): number {
  return new KernelStruct(kernel, type, 0n).type.size;
}

function latin1(bytes: Uint8Array): string {
  let text = "";
  for (const byte of bytes) text += String.fromCharCode(byte);
  return text;
}
