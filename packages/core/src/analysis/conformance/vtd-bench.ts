import { DST_WORD } from "../../spec/accessors/irte-remapped.ts";
import { decode, encode, fromWords, toWords } from "../../spec/codec.ts";
import type { RuleId } from "../../spec/rules.ts";
import { type FaultReason, faultNameOf, faultReasons } from "../../spec/vtd/faults.ts";
import { irteBytes, irteRemapped, postedDescriptor } from "../../spec/vtd/irte.ts";
import {
  type RegisterName,
  capability,
  extendedCapability,
  faultRecord,
  globalCommand,
  globalStatus,
  interruptFaultInfo,
  queueAddress,
  queueTail,
  registers,
  tableAddress,
} from "../../spec/vtd/registers.ts";
import { CpuCache } from "../../hardware/cpu-cache.ts";
import { Outcome, unknownRequester } from "../../hardware/delivery.ts";
import type { Observer } from "../../hardware/event.ts";
import { Memory } from "../../hardware/memory.ts";
import { RootComplex } from "../../hardware/pci/root-complex.ts";
import { RecordingFabric } from "../../hardware/recording-fabric.ts";
import type { VtdProfile } from "../../hardware/vtd/profile.ts";
import { VtdUnit } from "../../hardware/vtd/unit.ts";
import { collect, outcomeOf } from "./message.ts";
import { type JsonObject, hexOf } from "../../spec/shape.ts";
import type { Happenings } from "./subject.ts";
import type { RegisterWrite } from "./register-shapes.ts";
import { type VtdSetup, recordName } from "./vtd-setup.ts";

/** Where tables and queue lie unless the setup says so. */
const defaults = {
  table: { base: 0x10_0000, s: 7 },
  queue: { base: 0x30_0000, qs: 0, dw: 0 },
  requester: 0x18,
};
const filledVector = 0x41;
const dword = 4;

export interface Request {
  readonly address: number;
  readonly data?: number;
  /** Null: not known. */
  readonly requester?: number | null;
}

export interface Access {
  readonly kind: "read" | "write";
  readonly address: number;
  readonly length: number;
  readonly data?: number;
  readonly pasid?: number;
  readonly requester?: number;
}

export interface Sweep {
  readonly shv: 0 | 1;
  readonly subhandle: number;
}

/** A VT-d unit with memory, a fabric that keeps what it is given, and a CPU that writes tables. */
export class VtdBench {
  readonly #memory = new Memory();
  readonly #fabric = new RecordingFabric();
  readonly #violations: RuleId[] = [];
  #cpuCache: CpuCache | undefined;
  readonly #unit: VtdUnit;
  readonly #root: RootComplex;
  readonly #requester: number;
  readonly #tableBase: number;
  readonly #records: { readonly offset: number; readonly count: number };

  constructor(setup: VtdSetup, profile: VtdProfile, observer: Observer | undefined) {
    const cap = setup.cap?.(profile.capability) ?? profile.capability;
    const ecap = setup.ecap?.(profile.extendedCapability) ?? profile.extendedCapability;
    const { fro, nfr } = decode(capability, cap);
    this.#records = { offset: 16 * Number(fro), count: Number(nfr) + 1 };
    this.#requester = setup.requester ?? defaults.requester;
    this.#tableBase = (setup.table ?? defaults.table).base;
    this.#fillMemory(setup);
    // Only now: what the setup says lies in memory, not in a cache. An emulator reads memory as its CPUs see it.
    const emulated = profile.deviations.length > 0;
    if (decode(extendedCapability, ecap).c === 0 && !emulated) this.#cpuCache = new CpuCache(this.#memory);
    this.#unit = new VtdUnit({
      memory: this.#memory,
      fabric: this.#fabric,
      profile: {
        ...profile,
        capability: cap,
        extendedCapability: ecap,
        hostAddressWidth: setup.hostAddressWidth ?? profile.hostAddressWidth,
        compressesFaults:
          setup.compression === undefined ? profile.compressesFaults : setup.compression === 1,
      },
      onViolation: (rule) => this.#violations.push(rule),
      ...(this.#cpuCache === undefined ? {} : { cpuCache: this.#cpuCache }),
      ...(observer === undefined ? {} : { observer }),
    });
    this.#root = new RootComplex({ memory: this.#memory, fabric: this.#fabric, unit: this.#unit });
    this.#bringUp(setup);
  }

  #fillMemory(setup: VtdSetup): void {
    const words = toWords(encode(irteRemapped, { p: 1, v: filledVector }), irteRemapped.width);
    for (let i = 0; i < (setup.fill?.entries ?? 0); i++) {
      words[DST_WORD] = i;
      this.#memory.writeWords(this.#tableBase + irteBytes * i, words);
    }
    this.writeEntries(setup.irtes ?? []);
    this.writeDescriptors(setup.pids ?? []);
    this.writeMemory(setup.memory ?? []);
  }

  #bringUp(setup: VtdSetup): void {
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
    collect(this.#fabric);
    this.#violations.length = 0;
  }

  // What the CPU does.

  #store(address: number, value: bigint, width: number): void {
    toWords(value, width).forEach((word, i) => {
      if (this.#cpuCache === undefined) this.#memory.write32(address + dword * i, word);
      else this.#cpuCache.write32(address + dword * i, word);
    });
  }

  writeEntries(entries: readonly (readonly [number, bigint])[]): void {
    for (const [index, entry] of entries) {
      this.#store(this.#tableBase + irteBytes * index, entry, irteRemapped.width);
    }
  }

  writeDescriptors(descriptors: readonly (readonly [number, bigint])[]): void {
    for (const [address, value] of descriptors) this.#store(address, value, postedDescriptor.width);
  }

  writeMemory(words: readonly (readonly [number, number])[]): void {
    for (const [address, value] of words) this.#store(address, BigInt(value), 32);
  }

  flush(address: number, length: number): void {
    this.#cpuCache?.flush(address, length);
  }

  injectError(address: number, length: number): void {
    this.#memory.injectError(address, length);
  }

  heal(): void {
    this.#memory.heal();
  }

  write({ register, value }: RegisterWrite<RegisterName>): Happenings {
    const { offset, width } = registers[register];
    this.#unit.write(offset, width, value);
    return collect(this.#fabric);
  }

  /** Clears F of a fault recording register, as software does once it has read it. */
  clearRecord(record: number): Happenings {
    const at = this.#records.offset + 16 * record + 8;
    this.#unit.write(at, 64, encode(faultRecord, { f: 1 }) >> 64n);
    return collect(this.#fabric);
  }

  /** Writes GCMD with some bits changed and the others as GSTS shows them. */
  command(change: Readonly<Record<string, 0 | 1>>): Happenings {
    const { cfis, ires, qies, tes } = decode(globalStatus, this.read("GSTS"));
    const value = encode(globalCommand, { cfi: cfis, ire: ires, qie: qies, te: tes, ...change });
    return this.write({ register: "GCMD", value });
  }

  /** Puts descriptors at the tail of the queue and moves it. */
  submit(descriptors: readonly bigint[]): Happenings {
    const { iqa, qs, dw } = decode(queueAddress, this.read("IQA"));
    const width = dw === 1 ? 256 : 128;
    let tail = Number(decode(queueTail, this.read("IQT")).qt);
    for (const one of descriptors) {
      this.#memory.writeWords(Number(iqa) + tail, toWords(one, width));
      tail = (tail + width / 8) % (4096 * 2 ** Number(qs));
    }
    return this.write({ register: "IQT", value: encode(queueTail, { qt: tail }) });
  }

  // What devices do.

  request({ address, data = 0, requester = this.#requester }: Request): Happenings {
    const before = this.#recorded();
    const outcome = this.#unit.interrupt(address | 0, data | 0, requester ?? unknownRequester);
    const passed = outcome === Outcome.passed ? { address: BigInt(address), data } : undefined;
    return {
      outcome: outcomeOf(outcome),
      ...(outcome === Outcome.blocked ? { fault: this.#fault(before, requester) } : {}),
      ...collect(this.#fabric, passed),
    };
  }

  /** Any access of a device, through the root complex. */
  access({ kind, address, length, data = 0, pasid, requester = this.#requester }: Access): Happenings {
    const before = this.#recorded();
    const options = pasid === undefined ? {} : { pasid };
    if (kind === "read") {
      const answer = this.#root.read(requester, address, length, options);
      if (typeof answer !== "string") return { outcome: "read" };
      return { outcome: "refused", ...this.#refusal(answer, before, requester) };
    }
    const payload = Uint8Array.from({ length }, (_, i) => (i < dword ? data >>> (8 * i) : 0));
    const routed = this.#root.write(requester, address, payload, options);
    if (routed.to === "memory") return { outcome: "written" };
    if (routed.to === "nowhere")
      return { outcome: "refused", ...this.#refusal(routed.rule, before, requester) };
    return { outcome: outcomeOf(routed.outcome), ...collect(this.#fabric) };
  }

  #refusal(rule: string, before: readonly boolean[], requester: number): Happenings {
    return rule === "pci.dma.interrupt-range" ? { fault: this.#fault(before, requester) } : {};
  }

  /** Requests with every handle; how many were remapped to the entry of `handle + offset`, how many were blocked. */
  sweep({ shv, subhandle }: Sweep): Happenings {
    const offset = shv === 1 ? subhandle : 0;
    const reasons = new Set<number>();
    let [remapped, blocked] = [0, 0];
    for (let handle = 0; handle < 65536; handle++) {
      const address = 0xfee0_0010 | ((handle & 0x7fff) << 5) | ((handle >> 15) << 2) | (shv << 3);
      const outcome = this.#unit.interrupt(address, subhandle, this.#requester);
      if (outcome === Outcome.blocked) {
        blocked++;
        reasons.add(this.#unit.fault!.reason);
      }
      const one = this.#fabric.deliveries.pop();
      if (one !== undefined && one.destination === ((handle + offset) & 0xffff)) remapped++;
    }
    return { remapped, blocked, reasons: [...reasons].sort((a, b) => a - b).map(hexOf) };
  }

  // What can be seen.

  read(register: RegisterName): bigint {
    const { offset, width } = registers[register];
    return this.#unit.read(offset, width);
  }

  /** A register by its name, the fault recording registers among them. */
  readNamed(name: string): bigint {
    const number = recordName.exec(name)?.groups?.["number"];
    return number === undefined ? this.read(name as RegisterName) : this.readRecord(Number(number));
  }

  /** A fault recording register, 128 bits. */
  readRecord(record: number): bigint {
    const at = this.#records.offset + 16 * record;
    return (this.#unit.read(at + 8, 64) << 64n) | this.#unit.read(at, 64);
  }

  /** Rules that software has broken since this was last asked, as a checker of drivers would report them. */
  takeViolations(): RuleId[] {
    return this.#violations.splice(0);
  }

  readMemory(address: number): number {
    return (this.#cpuCache?.read32(address) ?? this.#memory.read32(address)) >>> 0;
  }

  readDescriptor(address: number): bigint {
    const words = Int32Array.from({ length: postedDescriptor.width / 32 }, (_, i) =>
      this.readMemory(address + dword * i),
    );
    return fromWords(words, 0, postedDescriptor.width);
  }

  #recorded(): boolean[] {
    return Array.from(
      { length: this.#records.count },
      (_, i) => decode(faultRecord, this.readRecord(i)).f === 1,
    );
  }

  /** The fault of the last request: from its record if there is a new one, else as the unit tells it. */
  #fault(before: readonly boolean[], requester: number | null): JsonObject {
    const fresh = before.findIndex((was, i) => !was && decode(faultRecord, this.readRecord(i)).f === 1);
    if (fresh < 0) {
      const fault = this.#unit.fault!;
      return {
        reason: hexOf(fault.reason),
        index: "index" in fault ? hexOf(fault.index) : null,
        recorded: false,
      };
    }
    const value = this.readRecord(fresh);
    const { fr, sid } = decode(faultRecord, value);
    const { index } = decode(interruptFaultInfo, value);
    const { indexed }: FaultReason = faultReasons[faultNameOf(Number(fr))!];
    return {
      reason: hexOf(fr),
      index: indexed ? hexOf(index) : null,
      recorded: true,
      ...(sid === ((requester ?? unknownRequester) & 0xffff) ? {} : { source: hexOf(sid) }),
    };
  }
}
