import { eventBytes, eventGeneric, eventNameOf } from "../../spec/amdvi/events.ts";
import { galogBytes, galogEntry } from "../../spec/amdvi/galog.ts";
import { vapicIrr } from "../../spec/amdvi/irte.ts";
import { type RegisterName, registers, ringBase } from "../../spec/amdvi/registers.ts";
import { decode, fromWords, toWords } from "../../spec/codec.ts";
import type { AmdviProfile } from "../../hardware/amdvi/profile.ts";
import { AmdviUnit } from "../../hardware/amdvi/unit.ts";
import { Outcome, unknownRequester } from "../../hardware/delivery.ts";
import type { Observer } from "../../hardware/event.ts";
import { Memory } from "../../hardware/memory.ts";
import { RecordingFabric } from "../../hardware/recording-fabric.ts";
import type { AmdviSetup, TableEntry } from "./amdvi-setup.ts";
import type { AmdviActor, Request } from "./amdvi-actor.ts";
import { AmdviSoftware } from "./amdvi-software.ts";
import { collect, outcomeOf, vectorsIn } from "./message.ts";
import type { RegisterWrite } from "./register-shapes.ts";
import { type JsonObject, hexOf } from "../../spec/shape.ts";
import type { Happenings } from "./subject.ts";

const defaultRequester = 0x20;
const defaultMessage = 0xfee0_0000;

/** An AMD-Vi unit with memory and a fabric that keeps what it is given. */
export class AmdviBench implements AmdviActor {
  readonly #memory = new Memory();
  readonly #fabric = new RecordingFabric();
  readonly #doorbells: number[] = [];
  readonly #unit: AmdviUnit;
  readonly #requester: number;
  readonly #software: AmdviSoftware;

  constructor(setup: AmdviSetup, profile: AmdviProfile, observer: Observer | undefined) {
    this.#unit = new AmdviUnit({
      memory: this.#memory,
      fabric: this.#fabric,
      profile: {
        ...profile,
        efr: setup.efr?.(profile.efr) ?? profile.efr,
        efr2: setup.efr2?.(profile.efr2) ?? profile.efr2,
      },
      doorbell: (apicId) => this.#doorbells.push(apicId),
      ...(observer === undefined ? {} : { observer }),
    });
    this.#requester = setup.requester ?? defaultRequester;
    this.#software = new AmdviSoftware(
      {
        store: (address, words) => this.#memory.writeWords(address, words),
        write: (offset, width, value) => this.#unit.write(offset, width, value),
        read: (offset, width) => this.#unit.read(offset, width),
      },
      setup,
    );
    this.#software.fillMemory(setup);
    if (setup.message !== undefined) {
      const [low, high] = toWords(setup.message.address, 64);
      this.#unit.setMessage({ addressLow: low!, addressHigh: high!, data: setup.message.data | 0 });
    }
    this.#software.bringUp(setup);
    this.#collect();
  }

  // What software does.

  writeDevices(devices: readonly (readonly [number, bigint])[]): void {
    this.#software.writeDevices(devices);
  }

  writeEntries(entries: readonly (readonly [number, TableEntry])[]): void {
    this.#software.writeEntries(entries);
  }

  writeMemory(words: readonly (readonly [number, number])[]): void {
    this.#software.writeMemory(words);
  }

  injectError(address: number, length: number): void {
    this.#memory.injectError(address, length);
  }

  heal(): void {
    this.#memory.heal();
  }

  write(one: RegisterWrite<RegisterName>): Happenings {
    const act = (): Happenings => {
      this.#software.write(one);
      return {};
    };
    // A log whose base is written starts over: what it holds is no news.
    return one.register === "EVT_LOG_BASE" || one.register === "GA_LOG_BASE" ? act() : this.#during(act);
  }

  /** Puts commands at the tail of their buffer and moves it. */
  submit(commands: readonly bigint[]): Happenings {
    return this.#during(() => {
      this.#software.submit(commands);
      return {};
    });
  }

  // What devices do.

  request({ address = defaultMessage, data, requester = this.#requester }: Request): Happenings {
    return this.#during(() => {
      const outcome = this.#unit.interrupt(address | 0, data | 0, requester ?? unknownRequester);
      const passed = outcome === Outcome.passed ? { address: BigInt(address), data } : undefined;
      return { outcome: outcomeOf(outcome), ...collect(this.#fabric, passed) };
    });
  }

  /** An access to the interrupt range that is no interrupt message. */
  malformed(address: number): Happenings {
    return this.#during(() => ({ outcome: outcomeOf(this.#unit.malformed(address | 0, this.#requester)) }));
  }

  // What can be seen.

  read(register: RegisterName): bigint {
    return this.#unit.read(registers[register].offset, 64);
  }

  readMemory(address: number): number {
    return this.#memory.read32(address) >>> 0;
  }

  /** The vectors in the IRR of a backing page. */
  requests(page: number): string[] {
    return vectorsIn(
      Array.from({ length: 8 }, (_, i) => this.#memory.read32(page + vapicIrr.offset + vapicIrr.stride * i)),
    );
  }

  #during(act: () => Happenings): Happenings {
    const events = this.#logTail("EVT_LOG_TAIL");
    const guests = this.#logTail("GA_LOG_TAIL");
    const result = act();
    return {
      ...result,
      ...this.#collect(),
      ...oneOrMore("event", this.#logged("EVT_LOG", events, eventBytes).map(eventOf)),
      ...oneOrMore("galog", this.#logged("GA_LOG", guests, galogBytes).map(guestOf)),
    };
  }

  #logTail(register: RegisterName): number {
    return Number(this.read(register));
  }

  /** What has been written to a log since its tail was at `from`, oldest first. */
  #logged(log: "EVT_LOG" | "GA_LOG", from: number, bytes: number): bigint[] {
    const { base, length } = decode(ringBase, this.read(`${log}_BASE`));
    const size = 16 * 2 ** Number(length);
    const found: bigint[] = [];
    const words = new Int32Array(bytes / 4);
    for (let at = from; at !== this.#logTail(`${log}_TAIL`); at = (at + bytes) % size) {
      this.#memory.readWords(Number(base) + at, words);
      found.push(fromWords(words, 0, 8 * bytes));
    }
    return found;
  }

  #collect(): Happenings {
    return { ...collect(this.#fabric), ...oneOrMore("doorbell", this.#doorbells.splice(0).map(hexOf)) };
  }
}

function oneOrMore(name: string, found: readonly (string | JsonObject)[]): Happenings {
  return found.length === 0 ? {} : { [name]: found.length === 1 ? found[0]! : found };
}

function eventOf(value: bigint): JsonObject {
  const { code, devid, flags, domainid, address } = decode(eventGeneric, value);
  return {
    code: eventNameOf(Number(code)) ?? hexOf(code),
    device: hexOf(devid),
    flags: hexOf(flags),
    domain: hexOf(domainid),
    address: hexOf(address),
  };
}

function guestOf(value: bigint): JsonObject {
  const { gatag, devid, code } = decode(galogEntry, value);
  return { gatag: hexOf(gatag), device: hexOf(devid), code: hexOf(code) };
}
