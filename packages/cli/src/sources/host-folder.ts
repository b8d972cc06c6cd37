import {
  closeSync,
  constants,
  fstatSync,
  lstatSync,
  openSync,
  opendirSync,
  readSync,
  readlinkSync,
} from "node:fs";
import { type HostFiles, InputError, defaultLimit, resolveLinks, tooLarge } from "@intremap/core";
import { reasonOf } from "../input.ts";

/** Names of one folder that are listed; a host has fewer devices and interrupts. */
const listLimit = 1 << 17;
const firstPiece = 1 << 13;

const absent = new Set(["ENOENT", "ENOTDIR", "ENODEV", "ENXIO", "ELOOP", "ENAMETOOLONG"]);

/** Files of a machine in a folder, or the machine's own. */
export class HostFolder implements HostFiles {
  readonly name: string;
  readonly #root: string;
  readonly #locked: boolean;
  /** Where links point that were looked at, null for what is no link. */
  readonly #links = new Map<string, string | null>();

  /** @param locked whether links are followed as if the folder were the root, so that none leads out of it. */
  constructor(root: string, name: string = root, locked = true) {
    this.name = name;
    this.#root = root.endsWith("/") ? root.slice(0, -1) : root;
    this.#locked = locked;
  }

  read(path: string, limit: number = defaultLimit): Uint8Array | undefined {
    const where = this.#where(path);
    if (where === undefined) return undefined;
    let fd: number;
    try {
      // A pipe that nobody writes to would block the open.
      fd = openSync(where, constants.O_RDONLY | constants.O_NONBLOCK);
    } catch (error) {
      return this.#absent(path, error);
    }
    try {
      const stat = fstatSync(fd);
      if (stat.isDirectory()) return undefined;
      if (!stat.isFile()) throw new InputError(`${this.name}: ${path}: expected a regular file`);
      return this.#readToEnd(fd, path, limit, stat.size);
    } catch (error) {
      return this.#absent(path, error);
    } finally {
      closeSync(fd);
    }
  }

  list(path: string): readonly string[] {
    const where = this.#where(path);
    if (where === undefined) return [];
    const names: string[] = [];
    try {
      const folder = opendirSync(where);
      try {
        for (let entry = folder.readSync(); entry !== null; entry = folder.readSync()) {
          if (names.length === listLimit) {
            throw new InputError(`${this.name}: ${path}: more than ${listLimit} names`);
          }
          names.push(entry.name);
        }
      } finally {
        folder.closeSync();
      }
    } catch (error) {
      this.#absent(path, error);
      return [];
    }
    return names.sort();
  }

  link(path: string): string | undefined {
    const slash = path.lastIndexOf("/");
    const folder = this.#where(path.slice(0, Math.max(slash, 0)));
    return folder === undefined ? undefined : readLink(`${folder}/${path.slice(slash + 1)}`);
  }

  /** @throws InputError unless the error says that there is no such file. */
  #absent(path: string, error: unknown): undefined {
    if (error instanceof InputError) throw error;
    if (absent.has((error as NodeJS.ErrnoException).code ?? "")) return undefined;
    throw new InputError(`${this.name}: ${path}: ${reasonOf(error)}`);
  }

  /** Files of procfs and sysfs say 0 or 4096 for their size, so it is read until nothing more comes. */
  #readToEnd(fd: number, path: string, limit: number, size: number): Uint8Array {
    let bytes = new Uint8Array(Math.max(firstPiece, Math.min(size, limit) + 1));
    let length = 0;
    for (;;) {
      if (length === bytes.length) {
        const longer = new Uint8Array(length * 2);
        longer.set(bytes);
        bytes = longer;
      }
      const count = readSync(fd, bytes, length, bytes.length - length, null);
      length += count;
      if (length > limit) throw tooLarge(this.name, path, limit);
      if (count === 0) return bytes.slice(0, length);
    }
  }

  #where(path: string): string | undefined {
    if (path.includes("\0")) return undefined;
    if (!this.#locked) return `${this.#root}/${path}`;
    const resolved = resolveLinks(path, (at) => this.#linkAt(at));
    return resolved === undefined ? undefined : `${this.#root}/${resolved}`;
  }

  #linkAt(path: string): string | undefined {
    let target = this.#links.get(path);
    if (target === undefined) {
      target = readLink(`${this.#root}/${path}`) ?? null;
      this.#links.set(path, target);
    }
    return target ?? undefined;
  }
}

function readLink(path: string): string | undefined {
  try {
    return lstatSync(path).isSymbolicLink() ? readlinkSync(path) : undefined;
  } catch {
    return undefined;
  }
}
