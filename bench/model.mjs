import { Workload, requests } from "./workload.mjs";

/**
 * The model's side of one measurement: `model.mjs WORKLOAD ENTRIES REPEATS [observed]` prints
 * "nanoseconds-per-request checksum", the time of the best repeat, as yardstick.c does.
 */
const [name, entries, repeats, observed] = process.argv.slice(2);

/** An observer that keeps the last events, eight words each. */
class Ring {
  #words = new Int32Array(8 * 4096);
  #next = 0;

  record(kind, a, b, c, d, e, f) {
    const words = this.#words;
    const at = (this.#next & 4095) << 3;
    this.#next = (this.#next + 1) | 0;
    words[at] = kind;
    words[at + 1] = a;
    words[at + 2] = b;
    words[at + 3] = c;
    words[at + 4] = d;
    words[at + 5] = e;
    words[at + 6] = f;
  }
}

function workload() {
  return new Workload(name, Number(entries), observed === undefined ? undefined : new Ring());
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
