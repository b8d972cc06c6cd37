import { southBridgeIoapic } from "../../spec/amdvi/request.ts";
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

const interruptTable = 0x40_0000;
const storePlace = 0x60_0000;
const range = 0xfee0_0000;
const pages = 512;

/** Bits of a device table entry that some revision or emulator takes for reserved, or that say nothing about interrupts. */
const strayDeviceBits = [
  [8, 2],
  [54, 52],
  [63, 63],
  [73, 72],
  [183, 180],
  [187, 187],
  [206, 192],
  [255, 240],
] as const;

const looks = ["CMD_BUF_HEAD", "CMD_BUF_TAIL", "CONTROL", "DEV_TAB_BASE"] as const;

/** Delivery modes that a message's data may name and that no table entry stands for. */
const specialTypes = [2, 3, 4, 5, 6, 7] as const;

/** Writes one AMD-Vi case. */
export function generateAmdvi(random: Random, requesters: readonly number[]): Draft {
  return new AmdviGenerator(random, requesters).draft();
}

type Entry = { [key: string]: Json };

class AmdviGenerator {
  readonly #random: Random;
  readonly #requesters: readonly number[];
  readonly #usual: number;
  readonly #ga: boolean;
  /** Messages whose source nobody knows. */
  readonly #anonymous: boolean;
  readonly #indices: number[] = [];

  constructor(random: Random, requesters: readonly number[]) {
    this.#random = random;
    this.#requesters = requesters;
    this.#usual = random.pick(requesters);
    this.#ga = random.percent(55);
    this.#anonymous = random.percent(1);
    const count = random.percent(60) ? 1 : 1 + random.below(3);
    for (let i = 0; i < count; i++) this.#indices.push(this.#freshIndex());
  }

  draft(): Draft {
    const random = this.#random;
    const setup: Entry = { requester: written(this.#usual) };
    const control = this.#control();
    if (control !== undefined) setup["control"] = control;
    if (random.percent(4)) {
      setup["deviceTable"] = { base: "0x100000", pages: written(random.percent(50) ? 1 : pages) };
    }
    const device = this.#anonymous ? southBridgeIoapic : this.#usual;
    if (!random.percent(3)) setup["dtes"] = { [`0x${device.toString(16)}`]: this.#device() };
    const entries: Entry = {};
    for (const index of this.#indices) {
      if (!random.percent(4)) entries[`0x${index.toString(16)}`] = this.#entry();
    }
    setup["irtes"] = entries;
    if (random.percent(4)) {
      const address = range | (random.below(4) << 12);
      setup["message"] = { address: written(address >>> 0), data: written(someVector(random)) };
    }
    const steps: Entry[] = [];
    const acts = random.percent(60) ? 1 : 2 + random.below(4);
    for (let i = 0; i < acts; i++) {
      if (i > 0 && random.percent(70)) this.#between(steps);
      steps.push({ msi: this.#request() });
      if (random.percent(25)) steps.at(-1)!["expect"] = {};
    }
    if (setup["message"] !== undefined && random.percent(60)) this.#completion(steps);
    if (random.percent(4)) {
      const asked: Entry = {};
      for (let i = 0; i <= random.below(3); i++) asked[random.pick(looks)] = {};
      steps.at(-1)!["expect"] = { registers: asked };
    } else steps.at(-1)!["expect"] ??= {};
    return { setup, steps };
  }

  /** Undefined for what a setup has that says nothing. */
  #control(): Entry | undefined {
    const random = this.#random;
    if (!this.#ga && random.percent(70)) return undefined;
    const often = (times: number): number => (random.percent(times) ? 1 : 0);
    return fields({
      iommuen: often(95),
      evtlogen: often(95),
      evtinten: often(10),
      comwaitinten: often(10),
      cmdbufen: often(97),
      gaen: this.#ga ? 1 : 0,
      gamen: this.#ga ? often(10) : 0,
      numintremapmode: often(10),
      xten: often(15),
    });
  }

  #freshIndex(): number {
    const random = this.#random;
    if (random.percent(80)) return random.below(512);
    return random.percent(50) ? random.below(2048) : random.below(16);
  }

  #device(): Entry {
    const random = this.#random;
    const once = (times: number): number => (random.percent(times) ? 1 : 0);
    return fields({
      v: random.percent(92) ? 1 : 0,
      iv: random.percent(94) ? 1 : 0,
      inttablen: random.percent(75) ? random.pick([9, 9, 9, 10, 11]) : random.below(16),
      inttableptr: interruptTable,
      intctl: random.percent(82) ? 2 : random.below(4),
      ig: once(8),
      initpass: once(25),
      extintpass: once(25),
      nmipass: once(25),
      lint0pass: once(5),
      lint1pass: once(5),
      domainid: random.percent(30) ? random.below(random.percent(10) ? 65536 : 256) : 0,
      tv: once(10),
      raw: random.percent(6) ? someBit(random, strayDeviceBits) : 0n,
    });
  }

  #entry(): Entry {
    const random = this.#random;
    // Of the other size now and then: what is meant for one is then read as the other.
    const wide = random.percent(3) ? !this.#ga : this.#ga;
    if (wide && random.percent(8)) return { guest: this.#guest() };
    const plain = random.percent(45);
    const once = (times: number): number => (!plain && random.percent(times) ? 1 : 0);
    const common = {
      remapen: random.percent(92) ? 1 : 0,
      supiopf: random.percent(6) ? 1 : 0,
      inttype: plain || random.percent(70) ? 0 : random.below(8),
      rqeoi: once(15),
      dm: once(30),
    };
    const near = someDestination(random);
    if (!wide) {
      const raw = random.percent(6) ? someBit(random, [[31, 24]]) : 0n;
      const guestmode = random.percent(4) ? 1 : 0;
      return { irte32: fields({ ...common, guestmode, dest: near, vector: someVector(random), raw }) };
    }
    const raw = random.percent(6)
      ? someBit(random, [
          [95, 72],
          [119, 96],
        ])
      : 0n;
    const far = random.percent(10) ? random.word() & 0xffff_ff00 : 0;
    return {
      irte128: fields({
        ...common,
        dest: (far | near) >>> 0,
        gatag: random.percent(10) ? random.word() : 0,
        vector: someVector(random),
        raw,
      }),
    };
  }

  #guest(): Entry {
    const random = this.#random;
    return fields({
      remapen: random.percent(92) ? 1 : 0,
      supiopf: random.percent(10) ? 1 : 0,
      galogintr: random.percent(40) ? 1 : 0,
      isrun: random.percent(40) ? 1 : 0,
      dest: someDestination(random),
      gatag: random.word(),
      vector: someVector(random),
      root: 0x61_0000,
    });
  }

  #request(): Entry {
    const random = this.#random;
    const index = random.percent(90) ? random.pick(this.#indices) : this.#freshIndex();
    let data = index & 0x7ff;
    if (random.percent(8)) data = (data & 0xff) | (random.pick(specialTypes) << 8);
    if (random.percent(15)) data |= random.below(4) << 14;
    if (random.percent(4)) data |= random.below(65536) << 16;
    const message: Entry = { data: written(data >>> 0) };
    if (random.percent(25)) {
      const flags = random.below(4) << 2;
      message["address"] = written((range | (someDestination(random) << 12) | flags) >>> 0);
    }
    if (this.#anonymous) return { ...message, requester: null };
    const requester = someRequester(random, this.#requesters, this.#usual);
    if (requester !== this.#usual) message["requester"] = requester === null ? null : written(requester);
    return message;
  }

  /** What software does between two requests. */
  #between(steps: Entry[]): void {
    const random = this.#random;
    const index = `0x${random.pick(this.#indices).toString(16)}`;
    const device = `0x${this.#usual.toString(16)}`;
    const devid = { devid: written(this.#usual) };
    switch (random.below(8)) {
      case 0:
      case 1:
        steps.push({ irtes: { [index]: this.#entry() } });
        return;
      case 2:
        steps.push({ irtes: { [index]: this.#entry() } });
        steps.push({ commands: [{ invalidateInterruptTable: devid }] });
        return;
      case 3:
        steps.push({ dtes: { [device]: this.#device() } });
        if (random.percent(50)) steps.push({ commands: [{ invalidateDevtabEntry: devid }] });
        return;
      case 4:
        steps.push({ commands: [{ invalidateIommuAll: {} }] });
        return;
      case 5:
        if (random.percent(30)) steps.push({ commands: [this.#wrongCommand()] });
        this.#completion(steps);
        return;
      case 6:
        steps.push({ write: { register: "CONTROL", value: this.#control() ?? fields({ iommuen: 0 }) } });
        return;
      default:
        if (random.percent(3)) {
          const completionWait = { s: 0, i: 1 };
          steps.push({ commands: [{ completionWait }] });
          const written = { register: "STATUS", value: { comwaitint: 1 } };
          steps.push({ write: written, expect: { registers: { STATUS: {} } } });
          return;
        }
        // Software has read the log.
        steps.push({ write: { register: "EVT_LOG_BASE", value: { base: "0x510000", length: 8 } } });
    }
  }

  #wrongCommand(): Json {
    const random = this.#random;
    if (random.percent(50)) {
      return hexOf((BigInt(9 + random.below(7)) << 60n) | BigInt(random.below(65536)));
    }
    const raw = someBit(random, [[59, 16]]);
    return { invalidateInterruptTable: fields({ devid: this.#usual, raw }) };
  }

  #completion(steps: Entry[]): void {
    const random = this.#random;
    const completionWait = fields({
      s: random.percent(80) ? 1 : 0,
      i: random.percent(40) ? 1 : 0,
      f: random.percent(20) ? 1 : 0,
      address: storePlace,
      data: (BigInt(random.word()) << 32n) | BigInt(random.word()),
    });
    steps.push({ commands: [{ completionWait }], expect: { memory: { "0x600000": 0 } } });
  }
}
