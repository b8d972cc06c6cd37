import { type Chunks, joined, printSize } from "../input/chunks.ts";
import { decodeUtf8 } from "../input/decode-text.ts";
import { InputError, withName } from "../input-error.ts";
import { type ArchiveFiles, type Kept, keptFiles } from "./archive-files.ts";
import { type HeaderFields, headerBytes, readHeader, readPax } from "./tar-header.ts";

/** The most of an archive that is walked and kept. */
export interface TarLimits {
  readonly entries: number;
  /** Bytes walked over, kept or not. */
  readonly walked: number;
  /** Entries and bytes that are kept. */
  readonly keptEntries: number;
  readonly kept: number;
  /** Bytes of one file that is kept. */
  readonly file: number;
}

const defaults: TarLimits = {
  entries: 500_000,
  walked: 4 * 2 ** 30,
  keptEntries: 1 << 18,
  kept: 512 * 2 ** 20,
  file: 64 * 2 ** 20,
};

const longestName = 4096;
/** A GNU long name or the records of one pax header. */
const longestExtension = 1 << 16;
/** Folders that a path may lie in; sysfs needs a third of it. */
const deepest = 48;

export interface TarOptions {
  /** Whether a file or link of this path is kept. */
  readonly wanted: (path: string) => boolean;
  readonly progress?: (entries: number) => void;
  readonly limits?: TarLimits;
}

/**
 * Walks a tar archive (ustar, pax, GNU) and keeps what is wanted of it in memory.
 * @param roots names that lie at the root of a machine; one folder of another name around everything is taken off.
 * @throws InputError when it is damaged or cut off, leads out of itself, or passes a limit.
 */
export async function readTar(
  chunks: Chunks,
  name: string,
  roots: ReadonlySet<string>,
  options: TarOptions,
): Promise<ArchiveFiles> {
  try {
    const kept = await walk(new Bytes(chunks), options);
    return keptFiles(kept, name, roots);
  } catch (error) {
    throw withName(error, name);
  }
}

async function walk(bytes: Bytes, options: TarOptions): Promise<Kept[]> {
  const { wanted, progress, limits = defaults } = options;
  const kept: Kept[] = [];
  const byPath = new Map<string, Uint8Array>();
  let keptBytes = 0;
  let entries = 0;
  let extended: { -readonly [Name in keyof HeaderFields]?: HeaderFields[Name] } = {};
  const keep = (path: string, content: Kept["content"]): void => {
    keptBytes += content?.length ?? 0;
    if (kept.length >= limits.keptEntries || keptBytes > limits.kept) {
      throw new InputError(
        `more than ${limits.keptEntries} files or ${printSize(limits.kept)} of the kinds that are read`,
      );
    }
    kept.push({ path, content });
    if (content instanceof Uint8Array) byPath.set(path, content);
  };
  try {
    for (;;) {
      const at = bytes.position;
      const block = await bytes.take(headerBytes, true);
      if (block === undefined || block.every((byte) => byte === 0)) return kept;
      const header = { ...readHeader(block, at), ...extended };
      if (++entries > limits.entries) throw new InputError(`more than ${limits.entries} entries`);
      if (bytes.position + header.size > limits.walked) {
        throw new InputError(
          `entry ${entries} ends more than ${printSize(limits.walked)} into the archive, which is the most that is walked`,
        );
      }
      progress?.(entries);
      const padded = Math.ceil(header.size / headerBytes) * headerBytes;
      if ("xLKg".includes(header.type)) {
        if (header.size > longestExtension) {
          throw new InputError(`offset ${at}: a name or header of ${header.size} bytes`);
        }
        const data = (await bytes.take(padded))!.subarray(0, header.size);
        if (header.type === "x") Object.assign(extended, readPax(data, at));
        else if (header.type === "L") extended.path = textOf(data);
        else if (header.type === "K") extended.target = textOf(data);
        continue;
      }
      extended = {};
      if (header.moreHeaders) await skipSparseMap(bytes);
      const path = plainPath(header.path);
      if ("0\u00007".includes(header.type) && header.sparse !== true && wanted(path)) {
        if (header.size > limits.file) {
          byPath.delete(path);
          keep(path, null);
          await bytes.skip(padded);
          continue;
        }
        const data = (await bytes.take(padded))!;
        // A copy: the chunk that it lies in would be held for it otherwise.
        keep(path, Uint8Array.from(data.subarray(0, header.size)));
        continue;
      }
      if (header.type === "2" && wanted(path)) keep(path, header.target);
      else if (header.type === "1") {
        const target = byPath.get(plainPath(header.target));
        if (target !== undefined && wanted(path)) keep(path, target);
      }
      // Links, folders and devices have no data, whatever their size says, except in archives of cpio and pax.
      await bytes.skip("123456".includes(header.type) ? 0 : padded);
    }
  } finally {
    await bytes.close();
  }
}

/** Old GNU sparse files: more of their map follows in blocks of its own. */
async function skipSparseMap(bytes: Bytes): Promise<void> {
  let more = true;
  while (more) more = (await bytes.take(headerBytes))![504] === 1;
}

/** @throws InputError when the path leads out of the archive. */
function plainPath(path: string): string {
  const shown = JSON.stringify(path.slice(0, 200));
  if (path.length > longestName) throw new InputError(`entry ${shown}: a path of ${path.length} characters`);
  const parts = path.split("/");
  if (path.startsWith("/") || parts.includes("..")) {
    throw new InputError(`entry ${shown}: expected paths within the archive, without ".." and a leading "/"`);
  }
  const named = parts.filter((part) => part !== "" && part !== ".");
  if (named.length > deepest) throw new InputError(`entry ${shown}: ${named.length} folders deep`);
  return named.join("/");
}

function textOf(data: Uint8Array): string {
  return decodeUtf8(data).replace(/\0.*$/s, "");
}

/** Bytes that are asked for in other portions than they come. */
class Bytes {
  position = 0;
  readonly #chunks: AsyncIterator<Uint8Array>;
  #chunk: Uint8Array = new Uint8Array();

  constructor(chunks: Chunks) {
    this.#chunks = chunks[Symbol.asyncIterator]();
  }

  /** @returns undefined at the end of the input, if it may end here. */
  async take(length: number, mayEnd = false): Promise<Uint8Array | undefined> {
    if (this.#chunk.length < length) {
      const pieces = [this.#chunk];
      for (let have = this.#chunk.length; have < length;) {
        const { done, value } = await this.#chunks.next();
        if (done === true) {
          if (mayEnd && have === 0) return undefined;
          throw this.#cutOff();
        }
        pieces.push(value);
        have += value.length;
      }
      this.#chunk = joined(pieces);
    }
    const taken = this.#chunk.subarray(0, length);
    this.#chunk = this.#chunk.subarray(length);
    this.position += length;
    return taken;
  }

  async skip(length: number): Promise<void> {
    this.position += length;
    let left = length;
    while (left > this.#chunk.length) {
      left -= this.#chunk.length;
      const { done, value } = await this.#chunks.next();
      if (done === true) throw this.#cutOff();
      this.#chunk = value;
    }
    this.#chunk = this.#chunk.subarray(left);
  }

  /** Lets the input go. */
  async close(): Promise<void> {
    await this.#chunks.return?.();
  }

  #cutOff(): InputError {
    return new InputError(`the archive is cut off, after ${this.position} bytes`);
  }
}
