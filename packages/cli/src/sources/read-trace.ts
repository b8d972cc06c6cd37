import { withName } from "@intremap/core";
import type { Io } from "../io.ts";
import { count } from "../output.ts";
import { Progress } from "../progress.ts";
import { nameOf } from "./expand.ts";
import { traceChunks } from "./trace-file.ts";

/** What reads a trace in chunks, and says at its end what came of it. */
interface TraceReader<T> {
  readonly lines: number;
  feed(chunk: Uint8Array): void;
  finish(): T;
}

/**
 * Hands a trace to its reader, with progress on standard error.
 * @param trace a file's name, or `-` for standard input.
 * @throws InputError that names the trace when it cannot be read, or is not what the reader wants.
 */
export async function readTrace<T>(reader: TraceReader<T>, trace: string, io: Io): Promise<T> {
  const progress = new Progress(io.stderr);
  try {
    for await (const chunk of traceChunks(trace, io.stdin)) {
      reader.feed(chunk);
      progress.show(() => `${count(reader.lines)} lines`);
    }
    return reader.finish();
  } catch (error) {
    throw withName(error, nameOf(trace));
  } finally {
    progress.clear();
  }
}
