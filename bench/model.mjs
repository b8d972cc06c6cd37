import { EventRing } from "@intremap/core";
import { Workload, requests } from "./workload.mjs";

/**
 * The model's side of one measurement: `model.mjs WORKLOAD ENTRIES REPEATS [observed]` prints
 * "nanoseconds-per-request checksum", the time of the best repeat, as yardstick.c does.
 */
const [name, entries, repeats, observed] = process.argv.slice(2);

function workload() {
  return new Workload(name, Number(entries), observed === undefined ? undefined : new EventRing());
}

// Long enough for the compiler to have settled.
workload().run(256);
const measured = workload();
let best = Infinity;
for (let repeat = 0; repeat < Number(repeats); repeat++) {
  const from = process.hrtime.bigint();
  measured.run(1);
  best = Math.min(best, Number(process.hrtime.bigint() - from) / requests);
}
console.log(best.toFixed(3), measured.checksum);
