import { InputError } from "../input-error.ts";
import { textOf } from "../text/text-of.ts";
import type { Origin } from "./fact.ts";
import type { HostFiles } from "./files.ts";

/** Names of one folder that are looked at; no host has more. */
const nameLimit = 1 << 18;
/** Bytes of a file of sysfs that holds one value. */
const valueLimit = 65_536;

/** Files that were there and could not be read. */
export interface Refusal {
  /** What the files are, as the reader called them. */
  readonly what: string;
  readonly count: number;
  /** Of the first one: why. */
  readonly why: string;
}

/** The files of a host; what cannot be read is noted and passed over. */
export class FileReader {
  readonly #files: HostFiles;
  readonly #refused = new Map<string, { what: string; count: number; why: string }>();

  constructor(files: HostFiles) {
    this.#files = files;
  }

  get refusals(): readonly Refusal[] {
    return [...this.#refused.values()];
  }

  /** @param what names the kind of file, for what is told of those that could not be read. */
  bytes(path: string, what: string, limit?: number): Uint8Array | undefined {
    try {
      return this.#files.read(path, limit);
    } catch (error) {
      this.#refuse(what, error);
      return undefined;
    }
  }

  text(path: string, what: string, limit?: number): string | undefined {
    const bytes = this.bytes(path, what, limit);
    return bytes === undefined ? undefined : textOf(bytes);
  }

  /** The content of a file that holds one value, without the white space around it; undefined when it is empty. */
  value(path: string, what: string): string | undefined {
    const text = this.text(path, what, valueLimit)?.trim();
    return text === "" ? undefined : text;
  }

  names(folder: string): readonly string[] {
    try {
      return this.#files.list(folder).slice(0, nameLimit);
    } catch (error) {
      this.#refuse(folder, error);
      return [];
    }
  }

  /** Names in a folder that are numbers in decimal. */
  numbers(folder: string): number[] {
    return this.names(folder)
      .filter((name) => /^\d{1,9}$/.test(name))
      .map(Number)
      .sort((a, b) => a - b);
  }

  /** The last part of where a link points; undefined when it is none. */
  linkName(path: string): string | undefined {
    const target = this.link(path)?.replace(/\/+$/, "");
    const name = target?.slice(target.lastIndexOf("/") + 1);
    return name === "" ? undefined : name;
  }

  link(path: string): string | undefined {
    try {
      return this.#files.link(path)?.trim();
    } catch (error) {
      this.#refuse(path, error);
      return undefined;
    }
  }

  #refuse(what: string, error: unknown): void {
    if (!(error instanceof InputError)) throw error;
    const known = this.#refused.get(what);
    if (known !== undefined) known.count++;
    else this.#refused.set(what, { what, count: 1, why: error.message });
  }
}

/** A line of a file. */
export function lineOf(source: string, line: number): Origin {
  return { source, place: `line ${line}` };
}
