import { dteBytes } from "../../spec/amdvi/dte.ts";
import {
  type RegisterName,
  control,
  deviceTableBase,
  registers,
  ringBase,
} from "../../spec/amdvi/registers.ts";
import { decode, encode, toWords } from "../../spec/codec.ts";
import type { AmdviSetup, TableEntry } from "./amdvi-setup.ts";
import type { RegisterWrite } from "./register-shapes.ts";
import type { Port } from "./stage.ts";

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
} as const;

const rings = [
  ["commands", "CMD_BUF_BASE"],
  ["events", "EVT_LOG_BASE"],
  ["guestLog", "GA_LOG_BASE"],
] as const satisfies readonly (readonly [keyof typeof defaults.rings, RegisterName])[];

const commandBytes = 16;

/** What a case's setup and steps do as an AMD-Vi unit's software: tables into memory, registers written. */
export class AmdviSoftware {
  readonly #port: Port;
  readonly #interruptTable: number;
  readonly #deviceTable: number;

  constructor(port: Port, setup: AmdviSetup) {
    this.#port = port;
    this.#interruptTable = setup.interruptTable ?? defaults.interruptTable;
    this.#deviceTable = (setup.deviceTable ?? defaults.deviceTable).base;
  }

  fillMemory(setup: AmdviSetup): void {
    this.writeDevices(setup.dtes ?? []);
    this.writeEntries(setup.irtes ?? []);
    this.writeMemory(setup.memory ?? []);
  }

  bringUp(setup: AmdviSetup): void {
    const { base, pages } = setup.deviceTable ?? defaults.deviceTable;
    this.write({ register: "DEV_TAB_BASE", value: encode(deviceTableBase, { base, size: pages - 1 }) });
    for (const [name, register] of rings) {
      const ring = { ...defaults.rings[name], ...setup.rings?.[name] };
      this.write({ register, value: encode(ringBase, ring) });
    }
    for (const one of setup.registers ?? []) this.write(one);
    this.write({ register: "CONTROL", value: setup.control ?? defaults.control });
  }

  writeDevices(devices: readonly (readonly [number, bigint])[]): void {
    for (const [device, value] of devices)
      this.#port.store(this.#deviceTable + dteBytes * device, toWords(value, 8 * dteBytes));
  }

  writeEntries(entries: readonly (readonly [number, TableEntry])[]): void {
    for (const [index, { bytes, value }] of entries)
      this.#port.store(this.#interruptTable + bytes * index, toWords(value, 8 * bytes));
  }

  writeMemory(words: readonly (readonly [number, number])[]): void {
    for (const [address, value] of words) this.#port.store(address, Int32Array.of(value));
  }

  write({ register, value }: RegisterWrite<RegisterName>): void {
    this.#port.write(registers[register].offset, 64, value);
  }

  /** Puts commands at the tail of their buffer and moves it. */
  submit(commands: readonly bigint[]): void {
    const { base, length } = decode(ringBase, this.#read("CMD_BUF_BASE"));
    let tail = Number(this.#read("CMD_BUF_TAIL"));
    for (const one of commands) {
      this.#port.store(Number(base) + tail, toWords(one, 8 * commandBytes));
      tail = (tail + commandBytes) % (commandBytes * 2 ** Number(length));
    }
    this.write({ register: "CMD_BUF_TAIL", value: BigInt(tail) });
  }

  #read(register: RegisterName): bigint {
    return this.#port.read(registers[register].offset, 64);
  }
}
