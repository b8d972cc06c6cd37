import * as apicBase from "../../spec/accessors/apic-base.ts";
import * as dfr from "../../spec/accessors/apic-dfr.ts";
import * as errorStatus from "../../spec/accessors/apic-esr.ts";
import * as icr from "../../spec/accessors/apic-icr.ts";
import * as lvtPin from "../../spec/accessors/apic-lvt-pin.ts";
import * as svr from "../../spec/accessors/apic-svr.ts";
import * as xapicId from "../../spec/accessors/xapic-id.ts";
import { type LvtName, apicBaseMsr, apicVersion, tscDeadlineMsr } from "../../spec/apic/local-apic.ts";
import * as layouts from "../../spec/apic/local-apic.ts";
import { encode } from "../../spec/codec.ts";
import { reservedMask } from "../../spec/layout.ts";
import { DeliveryMode } from "../delivery.ts";
import type { ApicFabric } from "./fabric.ts";
import { GeneralProtection } from "./general-protection.ts";
import { type Place, registerAt, registerOfMsr } from "./registers.ts";
import { arbitrationPriority, clearVector, derivedLogicalId, dispensable, enabled, event } from "./state.ts";
import { hasVector, highest, inX2apicMode, processorPriority, resetRegisters, setVector } from "./state.ts";
import { softwareEnabled, strideShift, word } from "./state.ts";
import {
  advanceTimer,
  reachDeadline,
  readDeadline,
  readWide,
  writeDeadline,
  writeInitialCount,
} from "./timer.ts";
import { writeTimerEntry, writeWide } from "./timer.ts";

export interface LocalApicOptions {
  /** Version of the VER register; 14h unless told. */
  readonly version?: number;
  /** SVR.12 can suppress the broadcast of EOIs; true unless told. */
  readonly eoiSuppression?: boolean;
  /** Bits of a physical address, which bound IA32_APIC_BASE; 52 unless told. */
  readonly physicalAddressBits?: number;
  /** Takes the EOI of a level-triggered interrupt to the I/O APICs. */
  readonly onEoiBroadcast?: (vector: number) => void;
}

const lvtNames: readonly LvtName[] = ["cmci", "timer", "thermal", "performance", "lint0", "lint1", "error"];
const pins: readonly LvtName[] = ["lint0", "lint1"];
const shorthand = { none: 0, self: 1, all: 2, others: 3 } as const;
const levelDeassert = icr.TM_MASK;

/** One local APIC of a fabric, as its processor sees it. */
export class LocalApic {
  readonly slot: number;
  readonly #fabric: ApicFabric;
  readonly #state: Int32Array;
  readonly #base: number;
  readonly #version: number;
  readonly #physicalAddressBits: bigint;
  readonly #onEoiBroadcast: (vector: number) => void;

  /** @throws RangeError when the fabric has no such slot. */
  constructor(fabric: ApicFabric, slot: number, options: LocalApicOptions = {}) {
    if (!Number.isInteger(slot) || slot < 0 || slot >= fabric.apics) {
      throw new RangeError(`local APIC: slot ${slot} is not one of the fabric's ${fabric.apics}`);
    }
    this.slot = slot;
    this.#fabric = fabric;
    this.#state = fabric.state;
    this.#base = slot << strideShift;
    this.#physicalAddressBits = BigInt(options.physicalAddressBits ?? 52);
    this.#onEoiBroadcast = options.onEoiBroadcast ?? (() => {});
    this.#version = Number(
      encode(apicVersion, {
        version: options.version ?? 0x14,
        maxlvt: lvtNames.length - 1,
        eoisuppress: (options.eoiSuppression ?? true) ? 1 : 0,
      }),
    );
  }

  get id(): number {
    return this.#get(word.id) >>> 0;
  }

  /** IA32_APIC_BASE has it in x2APIC mode. */
  get x2apic(): boolean {
    return inX2apicMode(this.#state, this.#base);
  }

  #get(at: number): number {
    return this.#state[this.#base + at]!;
  }

  #set(at: number, value: number): void {
    this.#state[this.#base + at] = value;
  }

  // The xAPIC page.

  /**
   * Reads 32 bits at an offset of the register page, as int32. Outside xAPIC mode the page is not decoded and reads as
   * ones (apic.register.unmapped); a place without a register reads as zero and sets ESR bit 7.
   */
  read(offset: number): number {
    if (!this.#decodesPage()) return -1;
    const place = registerAt(offset);
    if (place !== undefined) return this.#readRegister(place);
    this.#illegalRegister();
    return 0;
  }

  /** Writes 32 bits; read-only registers and reserved bits keep what they hold. Otherwise as {@link read}. */
  write(offset: number, value: number): void {
    if (!this.#decodesPage()) return;
    const place = registerAt(offset);
    if (place === undefined) this.#illegalRegister();
    else if (place.register.access !== "ro") this.#writeRegister(place, value | 0);
  }

  #decodesPage(): boolean {
    // apic.register.unmapped
    return enabled(this.#state, this.#base) && !this.x2apic;
  }

  #illegalRegister(): void {
    // apic.register.illegal
    this.#fabric.raiseError(this.#base, errorStatus.ILLEGALREGISTER_MASK);
  }

  // The MSRs.

  /**
   * Reads IA32_APIC_BASE, IA32_TSC_DEADLINE or an x2APIC register.
   * @throws GeneralProtection where the processor would fault.
   */
  readMsr(msr: number): bigint {
    if (msr === apicBaseMsr) return readWide(this.#state, this.#base + word.base);
    if (msr === tscDeadlineMsr) return readDeadline(this.#state, this.#base);
    const place = this.#placeOfMsr(msr, "wo");
    if (place.name === "icr") return readWide(this.#state, this.#base + word.icr);
    return BigInt(this.#readRegister(place) >>> 0);
  }

  /**
   * Writes IA32_APIC_BASE, IA32_TSC_DEADLINE or an x2APIC register, 64 bits unsigned.
   * @throws GeneralProtection where the processor would fault; nothing has changed then.
   */
  writeMsr(msr: number, value: bigint): void {
    if (msr === apicBaseMsr) return this.#writeBase(value);
    if (msr === tscDeadlineMsr) return writeDeadline(this.#state, this.#base, value);
    const place = this.#placeOfMsr(msr, "ro");
    const zeroOnly = place.name === "eoi" || place.name === "esr";
    // apic.x2apic.reserved
    if (value & place.reserved || value >> BigInt(place.register.width) || (zeroOnly && value !== 0n)) {
      throw new GeneralProtection("apic.x2apic.reserved", msr);
    }
    if (place.name === "icr") this.#set(word.icrHigh, Number(BigInt.asIntN(32, value >> 32n)));
    return this.#writeRegister(place, Number(BigInt.asIntN(32, value)));
  }

  #placeOfMsr(msr: number, refused: "ro" | "wo"): Place {
    const place = this.x2apic ? registerOfMsr(msr) : undefined;
    // apic.x2apic.access
    if (place === undefined || (place.register.msrAccess ?? place.register.access) === refused) {
      throw new GeneralProtection("apic.x2apic.access", msr);
    }
    return place;
  }

  #writeBase(value: bigint): void {
    const state = this.#state;
    const at = this.#base + word.base;
    const low = Number(BigInt.asIntN(32, value));
    const on = (low & apicBase.EN_MASK) !== 0;
    const x2apic = (low & apicBase.EXTD_MASK) !== 0;
    if (value & reservedMask(layouts.apicBase) || value >> this.#physicalAddressBits) {
      throw new GeneralProtection("apic.base.reserved", apicBaseMsr);
    }
    if (x2apic && !on) throw new GeneralProtection("apic.base.invalid-state", apicBaseMsr);
    if ((this.x2apic && on && !x2apic) || (!enabled(state, this.#base) && x2apic)) {
      throw new GeneralProtection("apic.base.transition", apicBaseMsr);
    }
    writeWide(state, at, value);
    // apic.base.disable
    if (!on) resetRegisters(state, this.#base);
    this.#fabric.refresh(this.#base);
  }

  // Registers in either form.

  #readRegister({ name, index }: Place): number {
    switch (name) {
      case "id":
        return this.x2apic ? this.#get(word.id) : this.#get(word.id) << xapicId.ID_SHIFT;
      case "version":
        return this.#version;
      case "apr":
        return arbitrationPriority(this.#state, this.#base);
      case "ppr":
        return this.priority();
      case "ldr":
        // apic.ldr.derived
        return this.x2apic ? derivedLogicalId(this.#get(word.id)) : this.#get(word.ldr);
      case "eoi":
      case "rrd":
      case "selfIpi":
        return 0;
      default:
        return this.#get(word[name] + index);
    }
  }

  #writeRegister({ name, writable }: Place, value: number): void {
    switch (name) {
      case "eoi":
        this.eoi();
        break;
      case "svr":
        this.#writeSpurious(value & writable);
        break;
      case "esr":
        // apic.error.latch
        this.#set(word.esr, this.#get(word.errors));
        this.#set(word.errors, 0);
        break;
      case "icr":
        this.#set(word.icr, value & writable);
        this.#send();
        break;
      case "selfIpi":
        // apic.self-ipi
        this.#sendSelf(DeliveryMode.fixed, value & writable);
        break;
      case "initialCount":
        writeInitialCount(this.#state, this.#base, value);
        break;
      case "timer":
        writeTimerEntry(this.#state, this.#base, this.#entry(value & writable));
        break;
      case "cmci":
      case "thermal":
      case "performance":
      case "lint0":
      case "lint1":
      case "error":
        this.#set(word[name], this.#entry((value & writable) | (this.#get(word[name]) & ~writable)));
        break;
      case "dfr":
        this.#set(word.dfr, value | dfr.ONES_MASK);
        this.#fabric.refresh(this.#base);
        break;
      case "ldr":
        this.#set(word.ldr, value & writable);
        this.#fabric.refresh(this.#base);
        break;
      // What is left is plain: TPR, ICR high, divide configuration. Read-only registers do not get here.
      default:
        this.#set(word[name as "tpr" | "icrHigh" | "divide"], value & writable);
    }
  }

  #entry(value: number): number {
    // apic.lvt.disabled
    return softwareEnabled(this.#state, this.#base) ? value : value | lvtPin.MASK_MASK;
  }

  #writeSpurious(value: number): void {
    // apic.eoi.broadcast: bit 12 can be set only where VER bit 24 says so.
    const suppress =
      this.#version & Number(encode(apicVersion, { eoisuppress: 1 })) ? svr.EOISUPPRESS_MASK : 0;
    this.#set(word.svr, (value & ~svr.EOISUPPRESS_MASK) | (value & suppress));
    // apic.lvt.disabled
    for (const name of lvtNames) this.#set(word[name], this.#entry(this.#get(word[name])));
    this.#fabric.refresh(this.#base);
  }

  // Service.

  /** PPR. */
  priority(): number {
    return processorPriority(this.#get(word.tpr), highest(this.#state, this.#base + word.isr));
  }

  /** Whether a vector waits in IRR. */
  requests(vector: number): boolean {
    return hasVector(this.#state, this.#base + word.irr, vector);
  }

  /** The vector that the processor would be given now; -1 if there is none. */
  pending(): number {
    return dispensable(this.#state, this.#base);
  }

  /**
   * The processor acknowledges an interrupt: the highest vector moves from IRR to ISR and is returned. If PPR holds
   * back all that is pending, the spurious vector; if nothing is, -1.
   */
  acknowledge(): number {
    const state = this.#state;
    const base = this.#base;
    const vector = dispensable(state, base);
    // apic.acknowledge.spurious
    if (vector < 0) return highest(state, base + word.irr) < 0 ? -1 : svr.v(this.#get(word.svr));
    // apic.acknowledge
    clearVector(state, base + word.irr, vector);
    setVector(state, base + word.isr, vector);
    this.#fabric.acknowledged(base, vector);
    return vector;
  }

  /** A write to EOI. @returns the vector whose service has ended; -1 if none was in service. */
  eoi(): number {
    const state = this.#state;
    const base = this.#base;
    const vector = highest(state, base + word.isr);
    if (vector < 0) return -1;
    // apic.eoi
    clearVector(state, base + word.isr, vector);
    if (!hasVector(state, base + word.tmr, vector)) return vector;
    // apic.lvt.remote-irr
    for (const name of pins) {
      if (lvtPin.v(this.#get(word[name])) === vector) {
        this.#set(word[name], this.#get(word[name]) & ~lvtPin.REMOTEIRR_MASK);
      }
    }
    // apic.eoi.broadcast
    if (svr.eoisuppress(this.#get(word.svr)) === 0) this.#onEoiBroadcast(vector);
    return vector;
  }

  #take(kind: number): boolean {
    const events = this.#get(word.events);
    this.#set(word.events, events & ~kind);
    return (events & kind) !== 0;
  }

  /** The processor takes a pending NMI, if there is one. */
  acceptNmi(): boolean {
    return this.#take(event.nmi);
  }

  acceptSmi(): boolean {
    return this.#take(event.smi);
  }

  /** The processor takes an ExtINT: the vector is the 8259's to give. */
  acceptExtInt(): boolean {
    return this.#take(event.extInt);
  }

  /** The processor takes a pending INIT, which resets the APIC's registers (apic.init). */
  acceptInit(): boolean {
    if (!this.#take(event.init)) return false;
    resetRegisters(this.#state, this.#base);
    this.#fabric.refresh(this.#base);
    return true;
  }

  /** The vector of a pending start-up message, -1 if there is none; a processor that does not wait for one drops it. */
  acceptStartup(): number {
    return this.#take(event.startup) ? this.#get(word.startupVector) : -1;
  }

  // Local sources.

  /** The source behind an LVT entry fires. @returns whether its interrupt was accepted. */
  local(name: LvtName): boolean {
    const entry = this.#get(word[name]);
    // apic.lvt.masked
    if (lvtPin.mask(entry) === 1) return false;
    const mode = name === "timer" || name === "error" ? DeliveryMode.fixed : lvtPin.dlm(entry);
    // apic.lvt.delivery-mode
    if (mode === DeliveryMode.lowestPriority || mode === 3 || mode === DeliveryMode.startup) return false;
    const level = pins.includes(name) && mode === DeliveryMode.fixed ? lvtPin.tm(entry) : 0;
    // apic.lvt.remote-irr
    if (level === 1 && lvtPin.remoteirr(entry) === 1) return false;
    if (this.#fabric.accept(this.#base, mode, lvtPin.v(entry), level) === 0) return false;
    if (level === 1) this.#set(word[name], entry | lvtPin.REMOTEIRR_MASK);
    // apic.lvt.performance-mask
    if (name === "performance") this.#set(word[name], entry | lvtPin.MASK_MASK);
    return true;
  }

  /** The timer's input clock ticks. @returns how often the count reached zero; each time but the first merges. */
  advance(ticks: number): number {
    const expirations = advanceTimer(this.#state, this.#base, ticks);
    if (expirations > 0) this.local("timer");
    return expirations;
  }

  /** The time-stamp counter comes to a value. @returns whether an armed deadline was reached. */
  reachTsc(tsc: bigint): boolean {
    const reached = reachDeadline(this.#state, this.#base, tsc);
    if (reached) this.local("timer");
    return reached;
  }

  // Interprocessor interrupts.

  #send(): void {
    const state = this.#state;
    const at = this.#base + word.icr;
    const mode = icr.dlm(state, at);
    const vector = icr.v(state, at);
    // apic.icr.delivery-mode
    if (mode === 3 || mode === DeliveryMode.extInt) return;
    // apic.icr.trigger: an INIT level de-assert reaches nobody.
    if (mode === DeliveryMode.init && (state[at]! & (icr.TM_MASK | icr.LEVEL_MASK)) === levelDeassert) return;
    if (this.#refusesToSend(mode, vector)) return;
    // apic.icr.shorthand
    switch (icr.sh(state, at)) {
      case shorthand.none: {
        // apic.icr.destination
        const destination = this.x2apic ? icr.dst(state, at) : xapicId.id(icr.dst(state, at));
        this.#fabric.sendTo(destination, icr.dm(state, at), mode, vector);
        break;
      }
      case shorthand.self:
        this.#sendSelf(mode, vector);
        break;
      case shorthand.all:
        this.#fabric.sendToAll(-1, mode, vector);
        break;
      default:
        this.#fabric.sendToAll(this.#base, mode, vector);
    }
  }

  #sendSelf(mode: number, vector: number): void {
    if (!this.#refusesToSend(mode, vector)) this.#fabric.accept(this.#base, mode, vector, 0);
  }

  #refusesToSend(mode: number, vector: number): boolean {
    // apic.vector.illegal-sent, kvm.apic.illegal-vector-accepted, qemu.apic.illegal-vector-accepted
    if (mode > DeliveryMode.lowestPriority || vector >= 16 || this.#fabric.acceptsIllegalVectors)
      return false;
    this.#fabric.raiseError(this.#base, errorStatus.SENDILLEGAL_MASK);
    return true;
  }
}
