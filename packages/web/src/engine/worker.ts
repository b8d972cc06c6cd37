import { InputError, ShapeError } from "@intremap/core";
import type { Question, Reply } from "./protocol.ts";
import { type Tell, tasks } from "./tasks.ts";
import { transfersOf } from "./transfers.ts";

/** Between two messages of progress, in milliseconds. */
const pause = 100;

function reply(message: Reply, transfer: readonly Transferable[] = []): void {
  postMessage(message, { transfer: [...transfer] });
}

async function answer({ id, task, input }: Question): Promise<void> {
  let told = -Infinity;
  const tell: Tell = (text) => {
    const now = performance.now();
    if (now - told < pause) return;
    told = now;
    reply({ id, kind: "progress", text });
  };
  try {
    const run = tasks[task] as (input: unknown, tell: Tell) => unknown;
    const result = await run(input, tell);
    reply({ id, kind: "result", result }, transfersOf(result));
  } catch (error) {
    const expected = error instanceof InputError || error instanceof ShapeError;
    reply({ id, kind: "error", message: error instanceof Error ? error.message : String(error), expected });
  }
}

/** One after the other: what a question leaves behind, the next one finds. */
let last = Promise.resolve();
addEventListener("message", ({ data }: MessageEvent<Question>) => {
  last = last.then(() => answer(data));
});
