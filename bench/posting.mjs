import { readFileSync } from "node:fs";
import { readScenario, runScenario } from "@intremap/core";
import { parse } from "yaml";

/**
 * One measurement of the scenario `passthrough-posted`: `posting.mjs SCENARIO INTERRUPTS [timeline]` prints
 * "nanoseconds-per-interrupt delivered peak-memory-in-MiB bytes-of-timeline".
 */
const [file, interrupts, timeline] = process.argv.slice(2);
const tree = parse(readFileSync(file, "utf8"));
const vectors = 4;
let bytes = 0;
const sink = (chunk) => {
  bytes += chunk.length;
};

async function run(each) {
  const scenario = readScenario("bench", tree, { values: { vectors, interrupts: each } });
  const from = process.hrtime.bigint();
  const result = await runScenario(scenario, timeline === undefined ? {} : { timeline: sink });
  return { delivered: result.delivered, nanoseconds: Number(process.hrtime.bigint() - from) };
}

await run(Number(interrupts) / vectors);
bytes = 0;
const { delivered, nanoseconds } = await run(Number(interrupts) / vectors);
const peak = process.resourceUsage().maxRSS / 1024;
console.log((nanoseconds / delivered).toFixed(1), delivered, peak.toFixed(0), bytes);
