import { DST_WORD } from "../../spec/accessors/irte-remapped.ts";
import { decode, encode, toWords } from "../../spec/codec.ts";
import { irteBytes, irteRemapped, postedDescriptor } from "../../spec/vtd/irte.ts";
import {
  type RegisterName,
  capability,
  faultRecord,
  globalCommand,
  queueAddress,
  queueTail,
  registers,
  tableAddress,
} from "../../spec/vtd/registers.ts";
import { maskOf } from "../../spec/layout.ts";
import type { RegisterWrite } from "./register-shapes.ts";
import type { Port } from "./stage.ts";
import type { VtdSetup } from "./vtd-setup.ts";

/** Where tables and queue lie unless the setup says so. */
const defaults = {
  table: { base: 0x10_0000, s: 7 },
  queue: { base: 0x30_0000, qs: 0, dw: 0 },
} as const;

const filledVector = 0x41;

/** Bits of GCMD, which stand in the same places in GSTS; those that stay on are written back with every command. */
const commandBits = Object.fromEntries(
  Object.entries(globalCommand.fields).map(([name, { parts }]) => [name, maskOf(parts[0]!)]),
);
const lasting = commandBits["cfi"]! | commandBits["ire"]! | commandBits["qie"]! | commandBits["te"]!;
const clearedRecord = encode(faultRecord, { f: 1 }) >> 64n;

export interface RecordPlace {
  /** MMIO offset of the first fault recording register. */
  readonly offset: number;
  readonly count: number;
}

const places = new Map<bigint, RecordPlace>();

/** Where CAP puts the fault recording registers. */
export function recordPlace(cap: bigint): RecordPlace {
  let place = places.get(cap);
  if (place === undefined) {
    const { fro, nfr } = decode(capability, cap);
    places.set(cap, (place = { offset: 16 * Number(fro), count: Number(nfr) + 1 }));
  }
  return place;
}

/** What a case's setup and steps do as a VT-d unit's software: tables into memory, registers written. */
export class VtdSoftware {
  readonly #port: Port;
  readonly #tableBase: number;
  readonly #records: RecordPlace;

  constructor(port: Port, setup: VtdSetup, records: RecordPlace) {
    this.#port = port;
    this.#tableBase = (setup.table ?? defaults.table).base;
    this.#records = records;
  }

  fillMemory(setup: VtdSetup): void {
    this.#fill(setup.fill?.entries ?? 0);
    this.writeEntries(setup.irtes ?? []);
    this.writeDescriptors(setup.pids ?? []);
    this.writeMemory(setup.memory ?? []);
  }

  #fill(count: number): void {
    if (count === 0) return;
    const entry = toWords(encode(irteRemapped, { p: 1, v: filledVector }), irteRemapped.width);
    const words = new Int32Array(count * entry.length);
    for (let i = 0; i < count; i++) {
      words.set(entry, i * entry.length);
      words[i * entry.length + DST_WORD] = i;
    }
    this.#port.store(this.#tableBase, words);
  }

  bringUp(setup: VtdSetup): void {
    const { base, s, eime = 0, cfi = 0 } = { ...defaults.table, ...setup.table };
    const { base: queue, qs, dw } = { ...defaults.queue, ...setup.queue };
    for (const one of setup.registers ?? []) this.write(one);
    this.write({ register: "IQA", value: encode(queueAddress, { iqa: queue, qs, dw }) });
    if (setup.enabled === 0) return;
    this.command({ qie: 1 });
    this.write({ register: "IRTA", value: encode(tableAddress, { irta: base, s, eime }) });
    this.command({ sirtp: 1 });
    this.command({ ire: 1 });
    if (cfi === 1) this.command({ cfi: 1 });
  }

  writeEntries(entries: readonly (readonly [number, bigint])[]): void {
    for (const [index, entry] of entries) {
      this.#port.store(this.#tableBase + irteBytes * index, toWords(entry, irteRemapped.width));
    }
  }

  writeDescriptors(descriptors: readonly (readonly [number, bigint])[]): void {
    for (const [address, value] of descriptors)
      this.#port.store(address, toWords(value, postedDescriptor.width));
  }

  writeMemory(words: readonly (readonly [number, number])[]): void {
    for (const [address, value] of words) this.#port.store(address, Int32Array.of(value));
  }

  write({ register, value }: RegisterWrite<RegisterName>): void {
    const { offset, width } = registers[register];
    this.#port.write(offset, width, value);
  }

  /** Clears F of a fault recording register, as software does once it has read it. */
  clearRecord(record: number): void {
    this.#port.write(this.#records.offset + 16 * record + 8, 64, clearedRecord);
  }

  /** Writes GCMD with some bits changed and the others as GSTS shows them. */
  command(change: Readonly<Record<string, 0 | 1>>): void {
    let value = this.#port.read(registers.GSTS.offset, 32) & lasting;
    for (const [name, on] of Object.entries(change)) {
      const mask = commandBits[name]!;
      value = on === 1 ? value | mask : value & ~mask;
    }
    this.write({ register: "GCMD", value });
  }

  /** Puts descriptors at the tail of the queue and moves it. */
  submit(descriptors: readonly bigint[]): void {
    const { iqa, qs, dw } = decode(queueAddress, this.#port.read(registers.IQA.offset, 64));
    const width = dw === 1 ? 256 : 128;
    let tail = Number(decode(queueTail, this.#port.read(registers.IQT.offset, 64)).qt);
    for (const one of descriptors) {
      this.#port.store(Number(iqa) + tail, toWords(one, width));
      tail = (tail + width / 8) % (4096 * 2 ** Number(qs));
    }
    this.write({ register: "IQT", value: encode(queueTail, { qt: tail }) });
  }
}
