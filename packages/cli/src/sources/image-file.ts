import { type FileHandle, open } from "node:fs/promises";
import { basename, join } from "node:path";
import { type BlockBackend, InputError } from "@intremap/core";
import { reasonOf } from "../input.ts";

/** A disk image in a file, read and written by position. It is opened for writing only when it is first written to. */
export class ImageFile implements BlockBackend {
  readonly size: number;
  readonly #path: string;
  readonly #reading: FileHandle;
  #writing: FileHandle | undefined;

  private constructor(path: string, size: number, reading: FileHandle) {
    this.#path = path;
    this.size = size;
    this.#reading = reading;
  }

  /**
   * @param name a file name without a path: images lie beside their scenario.
   * @throws InputError when it cannot be read.
   */
  static async open(folder: string, name: string): Promise<ImageFile> {
    if (basename(name) !== name) {
      throw new InputError(`image "${name}": expected a file name, of a file beside the scenario`);
    }
    const path = join(folder, name);
    try {
      const reading = await open(path, "r");
      return new ImageFile(path, (await reading.stat()).size, reading);
    } catch (error) {
      throw new InputError(`${path}: ${reasonOf(error)}`);
    }
  }

  async read(offset: number, length: number): Promise<Uint8Array> {
    const bytes = new Uint8Array(length);
    await this.#reading.read(bytes, 0, length, offset);
    return bytes;
  }

  async write(offset: number, bytes: Uint8Array): Promise<void> {
    this.#writing ??= await open(this.#path, "r+");
    await this.#writing.write(bytes, 0, bytes.length, offset);
  }

  async flush(): Promise<void> {
    await this.#writing?.sync();
  }

  async close(): Promise<void> {
    await this.#reading.close();
    await this.#writing?.close();
  }
}
