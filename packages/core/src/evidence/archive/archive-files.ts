import type { HostFiles } from "../host/files.ts";
import { InputError } from "../input-error.ts";
import { resolveLinks } from "./linked-path.ts";

/** A file that is read when it is asked for. */
export interface StoredFile {
  /** In bytes. */
  readonly length: number;
  /** @throws InputError when it cannot be read. */
  read(): Uint8Array;
}

/** What was kept of an archive. */
export interface Kept {
  readonly path: string;
  /** Of a link its target; null for a file that is too large. */
  readonly content: Uint8Array | StoredFile | string | null;
}

/** @param roots names that lie at the root of a machine; one folder of another name around everything is taken off. */
export function keptFiles(kept: readonly Kept[], name: string, roots: ReadonlySet<string>): ArchiveFiles {
  const tops = new Set(kept.map(({ path }) => path.split("/", 1)[0]!));
  const [top] = tops;
  const around = tops.size === 1 && !roots.has(top!) && kept.every(({ path }) => path !== top);
  const files = new ArchiveFiles(name);
  for (const { path, content } of kept) {
    const inside = around ? path.slice(top!.length + 1) : path;
    if (content === null) files.addRefused(inside);
    else if (typeof content === "string") files.addLink(inside, content);
    else files.addFile(inside, content);
  }
  return files;
}

/** Files of a machine out of an archive, in memory. */
export class ArchiveFiles implements HostFiles {
  readonly name: string;
  readonly #files = new Map<string, Uint8Array | StoredFile>();
  readonly #links = new Map<string, string>();
  readonly #refused = new Set<string>();
  /** Names in each folder. */
  readonly #folders = new Map<string, Set<string>>([["", new Set()]]);

  constructor(name: string) {
    this.name = name;
  }

  addFile(path: string, content: Uint8Array | StoredFile): void {
    this.#replace(path);
    this.#files.set(path, content);
  }

  /** A file that was too large to be kept. */
  addRefused(path: string): void {
    this.#replace(path);
    this.#refused.add(path);
  }

  addLink(path: string, target: string): void {
    this.#replace(path);
    this.#links.set(path, target);
  }

  read(path: string, limit: number = defaultLimit): Uint8Array | undefined {
    const resolved = this.#resolve(path);
    if (resolved === undefined) return undefined;
    const content = this.#files.get(resolved);
    if (this.#refused.has(resolved)) {
      throw new InputError(`${this.name}: ${path}: too large to be kept of an archive`);
    }
    if (content !== undefined && content.length > limit) throw tooLarge(this.name, path, limit);
    return content === undefined || content instanceof Uint8Array ? content : content.read();
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

  /** A later entry of the same path stands, as it does when an archive is unpacked. */
  #replace(path: string): void {
    this.#files.delete(path);
    this.#links.delete(path);
    this.#refused.delete(path);
    this.#enter(path);
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
export const defaultLimit: number = 64 * 2 ** 20;

export function tooLarge(source: string, path: string, limit: number): InputError {
  return new InputError(`${source}: ${path}: more than ${limit} bytes, which is the most that is read`);
}
