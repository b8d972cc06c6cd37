import { closeSync, fsyncSync, openSync, renameSync, unlinkSync, writeSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import { InputError } from "@intremap/core";
import { reasonOf } from "../input.ts";

/**
 * Replaces a file in one step: whoever reads it sees the old text or the new one, never a part. The text is written
 * beside it first, under a name that begins with a dot.
 * @param option what to call it in messages.
 * @throws InputError when that fails; the old file is still there then, and nothing beside it.
 */
export function replaceFile(path: string, text: string, option: string): void {
  const beside = join(dirname(path), `.${basename(path)}.${process.pid}`);
  let made = false;
  try {
    const file = openSync(beside, "wx", 0o644);
    made = true;
    try {
      const bytes = Buffer.from(text);
      for (let at = 0; at < bytes.length;) at += writeSync(file, bytes, at);
      fsyncSync(file);
    } finally {
      closeSync(file);
    }
    renameSync(beside, path);
  } catch (error) {
    if (made) removeQuietly(beside);
    throw new InputError(`${option} ${path}: ${reasonOf(error)}`);
  }
}

function removeQuietly(path: string): void {
  try {
    unlinkSync(path);
  } catch {
    // It is gone, or its folder is: nothing is left to be done.
  }
}
