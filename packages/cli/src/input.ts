import { open } from "node:fs/promises";
import { InputError } from "@intremap/core";
import type { Source } from "./io.ts";

/** Bytes of text that a command takes in at once. */
export const textLimit = 64 * 1024 * 1024;

/**
 * Reads a stream to its end.
 * @throws InputError when it holds more than `limit` bytes.
 */
export async function readStream(
  stream: AsyncIterable<Uint8Array | string>,
  name: string,
  limit: number,
): Promise<Uint8Array> {
  const chunks: Uint8Array[] = [];
  let length = 0;
  for await (const chunk of stream) {
    const bytes = typeof chunk === "string" ? new TextEncoder().encode(chunk) : chunk;
    length += bytes.length;
    if (length > limit)
      throw new InputError(`${name}: more than ${printSize(limit)}, which is the most that is read`);
    chunks.push(bytes);
  }
  const whole = new Uint8Array(length);
  let at = 0;
  for (const chunk of chunks) {
    whole.set(chunk, at);
    at += chunk.length;
  }
  return whole;
}

/**
 * Reads a file, or standard input for `-`.
 * @throws InputError when it cannot be read or holds more than `limit` bytes.
 */
export async function readBytes(path: string, stdin: Source, limit = textLimit): Promise<Uint8Array> {
  if (path === "-") return readStream(stdin, "standard input", limit);
  try {
    const file = await open(path, "r");
    try {
      return await readStream(file.createReadStream({ autoClose: false }), path, limit);
    } finally {
      await file.close();
    }
  } catch (error) {
    throw error instanceof InputError ? error : new InputError(`${path}: ${reasonOf(error)}`);
  }
}

/** Text in UTF-8, or in UTF-16 if it starts with that mark. Bytes that are no text become U+FFFD. */
export function decodeText(bytes: Uint8Array): string {
  const [first, second] = bytes;
  const encoding =
    first === 0xff && second === 0xfe ? "utf-16le" : first === 0xfe && second === 0xff ? "utf-16be" : "utf-8";
  return new TextDecoder(encoding).decode(bytes);
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

function printSize(bytes: number): string {
  return bytes >= 1 << 20 ? `${Math.floor(bytes / (1 << 20))} MiB` : `${bytes} bytes`;
}
