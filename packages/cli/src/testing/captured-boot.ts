import { fileURLToPath } from "node:url";
import { Replay, type ReplayOptions, type ReplayResult } from "@intremap/core";
import { traceChunks } from "../sources/trace-file.ts";

export type Boot = "intel" | "amd";

/** The bundled trace of a whole boot. */
export function bootPath(boot: Boot): string {
  return fileURLToPath(new URL(`../../../../captures/qemu-7.2-${boot}-boot.log.xz`, import.meta.url));
}

/** The trace's lines, without the empty one behind the last newline. */
export async function bootLines(boot: Boot): Promise<string[]> {
  const chunks: Uint8Array[] = [];
  for await (const chunk of traceChunks(bootPath(boot), process.stdin)) chunks.push(chunk);
  return Buffer.concat(chunks).toString("latin1").trimEnd().split("\n");
}

/** Replays lines as one log. */
export function replayLines(lines: readonly string[], options: ReplayOptions = {}): ReplayResult {
  const run = new Replay(options);
  run.feed(Buffer.from(`${lines.join("\n")}\n`, "latin1"));
  return run.finish();
}
