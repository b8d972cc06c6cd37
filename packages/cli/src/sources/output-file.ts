import {
  closeSync,
  fchmodSync,
  fsyncSync,
  lstatSync,
  openSync,
  realpathSync,
  renameSync,
  rmSync,
  statSync,
  writeSync,
} from "node:fs";
import { basename, dirname, join } from "node:path";
import { InputError } from "@intremap/core";
import { reasonOf } from "../input.ts";

/**
 * A file on its way. It is written beside the old one, under a name that begins with a dot, and takes its place in one
 * step: whoever reads it sees the old content or the new one, never a part. Links are followed, and who may read the file
 * stays as it was; a pipe or a device is written to as it is.
 */
export class OutputFile {
  readonly #path: string;
  readonly #option: string;
  readonly #file: number;
  /** Under which name it is written, and which it gets; null for what cannot be replaced. */
  readonly #names: { readonly beside: string; readonly whole: string } | null;
  #open = true;

  /**
   * @param option what to call it in messages.
   * @throws InputError when it cannot be written.
   */
  constructor(path: string, option: string) {
    this.#path = path;
    this.#option = option;
    try {
      const old = statSync(path, { throwIfNoEntry: false });
      const isNew = old === undefined && !isLink(path);
      this.#names = isNew || old?.isFile() === true ? namesFor(isNew ? path : realpathSync(path)) : null;
      this.#file = this.#names === null ? openSync(path, "w") : openBeside(this.#names.beside);
      if (this.#names !== null && old !== undefined) fchmodSync(this.#file, old.mode & 0o777);
    } catch (error) {
      throw this.#failed(error);
    }
    process.once("exit", this.abandon);
  }

  readonly write = (bytes: Uint8Array): void => {
    try {
      for (let at = 0; at < bytes.length;) at += writeSync(this.#file, bytes, at);
    } catch (error) {
      throw this.#failed(error);
    }
  };

  /** It is whole: it takes its name. @throws InputError when it cannot; the old file is still there then. */
  close(): void {
    try {
      if (this.#names !== null) fsyncSync(this.#file);
      this.#end();
      if (this.#names !== null) renameSync(this.#names.beside, this.#names.whole);
    } catch (error) {
      this.#remove();
      throw this.#failed(error);
    }
  }

  /** Removes what there is, if it has not become whole. */
  readonly abandon = (): void => {
    if (this.#open) this.#remove();
  };

  #remove(): void {
    this.#end();
    if (this.#names !== null) rmSync(this.#names.beside, { force: true });
  }

  #end(): void {
    if (!this.#open) return;
    closeSync(this.#file);
    this.#open = false;
    process.off("exit", this.abandon);
  }

  #failed(error: unknown): InputError {
    return new InputError(`${this.#option} ${this.#path}: ${reasonOf(error)}`);
  }
}

/** Writes a whole file as {@link OutputFile} does. @throws InputError when that fails. */
export function writeOutput(path: string, text: string, option: string): void {
  const file = new OutputFile(path, option);
  try {
    file.write(Buffer.from(text));
    file.close();
  } finally {
    file.abandon();
  }
}

function isLink(path: string): boolean {
  return lstatSync(path, { throwIfNoEntry: false })?.isSymbolicLink() === true;
}

function namesFor(whole: string): { readonly beside: string; readonly whole: string } {
  return { beside: join(dirname(whole), `.${basename(whole)}.${process.pid}`), whole };
}

function openBeside(path: string): number {
  try {
    return openSync(path, "wx", 0o644);
  } catch (error) {
    throw (error as NodeJS.ErrnoException).code === "ENOENT" ? new Error("no such folder") : error;
  }
}
