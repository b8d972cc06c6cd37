import { decode, fromWords } from "../../spec/codec.ts";
import type { RuleId } from "../../spec/rules.ts";
import { type FaultReason, faultNameOf, faultReasons } from "../../spec/vtd/faults.ts";
import { postedDescriptor } from "../../spec/vtd/irte.ts";
import {
  type RegisterName,
  extendedCapability,
  faultRecord,
  interruptFaultInfo,
  registers,
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
import type { Access, Request, Sweep, VtdActor } from "./vtd-actor.ts";
import { type VtdSetup, recordName } from "./vtd-setup.ts";
import { type RecordPlace, VtdSoftware, recordPlace } from "./vtd-software.ts";

const defaultRequester = 0x18;
const dword = 4;

/** A VT-d unit with memory, a fabric that keeps what it is given, and a CPU that writes tables. */
export class VtdBench implements VtdActor {
  readonly #memory = new Memory();
  readonly #fabric = new RecordingFabric();
  readonly #violations: RuleId[] = [];
  #cpuCache: CpuCache | undefined;
  readonly #unit: VtdUnit;
  readonly #root: RootComplex;
  readonly #requester: number;
  readonly #records: RecordPlace;
  readonly #software: VtdSoftware;

  constructor(setup: VtdSetup, profile: VtdProfile, observer: Observer | undefined) {
    const cap = setup.cap?.(profile.capability) ?? profile.capability;
    const ecap = setup.ecap?.(profile.extendedCapability) ?? profile.extendedCapability;
    this.#records = recordPlace(cap);
    this.#requester = setup.requester ?? defaultRequester;
    this.#software = new VtdSoftware(
      {
        store: (address, words) => this.#store(address, words),
        write: (offset, width, value) => this.#unit.write(offset, width, value),
        read: (offset, width) => this.#unit.read(offset, width),
      },
      setup,
      this.#records,
    );
    this.#software.fillMemory(setup);
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
    this.#software.bringUp(setup);
    if (setup.enabled === 0) return;
    collect(this.#fabric);
    this.#violations.length = 0;
  }

  // What the CPU does.

  #store(address: number, words: Int32Array): void {
    if (this.#cpuCache === undefined) this.#memory.writeWords(address, words);
    else words.forEach((word, i) => this.#cpuCache!.write32(address + dword * i, word));
  }

  /** Lets software act. @returns what came of it. */
  #act(act: (software: VtdSoftware) => void): Happenings {
    act(this.#software);
    return collect(this.#fabric);
  }

  writeEntries(entries: readonly (readonly [number, bigint])[]): void {
    this.#software.writeEntries(entries);
  }

  writeDescriptors(descriptors: readonly (readonly [number, bigint])[]): void {
    this.#software.writeDescriptors(descriptors);
  }

  writeMemory(words: readonly (readonly [number, number])[]): void {
    this.#software.writeMemory(words);
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

  write(one: RegisterWrite<RegisterName>): Happenings {
    return this.#act((software) => software.write(one));
  }

  /** Clears F of a fault recording register, as software does once it has read it. */
  clearRecord(record: number): Happenings {
    return this.#act((software) => software.clearRecord(record));
  }

  /** Writes GCMD with some bits changed and the others as GSTS shows them. */
  command(change: Readonly<Record<string, 0 | 1>>): Happenings {
    return this.#act((software) => software.command(change));
  }

  /** Puts descriptors at the tail of the queue and moves it. */
  submit(descriptors: readonly bigint[]): Happenings {
    return this.#act((software) => software.submit(descriptors));
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
