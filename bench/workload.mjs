import { ApicFabric, Memory, VtdUnit, enableRemapping, vtdStrict } from "@intremap/core";

const apics = 256;
const table = 1 << 20;
const descriptors = 2 << 20;
export const requests = 65_536;

/** The same stream and the same machine as in yardstick.c: one change there is one change here. */
export class Workload {
  #seed = 0x2545f491;
  #memory = new Memory();
  #fabric = new ApicFabric(
    Array.from({ length: apics }, (_, id) => id),
    { mode: "x2apic", softwareEnabled: true },
  );
  #ids = new Int32Array(65_536);
  #stream = new Int32Array(requests * 3);
  #unit;
  #mixed;
  #outcomes = 0;

  /**
   * @param {"plain" | "mixed" | "full"} name
   * @param {number} entries of the table
   * @param {object} [observer]
   */
  constructor(name, entries, observer) {
    this.#mixed = name === "mixed";
    const profile = name === "full" ? { ...vtdStrict, entryCache: "none" } : vtdStrict;
    this.#unit = new VtdUnit({
      memory: this.#memory,
      fabric: this.#fabric,
      profile,
      ...(observer ? { observer } : {}),
    });
    enableRemapping(this.#unit, { base: table, size: Math.log2(entries) - 1, eime: true });
    for (let i = 0; i < apics; i++) {
      this.#memory.write32(descriptors + 64 * i + 32, 0xf2 << 16);
      this.#memory.write32(descriptors + 64 * i + 36, i);
    }
    for (let i = 0; i < entries; i++) this.#put(i);
    for (let i = 0; i < requests; i++) {
      const index = this.#next(entries);
      this.#stream[3 * i] = 0xfee00018 | ((index & 0x7fff) << 5) | ((index >> 15) << 2);
      this.#stream[3 * i + 2] = this.#ids[index];
    }
  }

  #next(bound) {
    this.#seed ^= this.#seed << 13;
    this.#seed ^= this.#seed >>> 17;
    this.#seed ^= this.#seed << 5;
    return (this.#seed >>> 0) % bound;
  }

  #put(index) {
    const kind = this.#mixed ? this.#next(100) : 99;
    const vector = 16 + this.#next(240);
    const target = this.#next(apics);
    let low = 1 | (vector << 16);
    let destination = target;
    let sid = index;
    let source = 0;
    let sq = 0;
    let svt = 1;
    this.#ids[index] = sid;
    if (kind < 25) {
      low |= 0x8000 | ((this.#next(8) === 0 ? 1 : 0) << 14);
      destination = descriptors + 64 * target;
    } else if (kind < 31) {
      low |= 4;
      destination = ((target >> 4) << 16) | (1 + this.#next(0xffff));
    } else if (kind < 33) low &= ~1;
    else if (kind < 35) this.#ids[index] ^= 1;
    else if (kind < 37) source = 1 << 20;
    else if (kind < 45) sq = 1 + this.#next(3);
    else if (kind < 53) {
      svt = 2;
      sid = (index & 0xff00) | (index >> 8);
    } else if (kind < 57) svt = 0;
    source |= sid | (sq << 16) | (svt << 18);
    this.#memory.writeWords(table + 16 * index, Int32Array.of(low, destination, source, 0));
  }

  /** Sends the stream through the model so many times. */
  run(repeats) {
    this.#outcomes = send(this.#unit, this.#stream, repeats, this.#outcomes);
  }

  /** What yardstick.c prints after as many repeats. */
  get checksum() {
    const { state } = this.#fabric;
    let sum = 0;
    for (let i = 0; i < apics; i++) {
      for (let w = 0; w < 8; w++)
        sum = (Math.imul(sum, 31) + (state[64 * i + w] ^ (state[64 * i + 8 + w] << 1))) | 0;
    }
    for (let i = 0; i < 256; i++) {
      for (let w = 0; w < 10; w++)
        sum = (Math.imul(sum, 31) + this.#memory.read32(descriptors + 64 * i + 4 * w)) | 0;
    }
    return ((Math.imul(sum, 31) + this.#outcomes) >>> 0).toString(16).padStart(8, "0");
  }
}

function send(unit, stream, repeats, outcomes) {
  for (let repeat = 0; repeat < repeats; repeat++) {
    for (let i = 0; i < stream.length; i += 3) {
      outcomes = (Math.imul(outcomes, 3) + unit.interrupt(stream[i], stream[i + 1], stream[i + 2])) | 0;
    }
  }
  return outcomes;
}
