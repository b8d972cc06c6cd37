import { Replay } from "@intremap/core";
import { traceChunks } from "../packages/cli/src/sources/trace-file.ts";

/** One measurement of replay: `replay.mjs TRACE REPEATS` prints "lines-per-second lines agreed requests". */
const [trace, repeats] = process.argv.slice(2);
const chunks = [];
for await (const chunk of traceChunks(trace, process.stdin)) chunks.push(chunk);

function replay() {
  const run = new Replay();
  for (const chunk of chunks) run.feed(chunk);
  return run.finish();
}

let result = replay();
const from = process.hrtime.bigint();
for (let i = 0; i < Number(repeats); i++) result = replay();
const seconds = Number(process.hrtime.bigint() - from) / 1e9;
console.log(
  ((result.lines * Number(repeats)) / seconds).toFixed(0),
  result.lines,
  result.agreed,
  result.requests,
);
