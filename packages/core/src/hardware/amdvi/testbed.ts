import { fromWords, toWords } from "../../spec/codec.ts";
import { encode } from "../../spec/codec.ts";
import { dte } from "../../spec/amdvi/dte.ts";
import { registers } from "../../spec/amdvi/registers.ts";
import type { Layout } from "../../spec/layout.ts";
import type { EventKind, Observer } from "../event.ts";
import { Memory } from "../memory.ts";
import { RecordingFabric } from "../recording-fabric.ts";
import type { UnitSetup } from "./bring-up.ts";
import { type AmdviProfile, amdviStrict } from "./profile.ts";
import { AmdviUnit } from "./unit.ts";

/** Where the testbed puts things, and the device that it speaks for. */
export const place = {
  deviceTable: 0x10_0000,
  interruptTable: 0x40_0000,
  commands: 0x50_0000,
  events: 0x51_0000,
  guestLog: 0x52_0000,
  backingPage: 0x60_0000,
  store: 0x70_0000,
  device: 0x0020, // 00:04.0
} as const;

/** Address bits 31:0 of an interrupt message, as int32. */
export const messageAddress = 0xfee0_0000 | 0;

export type DteValues = Parameters<typeof encode<keyof typeof dte.fields>>[1];

/** One unit with memory, a recording fabric and everything it reports, brought up unless told otherwise. */
export function testbed(profile: AmdviProfile = amdviStrict, setup: Partial<UnitSetup> | null = {}) {
  const memory = new Memory();
  const fabric = new RecordingFabric();
  const doorbells: number[] = [];
  const violations: string[] = [];
  const records: number[][] = [];
  const observer: Observer = { record: (...record) => records.push(record) };
  const unit = new AmdviUnit({
    memory,
    fabric,
    profile,
    observer,
    doorbell: (apicId) => doorbells.push(apicId),
    onViolation: (rule) => violations.push(rule),
  });
  const bed = {
    memory,
    fabric,
    unit,
    doorbells,
    violations,
    records,
    /** Everything of one kind that was reported, without the kind. */
    reported: (kind: EventKind): number[][] =>
      records.filter(([first]) => first === kind).map(([, ...rest]) => rest),
    read: (name: keyof typeof registers): bigint => unit.read(registers[name].offset, 64),
    write: (name: keyof typeof registers, value: bigint): void =>
      unit.write(registers[name].offset, 64, value),
    /** Programs the device's entry: remapping with a table of 2048 entries, unless told. */
    device: (values: DteValues = {}, device: number = place.device): void => {
      const plain = {
        v: 1,
        domainid: 0x2c,
        iv: 1,
        inttablen: 11,
        intctl: 2,
        inttableptr: place.interruptTable,
      };
      memory.writeWords(place.deviceTable + 32 * device, toWords(encode(dte, { ...plain, ...values }), 256));
    },
    /** Writes an entry of the device's interrupt table. */
    entry: (index: number, layout: Layout, value: bigint): void => {
      memory.writeWords(place.interruptTable + (index * layout.width) / 8, toWords(value, layout.width));
    },
    /** Lets the device send a message. */
    send: (data: number, addressBits = 0, device: number = place.device) =>
      unit.interrupt(messageAddress | addressBits, data, device),
    /** The events in the log, oldest first. */
    events: (): bigint[] => {
      const tail = Number(unit.read(registers.EVT_LOG_TAIL.offset, 64));
      return Array.from({ length: tail / 16 }, (_, i) => wide(memory, place.events + 16 * i, 4));
    },
    /** Puts commands at the tail of the buffer and moves it. */
    command: (...commands: bigint[]): void => {
      let tail = Number(unit.read(registers.CMD_BUF_TAIL.offset, 64));
      for (const command of commands) {
        memory.writeWords(place.commands + tail, toWords(command, 128));
        tail = (tail + 16) % 4096;
      }
      unit.write(registers.CMD_BUF_TAIL.offset, 64, BigInt(tail));
    },
  };
  bed.device();
  if (setup !== null) {
    unit.setMessage({ addressLow: 0xfee0_3000 | 0, addressHigh: 0, data: 0x26 });
    unit.enable({
      deviceTable: place.deviceTable,
      commands: { base: place.commands },
      events: { base: place.events },
      guestLog: { base: place.guestLog },
      interrupts: true,
      ...setup,
    });
  }
  return bed;
}

/** The value of some words of memory. */
export function wide(memory: Memory, address: number, words: number): bigint {
  const copy = new Int32Array(words);
  memory.readWords(address, copy);
  return fromWords(copy, 0, 32 * words);
}
