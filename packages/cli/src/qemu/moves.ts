import { driverMemory, hex } from "./places.ts";
import type { Qtest } from "./qtest.ts";

/** A memory move, whose next two dwords are where from and where to. */
const move = 0xc000_0000;
/** Ends a program. */
const end = [0x9808_0000, 0] as const;
const moveWords = 3;

/** QEMU 7.2 stops a program after 100 instructions. */
const mostAtOnce = 96;
/** Bytes of results for which no further script is put into the same program. */
const enoughResults = 32 * 1024;
const enoughMoves = 960;
const enoughData = 48 * 1024;

/**
 * A program for the SCRIPTS processor of an LSI 53C895A: accesses of a list, made in order by one command. The controller
 * reaches memory and registers through the IOMMU like any device, and names no requester.
 */
export class Moves {
  #instructions = new Uint32Array(16 * 1024);
  #count = 0;
  /** Where programs of at most `mostAtOnce` moves begin, in dwords. */
  #starts: number[] = [0];
  #sinceStart = 0;
  #moves = 0;
  #data = Buffer.alloc(64 * 1024);
  #dataLength = 0;
  #resultLength = 0;

  /** Copies bytes, as the accesses that a PCI device's write of that many bytes makes. */
  copy(bytes: number, from: number, to: number): void {
    if (this.#sinceStart === mostAtOnce) {
      this.#emit(...end);
      this.#starts.push(this.#count);
      this.#sinceStart = 0;
    }
    this.#emit((move | bytes) >>> 0, from, to);
    this.#sinceStart++;
    this.#moves++;
  }

  /** Writes 32-bit words. */
  put(words: readonly number[], to: number): void {
    const from = driverMemory.data + this.#dataLength;
    const bytes = words.length * 4;
    this.#room(bytes);
    for (const word of words) this.#dataLength = this.#data.writeInt32LE(word | 0, this.#dataLength);
    this.copy(bytes, from, to);
  }

  put64(value: bigint, to: number): void {
    this.put([Number(BigInt.asIntN(32, value)), Number(BigInt.asIntN(32, value >> 32n))], to);
  }

  zero(bytes: number, to: number): void {
    for (let at = 0; at < bytes; at += driverMemory.zeroBytes)
      this.copy(Math.min(bytes - at, driverMemory.zeroBytes), driverMemory.zeros, to + at);
  }

  /** Reads bytes. @returns where they stand among the results. */
  fetch(bytes: number, from: number): number {
    const at = this.#resultLength;
    this.copy(bytes, from, driverMemory.results + at);
    this.#resultLength += (bytes + 7) & ~7;
    return at;
  }

  /** Whether it is worth running, rather than adding to. */
  get full(): boolean {
    return (
      this.#moves >= enoughMoves || this.#dataLength >= enoughData || this.#resultLength >= enoughResults
    );
  }

  /**
   * Runs the program, and forgets it.
   * @param start the controller's register that starts a program.
   * @returns the results.
   */
  run(qtest: Qtest, start: number): Promise<Buffer> {
    this.#emit(...end);
    const { instructions, data, results } = driverMemory;
    const program = Buffer.from(this.#instructions.buffer, 0, this.#count * 4);
    const commands = [upload(instructions, program)];
    if (this.#dataLength > 0) commands.push(upload(data, this.#data.subarray(0, this.#dataLength)));
    for (const at of this.#starts) commands.push(`writel ${hex(start)} ${hex(instructions + at * 4)}`);
    const wanted = this.#resultLength;
    if (wanted > 0) commands.push(`b64read ${hex(results)} ${hex(wanted)}`);
    this.#count = 0;
    this.#starts = [0];
    this.#sinceStart = 0;
    this.#moves = 0;
    this.#dataLength = 0;
    this.#resultLength = 0;
    return qtest.exchange(commands).then(([text = ""]) => Buffer.from(text, "base64"));
  }

  #emit(...words: readonly number[]): void {
    if (this.#count + moveWords > this.#instructions.length) {
      const longer = new Uint32Array(this.#instructions.length * 2);
      longer.set(this.#instructions);
      this.#instructions = longer;
    }
    for (const word of words) this.#instructions[this.#count++] = word;
  }

  #room(bytes: number): void {
    if (this.#dataLength + bytes <= this.#data.length) return;
    const longer = Buffer.alloc(2 * (this.#dataLength + bytes));
    this.#data.copy(longer);
    this.#data = longer;
  }
}

/** The command that writes bytes to memory. */
export function upload(address: number, bytes: Buffer): string {
  return `b64write ${hex(address)} ${hex(bytes.length)} ${bytes.toString("base64")}`;
}
