import type { Io } from "../io.ts";

/** An outside world in memory. */
export interface TestIo extends Io {
  readonly out: () => string;
  readonly err: () => string;
}

/** What a command writes is kept; it reads `input`, or finds a terminal where there is none. */
export function testIo(input?: string | Uint8Array, env: Io["env"] = {}): TestIo {
  const written = { out: "", err: "" };
  const bytes = typeof input === "string" ? new TextEncoder().encode(input) : input;
  return {
    stdin: Object.assign(chunksOf(bytes), { isTTY: input === undefined }),
    stdout: { write: (text) => (written.out += text) },
    stderr: { write: (text) => (written.err += text) },
    env,
    out: () => written.out,
    err: () => written.err,
  };
}

/** Chunks that cut characters apart. */
async function* chunksOf(bytes: Uint8Array | undefined): AsyncGenerator<Uint8Array> {
  if (bytes === undefined) return;
  for (let at = 0; at < bytes.length; at += 7) yield bytes.subarray(at, at + 7);
}
