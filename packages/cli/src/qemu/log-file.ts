import { closeSync, fstatSync, ftruncateSync, openSync, readSync, unlinkSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { InputError } from "@intremap/core";
import { reasonOf } from "../input.ts";

/** Above this many bytes that have been read, the file is emptied. */
const most = 16 * 1024 * 1024;
const step = 256 * 1024;

/**
 * What another process writes to its standard error, in a file that has no name: a write to it wakes nobody, and what was
 * written before an answer is there when the answer is.
 */
export class LogFile {
  /** To be handed to the process; opened for appending, so that the file can be emptied under it. */
  readonly descriptor: number;
  readonly #buffer = Buffer.allocUnsafe(step);
  #at = 0;
  #open = true;

  /** @throws InputError when the folder for temporary files cannot be written. */
  constructor() {
    const path = join(tmpdir(), `intremap-${process.pid}-${Math.random().toString(36).slice(2)}`);
    try {
      this.descriptor = openSync(path, "ax+", 0o600);
      unlinkSync(path);
    } catch (error) {
      throw new InputError(`a temporary file in ${tmpdir()}: ${reasonOf(error)}`);
    }
  }

  /** Whatever was written since the last time, in pieces; each is good until the next is asked for. */
  *read(): Generator<Buffer> {
    while (this.#open) {
      const length = readSync(this.descriptor, this.#buffer, 0, step, this.#at);
      this.#at += length;
      if (length > 0) yield this.#buffer.subarray(0, length);
      if (length < step) return;
    }
  }

  /** Empties a long file. Only while the process writes nothing. */
  trim(): void {
    if (!this.#open || this.#at < most || fstatSync(this.descriptor).size !== this.#at) return;
    ftruncateSync(this.descriptor, 0);
    this.#at = 0;
  }

  close(): void {
    if (this.#open) closeSync(this.descriptor);
    this.#open = false;
  }
}
