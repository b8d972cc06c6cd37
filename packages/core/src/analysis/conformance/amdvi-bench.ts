import { dteBytes } from "../../spec/amdvi/dte.ts";
import { eventBytes, eventGeneric, eventNameOf } from "../../spec/amdvi/events.ts";
import { galogBytes, galogEntry } from "../../spec/amdvi/galog.ts";
import { vapicIrr } from "../../spec/amdvi/irte.ts";
import {
  type RegisterName,
  control,
  deviceTableBase,
  registers,
  ringBase,
} from "../../spec/amdvi/registers.ts";
import { decode, encode, fromWords, toWords } from "../../spec/codec.ts";
import type { AmdviProfile } from "../../hardware/amdvi/profile.ts";
import { AmdviUnit } from "../../hardware/amdvi/unit.ts";
import { Outcome, unknownRequester } from "../../hardware/delivery.ts";
import type { Observer } from "../../hardware/event.ts";
import { Memory } from "../../hardware/memory.ts";
import { RecordingFabric } from "../../hardware/recording-fabric.ts";
import type { AmdviSetup, TableEntry } from "./amdvi-setup.ts";
import { collect, outcomeOf, vectorsIn } from "./message.ts";
import type { RegisterWrite } from "./register-shapes.ts";
import { type JsonObject, hexOf } from "../../spec/shape.ts";
import type { Happenings } from "./subject.ts";

/** Where things lie unless the setup says so. */
const defaults = {
  deviceTable: { base: 0x10_0000, pages: 512 },
  interruptTable: 0x40_0000,
  rings: {
    commands: { base: 0x50_0000, length: 8 },
    events: { base: 0x51_0000, length: 8 },
    guestLog: { base: 0x52_0000, length: 8 },
  },
  control: encode(control, { iommuen: 1, cmdbufen: 1, evtlogen: 1 }),
  requester: 0x20,
  messageAddress: 0xfee0_0000,
} as const;

const ringRegisters = {
  commands: "CMD_BUF_BASE",
  events: "EVT_LOG_BASE",
  guestLog: "GA_LOG_BASE",
} as const satisfies Record<keyof typeof defaults.rings, RegisterName>;

export interface Request {
  readonly address?: number;
  readonly data: number;
  /** Null: not known. */
  readonly requester?: number | null;
}

/** An AMD-Vi unit with memory and a fabric that keeps what it is given. */
export class AmdviBench {
  readonly #memory = new Memory();
  readonly #fabric = new RecordingFabric();
  readonly #doorbells: number[] = [];
  readonly #unit: AmdviUnit;
  readonly #requester: number;
  readonly #interruptTable: number;
  readonly #deviceTable: number;

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
    this.#requester = setup.requester ?? defaults.requester;
    this.#interruptTable = setup.interruptTable ?? defaults.interruptTable;
    this.#deviceTable = (setup.deviceTable ?? defaults.deviceTable).base;
    this.writeDevices(setup.dtes ?? []);
    this.writeEntries(setup.irtes ?? []);
    this.writeMemory(setup.memory ?? []);
    this.#bringUp(setup);
  }

  #bringUp(setup: AmdviSetup): void {
    if (setup.message !== undefined) {
      const [low, high] = toWords(setup.message.address, 64);
      this.#unit.setMessage({ addressLow: low!, addressHigh: high!, data: setup.message.data | 0 });
    }
    const { base, pages } = setup.deviceTable ?? defaults.deviceTable;
    this.write({ register: "DEV_TAB_BASE", value: encode(deviceTableBase, { base, size: pages - 1 }) });
    for (const [name, register] of Object.entries(ringRegisters) as [
      keyof typeof ringRegisters,
      RegisterName,
    ][]) {
      const ring = { ...defaults.rings[name], ...setup.rings?.[name] };
      this.write({ register, value: encode(ringBase, ring) });
    }
    for (const one of setup.registers ?? []) this.write(one);
    this.write({ register: "CONTROL", value: setup.control ?? defaults.control });
    this.#collect();
  }

  // What software does.

  writeDevices(devices: readonly (readonly [number, bigint])[]): void {
    for (const [device, value] of devices) {
      this.#memory.writeWords(this.#deviceTable + dteBytes * device, toWords(value, 8 * dteBytes));
    }
  }

  writeEntries(entries: readonly (readonly [number, TableEntry])[]): void {
    for (const [index, { bytes, value }] of entries) {
      this.#memory.writeWords(this.#interruptTable + bytes * index, toWords(value, 8 * bytes));
    }
  }

  writeMemory(words: readonly (readonly [number, number])[]): void {
    for (const [address, value] of words) this.#memory.write32(address, value);
  }

  injectError(address: number, length: number): void {
    this.#memory.injectError(address, length);
  }

  heal(): void {
    this.#memory.heal();
  }

  write({ register, value }: RegisterWrite<RegisterName>): Happenings {
    const act = (): Happenings => {
      this.#unit.write(registers[register].offset, 64, value);
      return {};
    };
    // A log whose base is written starts over: what it holds is no news.
    return register === "EVT_LOG_BASE" || register === "GA_LOG_BASE" ? act() : this.#during(act);
  }

  /** Puts commands at the tail of their buffer and moves it. */
  submit(commands: readonly bigint[]): Happenings {
    const { base, length } = decode(ringBase, this.read("CMD_BUF_BASE"));
    let tail = Number(this.read("CMD_BUF_TAIL"));
    for (const one of commands) {
      this.#memory.writeWords(Number(base) + tail, toWords(one, 128));
      tail = (tail + 16) % (16 * 2 ** Number(length));
    }
    return this.write({ register: "CMD_BUF_TAIL", value: BigInt(tail) });
  }

  // What devices do.

  request({ address = defaults.messageAddress, data, requester = this.#requester }: Request): Happenings {
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
