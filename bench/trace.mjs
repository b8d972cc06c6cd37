import { Check, Replay } from "@intremap/core";
import { traceChunks } from "../packages/cli/src/sources/trace-file.ts";

/** One measurement of what reads traces: `trace.mjs replay|check TRACE REPEATS` prints "lines-per-second lines". */
const [command, trace, repeats] = process.argv.slice(2);
const Reader = { replay: Replay, check: Check }[command];
const chunks = [];
for await (const chunk of traceChunks(trace, process.stdin)) chunks.push(chunk);

function read() {
  const reader = new Reader();
  for (const chunk of chunks) reader.feed(chunk);
  return reader.finish().lines;
}

let lines = read();
const from = process.hrtime.bigint();
for (let i = 0; i < Number(repeats); i++) lines = read();
const seconds = Number(process.hrtime.bigint() - from) / 1e9;
console.log(((lines * Number(repeats)) / seconds).toFixed(0), lines);
