import { decode, encode } from "../spec/codec.ts";
import {
  hpetCapabilities,
  hpetConfiguration,
  hpetOffset,
  hpetTimerConfiguration,
  hpetTimerOffset,
} from "../spec/hpet/registers.ts";
import type { RootComplex } from "./pci/root-complex.ts";

export interface HpetOptions {
  /** Where its messages go. */
  readonly root: RootComplex;
  /** Bus:device.function, 16 bits, that its messages carry; firmware tells it in DMAR or IVRS. */
  readonly requester: number;
  /** 1 to 32; 3 unless told. */
  readonly timers?: number;
}

/** What a timer's driver may change; the rest of its register tells what it can do. */
const writable = encode(hpetTimerConfiguration, { type: 1, int: 1, narrow: 1, route: 31, fsb: 1 });
const capable = encode(hpetTimerConfiguration, { fsbcap: 1 });

/** 14.318 MHz. */
const femtoseconds = 69_841_279;

interface Timer {
  configuration: number;
  comparator: number;
  value: number;
  address: number;
}

/** A high precision event timer: a 32-bit counter, and one-shot timers that send messages when it comes to their time. */
export class Hpet {
  readonly requester: number;
  readonly #root: RootComplex;
  readonly #timers: readonly Timer[];
  #enabled = false;
  #counter = 0;

  /** @throws RangeError when there are not 1 to 32 timers. */
  constructor({ root, requester, timers = 3 }: HpetOptions) {
    if (!(Number.isInteger(timers) && timers >= 1 && timers <= 32)) {
      throw new RangeError(`HPET: ${timers} timers, expected 1 to 32`);
    }
    this.#root = root;
    this.requester = requester;
    this.#timers = Array.from({ length: timers }, () => powerOn());
  }

  /** Reads a dword register, unsigned; where there is none, zero. */
  read(offset: number): number {
    switch (offset) {
      case hpetOffset.capabilities:
        return Number(BigInt.asUintN(32, this.#capabilities));
      case hpetOffset.capabilities + 4:
        return Number(this.#capabilities >> 32n);
      case hpetOffset.configuration:
        return this.#enabled ? 1 : 0;
      case hpetOffset.counter:
        return this.#counter;
      default: {
        const { timer, name } = this.#place(offset);
        return timer === undefined || name === undefined ? 0 : timer[name];
      }
    }
  }

  /** Writes a dword register. */
  write(offset: number, value: number): void {
    if (offset === hpetOffset.configuration) {
      this.#enabled = decode(hpetConfiguration, BigInt(value >>> 0)).enable === 1;
    } else if (offset === hpetOffset.counter) this.#counter = value >>> 0;
    else {
      const { timer, name } = this.#place(offset);
      if (timer === undefined || name === undefined) return;
      const kept = name === "configuration" ? (value & Number(writable)) | Number(capable) : value;
      timer[name] = kept >>> 0;
    }
  }

  /** Lets the counter run on, less than 2^32 ticks. */
  advance(ticks: number): void {
    // hpet.counter.halted
    if (!this.#enabled) return;
    const from = this.#counter;
    this.#counter = (from + ticks) >>> 0;
    for (const timer of this.#timers) {
      const distance = (timer.comparator - from) >>> 0;
      // hpet.timer.match
      if (distance > 0 && distance <= ticks) this.#fire(timer);
    }
  }

  /** Power is lost and comes back, as in a suspend to memory: every register is what it was at the start. */
  reset(): void {
    this.#enabled = false;
    this.#counter = 0;
    for (const timer of this.#timers) Object.assign(timer, powerOn());
  }

  #fire({ configuration, address, value }: Timer): void {
    const { int, fsb } = decode(hpetTimerConfiguration, BigInt(configuration));
    // hpet.timer.message
    if (int === 1 && fsb === 1) this.#root.writeDword(this.requester, address | 0, 0, value | 0);
  }

  get #capabilities(): bigint {
    const last = this.#timers.length - 1;
    return encode(hpetCapabilities, { rev: 1, last, vendor: 0x8086, period: femtoseconds });
  }

  #place(offset: number): { timer?: Timer | undefined; name?: keyof Timer | undefined } {
    const inTimers = offset - hpetTimerOffset.first;
    if (inTimers < 0) return {};
    const { stride } = hpetTimerOffset;
    return { timer: this.#timers[Math.floor(inTimers / stride)], name: timerRegisters[inTimers % stride] };
  }
}

/** A timer's dwords, by their offset in its registers. */
const timerRegisters: Readonly<Record<number, keyof Timer>> = {
  [hpetTimerOffset.configuration]: "configuration",
  [hpetTimerOffset.comparator]: "comparator",
  [hpetTimerOffset.route]: "value",
  [hpetTimerOffset.route + 4]: "address",
};

function powerOn(): Timer {
  return { configuration: Number(capable), comparator: 0xffff_ffff, value: 0, address: 0 };
}
