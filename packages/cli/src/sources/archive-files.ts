import { type HostFiles, InputError } from "@intremap/core";
import { resolveLinks } from "./linked-path.ts";

/** Files of a machine out of an archive, in memory. */
export class ArchiveFiles implements HostFiles {
  readonly name: string;
  readonly #files = new Map<string, Uint8Array>();
  readonly #links = new Map<string, string>();
  readonly #refused = new Set<string>();
  /** Names in each folder. */
  readonly #folders = new Map<string, Set<string>>([["", new Set()]]);

  constructor(name: string) {
    this.name = name;
  }

  /** A later entry of the same path stands, as it does when an archive is unpacked. */
  addFile(path: string, content: Uint8Array): void {
    this.#links.delete(path);
    this.#files.set(path, content);
    this.#enter(path);
  }

  /** A file that was too large to be kept. */
  addRefused(path: string): void {
    this.#refused.add(path);
    this.#enter(path);
  }

  addLink(path: string, target: string): void {
    this.#files.delete(path);
    this.#links.set(path, target);
    this.#enter(path);
  }

  read(path: string, limit: number = defaultLimit): Uint8Array | undefined {
    const resolved = this.#resolve(path);
    if (resolved === undefined) return undefined;
    const content = this.#files.get(resolved);
    if (content === undefined && this.#refused.has(resolved)) {
      throw new InputError(`${this.name}: ${path}: too large to be kept of an archive`);
    }
    if (content !== undefined && content.length > limit) throw tooLarge(this.name, path, limit);
    return content;
  }

  list(path: string): readonly string[] {
    const resolved = this.#resolve(path);
    return resolved === undefined ? [] : [...(this.#folders.get(resolved) ?? [])].sort();
  }

  link(path: string): string | undefined {
    const slash = path.lastIndexOf("/");
    const folder = this.#resolve(path.slice(0, Math.max(slash, 0)));
    if (folder === undefined) return undefined;
    const name = path.slice(slash + 1);
    return this.#links.get(folder === "" ? name : `${folder}/${name}`);
  }

  #resolve(path: string): string | undefined {
    return this.#files.has(path) ? path : resolveLinks(path, (at) => this.#links.get(at));
  }

  #enter(path: string): void {
    let slash = path.lastIndexOf("/");
    let child = path.slice(slash + 1);
    for (let folder = path; ;) {
      folder = slash < 0 ? "" : folder.slice(0, slash);
      const names = this.#folders.get(folder);
      if (names !== undefined) {
        names.add(child);
        return;
      }
      this.#folders.set(folder, new Set([child]));
      slash = folder.lastIndexOf("/");
      child = folder.slice(slash + 1);
    }
  }
}

/** Bytes of one file that are read unless a reader says otherwise. */
export const defaultLimit = 64 * 2 ** 20;

export function tooLarge(source: string, path: string, limit: number): InputError {
  return new InputError(`${source}: ${path}: more than ${limit} bytes, which is the most that is read`);
}
