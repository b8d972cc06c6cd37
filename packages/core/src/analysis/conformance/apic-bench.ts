import {
  type ApicRegister,
  type ApicRegisterName,
  type LvtName,
  apicRegisters,
} from "../../spec/apic/local-apic.ts";
import type { Observer } from "../../hardware/event.ts";
import { ApicFabric, type FabricOptions } from "../../hardware/lapic/fabric.ts";
import { GeneralProtection } from "../../hardware/lapic/general-protection.ts";
import { LocalApic } from "../../hardware/lapic/local-apic.ts";
import { event, strideShift, word } from "../../hardware/lapic/state.ts";
import { type DeliveryName, deliveryNames, vectorsIn } from "./message.ts";
import { ShapeError, type JsonObject, hexOf } from "../../spec/shape.ts";
import type { Happenings } from "./subject.ts";

export interface ApicSetup {
  readonly id: number;
  readonly mode?: "xapic" | "x2apic" | "disabled";
  /** SVR.8; 1 unless told. */
  readonly enabled?: 0 | 1;
  /** Written in order, as software would. */
  readonly registers?: readonly (readonly [ApicRegisterName, bigint])[];
}

export interface MachineSetup {
  readonly apics: readonly ApicSetup[];
  readonly extendedDestination?: 0 | 1;
  readonly broadcastQuirk?: 0 | 1;
}

export interface Interrupt {
  readonly destination: number;
  readonly vector: number;
  readonly mode?: "physical" | "logical";
  readonly hint?: 0 | 1;
  readonly delivery?: DeliveryName;
  readonly trigger?: "edge" | "level";
}

const apicBase = { msr: 0x1b, on: 0x800n, x2apic: 0xc00n } as const;
const requestWords = 8;

/** Some local APICs on one fabric. */
export class ApicBench {
  readonly #fabric: ApicFabric;
  readonly #apics = new Map<number, LocalApic>();
  readonly #broadcasts: number[] = [];

  constructor(setup: MachineSetup, profile: FabricOptions, observer: Observer | undefined) {
    this.#fabric = new ApicFabric(
      setup.apics.map(({ id }) => id),
      {
        ...profile,
        ...(setup.extendedDestination === undefined
          ? {}
          : { extendedDestination: setup.extendedDestination === 1 }),
        ...(setup.broadcastQuirk === undefined ? {} : { narrowBroadcast: setup.broadcastQuirk === 1 }),
        ...(observer === undefined ? {} : { observer }),
      },
    );
    setup.apics.forEach((one, slot) => {
      const apic = new LocalApic(this.#fabric, slot, {
        onEoiBroadcast: (vector) => this.#broadcasts.push(vector),
      });
      this.#apics.set(one.id, apic);
      this.#prepare(apic, one);
    });
  }

  #prepare(apic: LocalApic, { mode = "xapic", enabled = 1, registers = [] }: ApicSetup): void {
    const base = apic.readMsr(apicBase.msr);
    if (mode === "x2apic") apic.writeMsr(apicBase.msr, base | apicBase.x2apic);
    if (enabled === 1) this.#store(apic, "svr", 0x1ffn);
    for (const [name, value] of registers) this.#store(apic, name, value);
    if (mode === "disabled") apic.writeMsr(apicBase.msr, base & ~apicBase.on);
  }

  #store(apic: LocalApic, name: ApicRegisterName, value: bigint): void {
    const { offset, msr }: ApicRegister = apicRegisters[name];
    if (apic.x2apic) apic.writeMsr(msr!, value);
    else apic.write(offset!, Number(BigInt.asIntN(32, value)));
  }

  #apic(id: number): LocalApic {
    const apic = this.#apics.get(id);
    if (apic === undefined) throw new ShapeError(`APIC ${hexOf(id)}`, "none of the setup's");
    return apic;
  }

  /** Does something, and tells which APICs have more in IRR, or more pending beside it, than before. */
  #during(act: () => Happenings | void): Happenings {
    const before = this.#fabric.state.slice();
    let result: Happenings;
    try {
      result = act() ?? {};
    } catch (error) {
      if (!(error instanceof GeneralProtection)) throw error;
      result = { gp: true };
    }
    const accepted = [...this.#apics]
      .filter(([, { slot }]) => this.#hasMore(before, slot))
      .map(([id]) => hexOf(id));
    const broadcasts = this.#broadcasts.splice(0).map(hexOf);
    return {
      ...result,
      ...(accepted.length === 0 ? {} : { accepted }),
      ...(broadcasts.length === 0 ? {} : { broadcasts }),
    };
  }

  #hasMore(before: Int32Array, slot: number): boolean {
    const base = slot << strideShift;
    const grown = (at: number): boolean => (this.#fabric.state[base + at]! & ~before[base + at]!) !== 0;
    return grown(word.events) || Array.from({ length: requestWords }, (_, i) => word.irr + i).some(grown);
  }

  message(address: bigint, data: number): Happenings {
    return this.#during(() => {
      this.#fabric.message(
        Number(BigInt.asIntN(32, address)),
        Number(BigInt.asIntN(32, address >> 32n)),
        data | 0,
      );
    });
  }

  interrupt(one: Interrupt): Happenings {
    const { destination, vector, mode = "physical", hint = 0, delivery = "fixed", trigger = "edge" } = one;
    return this.#during(() => {
      const [logical, level] = [Number(mode === "logical"), Number(trigger === "level")];
      this.#fabric.deliver(destination | 0, logical, hint, deliveryNames[delivery], vector, level);
    });
  }

  write(id: number, register: ApicRegisterName, value: bigint): Happenings {
    return this.#during(() => this.#store(this.#apic(id), register, value));
  }

  read(id: number, register: ApicRegisterName): Happenings {
    return this.#during(() => ({ value: this.#value(this.#apic(id), register) }));
  }

  /** An access to the xAPIC page at any offset. */
  readPage(id: number, offset: number): Happenings {
    return this.#during(() => ({ value: hexOf(this.#apic(id).read(offset) >>> 0) }));
  }

  writePage(id: number, offset: number, value: number): Happenings {
    return this.#during(() => this.#apic(id).write(offset, value | 0));
  }

  readMsr(id: number, msr: number): Happenings {
    return this.#during(() => ({ value: hexOf(this.#apic(id).readMsr(msr)) }));
  }

  writeMsr(id: number, msr: number, value: bigint): Happenings {
    return this.#during(() => this.#apic(id).writeMsr(msr, value));
  }

  /** Writes the interrupt command: in xAPIC mode its high half, then its low one. */
  command(id: number, value: bigint): Happenings {
    return this.#during(() => {
      const apic = this.#apic(id);
      if (!apic.x2apic) this.#store(apic, "icrHigh", value >> 32n);
      this.#store(apic, "icr", apic.x2apic ? value : value & 0xffff_ffffn);
    });
  }

  acknowledge(id: number): Happenings {
    return this.#during(() => {
      const vector = this.#apic(id).acknowledge();
      return vector < 0 ? {} : { vector: hexOf(vector) };
    });
  }

  eoi(id: number): Happenings {
    return this.write(id, "eoi", 0n);
  }

  /** The processor takes what is pending beside IRR. */
  take(id: number, kind: "nmi" | "smi" | "init" | "extint" | "startup"): Happenings {
    return this.#during(() => {
      const apic = this.#apic(id);
      if (kind === "nmi") return { taken: apic.acceptNmi() };
      if (kind === "smi") return { taken: apic.acceptSmi() };
      if (kind === "init") return { taken: apic.acceptInit() };
      if (kind === "extint") return { taken: apic.acceptExtInt() };
      const vector = apic.acceptStartup();
      return vector < 0 ? { taken: false } : { taken: true, vector: hexOf(vector) };
    });
  }

  local(id: number, entry: LvtName): Happenings {
    return this.#during(() => void this.#apic(id).local(entry));
  }

  tick(id: number, ticks: number): Happenings {
    return this.#during(() => void this.#apic(id).advance(ticks));
  }

  tsc(id: number, value: bigint): Happenings {
    return this.#during(() => void this.#apic(id).reachTsc(value));
  }

  #value(apic: LocalApic, name: ApicRegisterName): string {
    const { offset, msr }: ApicRegister = apicRegisters[name];
    return hexOf(apic.x2apic ? apic.readMsr(msr!) : apic.read(offset!) >>> 0);
  }

  /** What can be seen of one APIC, with some of its registers. */
  look(id: number, registers: readonly ApicRegisterName[]): JsonObject {
    const apic = this.#apic(id);
    const base = apic.slot << strideShift;
    const state = this.#fabric.state;
    const group = (at: number): string[] => vectorsIn(state.subarray(base + at, base + at + requestWords));
    const pending = state[base + word.events]!;
    return {
      irr: group(word.irr),
      isr: group(word.isr),
      tmr: group(word.tmr),
      ppr: hexOf(apic.priority()),
      events: Object.entries(event)
        .filter(([, bit]) => (pending & bit) !== 0)
        .map(([name]) => name.toLowerCase()),
      registers: Object.fromEntries(registers.map((name) => [name, this.#value(apic, name)])),
    };
  }
}
