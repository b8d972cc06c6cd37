import type { Chunks } from "@intremap/core";
import type { Source } from "../io.ts";
import { chunksOf, expanded, nameOf } from "./expand.ts";

/**
 * The bytes of a trace, in chunks as they come: a file, or standard input for `-`; gzip, xz and zstd are told by
 * their first bytes and expanded on the way.
 * @throws InputError when it cannot be read or its compressed data is damaged or cut off.
 */
export function traceChunks(path: string, stdin: Source): Chunks {
  return expanded(chunksOf(path, stdin), nameOf(path));
}
