import { closeSync, openSync, renameSync, rmSync, writeSync } from "node:fs";
import { InputError } from "@intremap/core";
import { reasonOf } from "../input.ts";

/** A trace on its way to a file: under another name until it is whole. */
export class TimelineFile {
  readonly #path: string;
  readonly #partial: string;
  readonly #file: number;
  #open = true;

  /** @throws InputError when it cannot be written. */
  constructor(path: string) {
    this.#path = path;
    this.#partial = `${path}.partial`;
    try {
      this.#file = openSync(this.#partial, "w");
    } catch (error) {
      throw new InputError(`--timeline ${path}: ${reasonOf(error)}`);
    }
    process.once("exit", this.abandon);
  }

  readonly write = (chunk: Uint8Array): void => {
    try {
      for (let at = 0; at < chunk.length;) at += writeSync(this.#file, chunk, at);
    } catch (error) {
      throw new InputError(`--timeline ${this.#path}: ${reasonOf(error)}`);
    }
  };

  /** The trace is whole: it takes its name. @throws InputError when it cannot. */
  close(): void {
    this.#end();
    try {
      renameSync(this.#partial, this.#path);
    } catch (error) {
      rmSync(this.#partial, { force: true });
      throw new InputError(`--timeline ${this.#path}: ${reasonOf(error)}`);
    }
  }

  /** Removes what there is, if it has not become whole. */
  readonly abandon = (): void => {
    if (!this.#open) return;
    this.#end();
    rmSync(this.#partial, { force: true });
  };

  #end(): void {
    closeSync(this.#file);
    this.#open = false;
    process.off("exit", this.abandon);
  }
}
