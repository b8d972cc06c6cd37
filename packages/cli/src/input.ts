import { open } from "node:fs/promises";
import { InputError, readChunks, textLimit } from "@intremap/core";
import type { Source } from "./io.ts";

/** What a command reads, as bytes. */
export async function* asBytes(source: Source): AsyncGenerator<Uint8Array> {
  for await (const chunk of source) yield typeof chunk === "string" ? new TextEncoder().encode(chunk) : chunk;
}

/**
 * Reads a file, or standard input for `-`.
 * @throws InputError when it cannot be read or holds more than `limit` bytes.
 */
export async function readBytes(path: string, stdin: Source, limit = textLimit): Promise<Uint8Array> {
  if (path === "-") return readChunks(asBytes(stdin), "standard input", limit);
  try {
    const file = await open(path, "r");
    try {
      return await readChunks(file.createReadStream({ autoClose: false }), path, limit);
    } finally {
      await file.close();
    }
  } catch (error) {
    throw error instanceof InputError ? error : new InputError(`${path}: ${reasonOf(error)}`);
  }
}

const systemErrors: Readonly<Record<string, string>> = {
  ENOENT: "no such file",
  EACCES: "permission denied",
  EPERM: "permission denied",
  EISDIR: "is a directory",
};

/** Why a file could not be read, in a few words. */
export function reasonOf(error: unknown): string {
  const { code, message } = error as NodeJS.ErrnoException;
  return systemErrors[code ?? ""] ?? message;
}
