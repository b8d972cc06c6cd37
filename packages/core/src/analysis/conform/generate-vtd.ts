import { type Json, hexOf } from "../../spec/shape.ts";
import {
  type Draft,
  fields,
  someBit,
  someDestination,
  someRequester,
  someVector,
  written,
} from "./generate-parts.ts";
import type { Random } from "./random.ts";

const tableBase = 0x10_0000;
const queueBase = 0x30_0000;
const statusPlace = 0x60_0000;
const range = 0xfee0_0000;

/** Reserved in every remapped entry, and where EIME is 0. */
const reservedBits = [
  [14, 12],
  [31, 24],
  [95, 84],
  [127, 96],
] as const;
const narrowReserved = [
  [39, 32],
  [63, 48],
] as const;

/** Registers worth a look beside FSTS and the fault records. */
const looks = ["GSTS", "IRTA", "IQH", "IQT", "ICS", "FECTL", "IECTL", "IQERCD"] as const;

/** Rarely both or neither: that is more than some machines bear. */
const waitKinds = [
  ...Array.from({ length: 30 }, () => ({ sw: 1 })),
  ...Array.from({ length: 8 }, () => ({ if: 1 })),
  { sw: 1, if: 1 },
  {},
] as const;

const extendedHigh = 0xffff_ff00;

/** Writes one VT-d case. */
export function generateVtd(random: Random, requesters: readonly number[]): Draft {
  return new VtdGenerator(random, requesters).draft();
}

class VtdGenerator {
  readonly #random: Random;
  readonly #requesters: readonly number[];
  readonly #usual: number;
  readonly #size: number;
  readonly #eime: 0 | 1;
  readonly #hasQueue: boolean;
  /** Of descriptors with 256 bits, of which few units know. */
  readonly #wide: boolean;
  /** Indices that the case is about. */
  readonly #indices: number[] = [];

  constructor(random: Random, requesters: readonly number[]) {
    this.#random = random;
    this.#requesters = requesters;
    this.#usual = random.pick(requesters);
    this.#size = random.percent(75) ? 7 : random.pick([0, 1, 2, 3, 5, 9, 15]);
    this.#eime = random.percent(35) ? 1 : 0;
    this.#hasQueue = random.percent(40);
    this.#wide = this.#hasQueue && random.percent(2);
    const count = random.percent(60) ? 1 : 1 + random.below(3);
    for (let i = 0; i < count; i++) this.#indices.push(this.#freshIndex());
  }

  draft(): Draft {
    const random = this.#random;
    const setup: { [key: string]: Json } = {};
    const steps: { [key: string]: Json }[] = [];
    const entries: { [key: string]: Json } = {};
    for (const index of this.#indices) {
      if (index < 65536 && !random.percent(4)) entries[`0x${index.toString(16)}`] = this.#entry();
    }
    setup["irtes"] = entries;
    setup["requester"] = written(this.#usual);
    const registers = random.percent(12) ? this.#eventRegisters() : undefined;
    if (registers !== undefined) setup["registers"] = registers;
    if (this.#hasQueue) this.#bringUpWhole(setup);
    else this.#bringUpByHand(setup, steps);
    if (this.#wide) this.#wait(steps);
    const acts = random.percent(60) ? 1 : 2 + random.below(4);
    for (let i = 0; i < acts; i++) {
      if (i > 0 && random.percent(70)) this.#between(steps);
      steps.push({ msi: this.#request() });
      if (random.percent(25)) steps.at(-1)!["expect"] = {};
    }
    if (random.percent(4)) {
      const asked: { [key: string]: Json } = {};
      for (let i = 0; i <= random.below(3); i++) asked[random.pick(looks)] = {};
      steps.at(-1)!["expect"] = { registers: asked };
    } else steps.at(-1)!["expect"] ??= {};
    return { setup, steps };
  }

  #bringUpWhole(setup: { [key: string]: Json }): void {
    const cfi = this.#random.percent(25) ? 1 : 0;
    if (this.#wide) setup["queue"] = { base: written(queueBase), dw: 1 };
    if (this.#size === 7 && this.#eime === 0 && cfi === 0) return;
    setup["table"] = {
      base: written(tableBase),
      s: written(this.#size),
      ...fields({ eime: this.#eime, cfi }),
    };
  }

  /** The registers one by one, without a queue; some of it is left out now and then. */
  #bringUpByHand(setup: { [key: string]: Json }, steps: { [key: string]: Json }[]): void {
    const random = this.#random;
    setup["enabled"] = 0;
    const value = fields({ s: this.#size, eime: this.#eime, irta: tableBase });
    steps.push({ write: { register: "IRTA", value } });
    if (!random.percent(0.02)) steps.push({ command: { sirtp: 1 } });
    if (!random.percent(2)) steps.push({ command: { ire: 1 } });
    if (random.percent(15)) steps.push({ command: { cfi: 1 } });
  }

  /** Of the fault event, or of the completion event: where it goes, and that it is not masked. */
  #eventRegisters(): { [key: string]: Json } {
    const random = this.#random;
    const prefix = random.percent(70) ? "FE" : "IE";
    return {
      [`${prefix}DATA`]: hexOf(someVector(random)),
      [`${prefix}ADDR`]: { ma: written((range | (random.below(4) << 12)) >>> 0) },
      ...(random.percent(10) ? { [`${prefix}UADDR`]: hexOf(random.below(4) << 8) } : {}),
      [`${prefix}CTL`]: "0x0",
    };
  }

  /** An index that the table holds, mostly. */
  #freshIndex(): number {
    const random = this.#random;
    const entries = 2 ** (this.#size + 1);
    if (random.percent(93)) return random.below(Math.min(entries, 512));
    if (random.percent(50)) return entries + random.below(4) - 2 < 0 ? 0 : entries + random.below(4) - 2;
    return random.below(65536);
  }

  #entry(): { [key: string]: Json } {
    const random = this.#random;
    if (random.percent(6)) return this.#postedEntry();
    const plain = random.percent(45);
    const raw = random.percent(7)
      ? someBit(random, this.#eime === 0 && random.percent(50) ? narrowReserved : reservedBits)
      : 0n;
    const dlm = plain || random.percent(60) ? 0 : random.below(8);
    const once = (times: number): number => (!plain && random.percent(times) ? 1 : 0);
    return fields({
      p: random.percent(5) ? 0 : 1,
      fpd: random.percent(6) ? 1 : 0,
      dm: once(30),
      rh: once(20),
      tm: once(20),
      dlm,
      avail: once(15) * random.below(16),
      v: dlm === 2 && random.percent(60) ? 0 : someVector(random),
      dst: this.#destination(),
      ...this.#source(),
      raw,
    });
  }

  #destination(): number {
    const random = this.#random;
    const near = someDestination(random);
    if (this.#eime === 0) return near << 8;
    return random.percent(15) ? ((random.word() & extendedHigh) | near) >>> 0 : near;
  }

  #postedEntry(): { [key: string]: Json } {
    const random = this.#random;
    return fields({
      im: 1,
      p: random.percent(5) ? 0 : 1,
      fpd: random.percent(6) ? 1 : 0,
      urg: random.percent(20) ? 1 : 0,
      vv: someVector(random),
      pda: 0x20_0000 + 64 * random.below(16),
      ...this.#source(),
      raw: random.percent(10) ? someBit(random, [[7, 2]]) : 0n,
    });
  }

  /** SID, SQ and SVT: what suits the usual requester in about two cases of three. */
  #source(): { sid: number; sq: number; svt: number } {
    const random = this.#random;
    const svt = random.pick([0, 0, 1, 1, 1, 1, 2, 2, 3]);
    const sq = svt === 1 ? random.below(4) : random.percent(5) ? random.below(4) : 0;
    if (svt === 2) {
      const bus = this.#usual >>> 8;
      const near = (): number => Math.min(255, Math.max(0, bus + random.below(5) - 2));
      return { sid: (near() << 8) | near(), sq, svt };
    }
    if (svt === 0) return { sid: random.percent(50) ? 0 : random.below(65536), sq, svt };
    const other = random.percent(35);
    return { sid: other ? (this.#usual ^ (1 << random.below(16))) & 0xffff : this.#usual, sq, svt };
  }

  #request(): { [key: string]: Json } {
    const random = this.#random;
    const requester = someRequester(random, this.#requesters, this.#usual);
    const message = random.percent(6) ? this.#compatibility() : this.#remappable();
    if (requester !== this.#usual) message["requester"] = requester === null ? null : written(requester);
    return message;
  }

  #compatibility(): { [key: string]: Json } {
    const random = this.#random;
    const extended = random.percent(10) ? random.below(128) << 5 : 0;
    const flags = random.percent(40) ? random.below(4) << 2 : 0;
    const address = (range | (someDestination(random) << 12) | extended | flags) >>> 0;
    const attributes = random.percent(30) ? (random.below(8) << 8) | (random.below(4) << 14) : 0;
    const high = random.percent(5) ? random.below(65536) << 16 : 0;
    return {
      address: written(address),
      ...fields({ data: (someVector(random) | attributes | high) >>> 0 }),
    };
  }

  #remappable(): { [key: string]: Json } {
    const random = this.#random;
    const aimed = random.pick(this.#indices);
    const index = random.percent(92) ? aimed : this.#freshIndex();
    const shv = random.percent(35);
    let handle = index;
    let data = 0;
    if (shv) {
      const subhandle = random.percent(92) ? random.below(Math.min(32, index + 1)) : random.below(65536);
      // The sum goes past FFFFh where the subhandle is larger than the index.
      handle = (index - subhandle) & 0xffff;
      data = subhandle;
      if (random.percent(7)) data |= 1 << (16 + random.below(16));
    } else if (random.percent(15)) data = random.word();
    const address = range | 0x10 | (shv ? 8 : 0) | ((handle & 0x7fff) << 5) | ((handle >>> 15) << 2);
    return { address: written(address >>> 0), ...fields({ data: data >>> 0 }) };
  }

  /** What software does between two requests. */
  #between(steps: { [key: string]: Json }[]): void {
    const random = this.#random;
    const index = `0x${(random.pick(this.#indices) & 0xffff).toString(16)}`;
    switch (random.below(this.#hasQueue ? 10 : 7)) {
      case 0:
      case 1:
        steps.push({ irtes: { [index]: this.#entry() } });
        return;
      case 2:
        steps.push({ clearRecord: 0 });
        return;
      case 3:
        steps.push({ clearRecord: 0 });
        steps.push({ write: { register: "FSTS", value: fields({ pfo: 1 }) } });
        return;
      case 4:
        steps.push({ command: random.pick([{ cfi: 1 }, { cfi: 0 }, { ire: 0 }, { ire: 1 }, { sirtp: 1 }]) });
        return;
      case 5: {
        const eime = random.percent(40) ? 1 - this.#eime : this.#eime;
        const value = fields({ s: random.below(10), eime, irta: tableBase });
        steps.push({ write: { register: "IRTA", value } });
        if (random.percent(60)) steps.push({ command: { sirtp: 1 } });
        return;
      }
      case 6:
        steps.push({ write: { register: "FECTL", value: random.percent(60) ? "0x0" : { im: 1 } } });
        return;
      case 7:
        steps.push({ irtes: { [index]: this.#entry() } });
        steps.push({ invalidate: "global" });
        return;
      case 8:
        steps.push({ invalidate: { index, ...fields({ mask: random.below(4) }) } });
        return;
      default:
        if (random.percent(25)) this.#wrongDescriptor(steps);
        else this.#wait(steps);
    }
  }

  /** A type that does not exist, or bits that are reserved; what the queue then tells is looked at, and how it goes on. */
  #wrongDescriptor(steps: { [key: string]: Json }[]): void {
    const random = this.#random;
    const wrong = random.percent(50)
      ? hexOf(random.pick([0, 0xa, 0xe, 0xf]))
      : { iec: fields({ g: 1, raw: someBit(random, [[26, 12]]) }) };
    steps.push({ submit: [wrong], expect: { registers: { IQERCD: {}, IQH: {} } } });
    if (random.percent(30)) this.#wait(steps);
    if (random.percent(60)) steps.push({ write: { register: "FSTS", value: { iqe: 1 } } });
    if (random.percent(50)) this.#wait(steps);
  }

  #wait(steps: { [key: string]: Json }[]): void {
    const random = this.#random;
    const wait = fields({
      ...random.pick(waitKinds),
      fn: random.percent(20) ? 1 : 0,
      statusdata: random.word(),
      statusaddress: statusPlace,
    });
    steps.push({ submit: [{ wait }], expect: { memory: { "0x600000": 0 } } });
  }
}
