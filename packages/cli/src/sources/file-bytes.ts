import { closeSync, constants, fstatSync, openSync, readSync } from "node:fs";
import { type ByteSource, InputError } from "@intremap/core";
import { reasonOf } from "../input.ts";

const longestRead = 2 ** 30;

/** A file that is read by position: a dump on disk, or `/proc/kcore`. */
export class FileBytes implements ByteSource {
  readonly name: string;
  /** As the file system says it; `/proc/kcore` says how far its segments reach, not what can be read. */
  readonly size: number;
  readonly #fd: number;

  /** @throws InputError when it cannot be opened, or is a pipe, a device or a directory. */
  constructor(path: string, name: string = path) {
    this.name = name;
    try {
      // A pipe that nobody writes to would block the open.
      this.#fd = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK);
    } catch (error) {
      throw new InputError(`${name}: ${reasonOf(error)}`);
    }
    const stat = fstatSync(this.#fd);
    if (!stat.isFile()) {
      closeSync(this.#fd);
      throw new InputError(`${name}: expected a regular file`);
    }
    this.size = stat.size;
  }

  read(offset: number | bigint, length: number): Uint8Array {
    if (!(offset >= 0 && length >= 0 && length <= longestRead)) {
      throw new InputError(
        `${this.name}: offset 0x${offset.toString(16)}: ${length} bytes are not read at once`,
      );
    }
    const bytes = new Uint8Array(length);
    let at = 0;
    while (at < length) {
      const position = BigInt(offset) + BigInt(at);
      let count: number;
      try {
        count = readSync(this.#fd, bytes, at, length - at, position);
      } catch (error) {
        throw new InputError(`${this.name}: offset 0x${position.toString(16)}: ${reasonOf(error)}`);
      }
      if (count === 0) {
        throw new InputError(
          `${this.name}: offset 0x${offset.toString(16)}: expected ${length} bytes, the end is after ${at}`,
        );
      }
      at += count;
    }
    return bytes;
  }

  close(): void {
    closeSync(this.#fd);
  }
}
