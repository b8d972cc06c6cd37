import * as apicBase from "../../spec/accessors/apic-base.ts";
import * as errorStatus from "../../spec/accessors/apic-esr.ts";
import * as extendedAddress from "../../spec/accessors/msi-address-extended.ts";
import * as lvt from "../../spec/accessors/apic-lvt-timer.ts";
import * as msiAddress from "../../spec/accessors/msi-address.ts";
import * as msiData from "../../spec/accessors/msi-data.ts";
import * as svr from "../../spec/accessors/apic-svr.ts";
import * as x2apicLdr from "../../spec/accessors/x2apic-ldr.ts";
import { apicDefaultBase } from "../../spec/apic/local-apic.ts";
import { DeliveryMode, type InterruptFabric } from "../delivery.ts";
import { type Observer, eventKinds } from "../event.ts";
import { Addressing, checkIds, nearIds } from "./addressing.ts";
import { x2apicBroadcast, xapicBroadcast } from "./matching.ts";
import { arbitrationPriority, clearVector, enabled, event, resetRegisters } from "./state.ts";
import { setVector, softwareEnabled, strideShift, word } from "./state.ts";

/** How one of several addressed processors is chosen (apic.destination.lowest-priority). */
export type LowestPriorityPolicy =
  /** The lowest arbitration priority, ties to the lowest id. */
  | "lowest-priority"
  /** kvm.apic.vector-hash: the addressed processor numbered vector modulo their count. */
  | "vector-hash"
  /** qemu.apic.first-match. */
  | "first";

export interface FabricOptions {
  /** The mode in which the APICs start; xAPIC unless told. */
  readonly mode?: "xapic" | "x2apic";
  /** Starts the APICs software-enabled (SVR.8), which they are not after reset. */
  readonly softwareEnabled?: boolean;
  readonly lowestPriority?: LowestPriorityPolicy;
  /** kvm.apic.illegal-vector-accepted, qemu.apic.illegal-vector-accepted. */
  readonly acceptIllegalVectors?: boolean;
  /** qemu.apic.redirection-hint-ignored. */
  readonly ignoreRedirectionHint?: boolean;
  /** qemu.apic.disabled-accepts. */
  readonly acceptWhileDisabled?: boolean;
  /** qemu.apic.logical-broadcast. */
  readonly logicalBroadcastMatched?: boolean;
  /** qemu.apic.extint-requests. */
  readonly extIntRequests?: boolean;
  /** kvm.apic.narrow-broadcast. */
  readonly narrowBroadcast?: boolean;
  /** kvm.apic.extended-destination: messages may carry 15 bits of destination in their low address. */
  readonly extendedDestination?: boolean;
  readonly observer?: Observer;
}

/** Told of every fixed interrupt that an APIC accepts: its slot, and the vector. */
export type AcceptHook = (slot: number, vector: number) => void;

/**
 * All local APICs of a machine. Their state is one `Int32Array`; the slot of an APIC is the place of its id in the
 * list that the fabric was made from.
 */
export class ApicFabric implements InterruptFabric {
  /** Words as `state.ts` names them, 64 to an APIC. */
  readonly state: Int32Array;
  readonly apics: number;
  readonly acceptsIllegalVectors: boolean;
  readonly #lowestPriority: LowestPriorityPolicy;
  readonly #ignoreRedirectionHint: boolean;
  readonly #acceptWhileDisabled: boolean;
  readonly #logicalBroadcastMatched: boolean;
  readonly #extIntRequests: boolean;
  readonly #narrowBroadcast: boolean;
  readonly #extendedDestination: boolean;
  readonly #observer: Observer | null;
  #onAccept: AcceptHook | null = null;

  /**
   * Near id to base for the APICs that take a fixed interrupt with nothing else to see to: software-enabled, id not
   * FFh, and nobody listening; -1 for all others.
   */
  readonly #ready = new Int32Array(nearIds).fill(-1);
  /** The same for those of which only the hook is to be told. */
  readonly #heard = new Int32Array(nearIds).fill(-1);
  /** Logical destinations name clusters: no APIC is in xAPIC mode and FFh is no broadcast. */
  #plainClusters = false;
  readonly #addressing: Addressing;
  readonly #address = new Int32Array(2);

  /**
   * @param ids the APIC id of each slot, 0 to FFFFFFFEh; one above FEh is addressable by its 32-bit id only.
   * @throws RangeError for ids that are not such numbers, not unique, none or more than 65,536.
   */
  constructor(ids: readonly number[], options: FabricOptions = {}) {
    checkIds(ids);
    this.apics = ids.length;
    this.state = new Int32Array(ids.length << strideShift);
    this.acceptsIllegalVectors = options.acceptIllegalVectors ?? false;
    this.#lowestPriority = options.lowestPriority ?? "lowest-priority";
    this.#ignoreRedirectionHint = options.ignoreRedirectionHint ?? false;
    this.#acceptWhileDisabled = options.acceptWhileDisabled ?? false;
    this.#logicalBroadcastMatched = options.logicalBroadcastMatched ?? false;
    this.#extIntRequests = options.extIntRequests ?? false;
    this.#narrowBroadcast = options.narrowBroadcast ?? false;
    this.#extendedDestination = options.extendedDestination ?? false;
    this.#observer = options.observer ?? null;
    this.#addressing = new Addressing(ids, this.state);
    for (const base of this.#addressing.order) this.#powerUp(base, options);
  }

  #powerUp(base: number, options: FabricOptions): void {
    const { state } = this;
    state[base + word.base] =
      apicDefaultBase |
      apicBase.EN_MASK |
      (options.mode === "x2apic" ? apicBase.EXTD_MASK : 0) |
      (base === 0 ? apicBase.BSP_MASK : 0);
    resetRegisters(state, base);
    if (options.softwareEnabled === true) state[base + word.svr] = svr.V_MASK | svr.EN_MASK;
    this.refresh(base);
  }

  /** Called for every accepted fixed interrupt, so that a processor in guest mode sees its notifications; null for none. */
  get onAccept(): AcceptHook | null {
    return this.#onAccept;
  }

  set onAccept(hook: AcceptHook | null) {
    this.#onAccept = hook;
    for (const base of this.#addressing.order) this.refresh(base);
  }

  /** The slot of an APIC id; -1 if there is none. */
  slotOf(id: number): number {
    return this.#addressing.find(id | 0) >> strideShift;
  }

  /** Brings the tables in line with an APIC's mode; to be called after a change of its IA32_APIC_BASE, SVR, LDR or DFR. */
  refresh(base: number): void {
    const { state } = this;
    const id = state[base + word.id]! >>> 0;
    this.#addressing.refresh(base);
    this.#plainClusters = this.#addressing.allX2apic && !this.#narrowBroadcast;
    if (id < nearIds && id !== xapicBroadcast) {
      const takes = this.#observer === null && softwareEnabled(state, base);
      this.#ready[id] = takes && this.#onAccept === null ? base : -1;
      this.#heard[id] = takes && this.#onAccept !== null ? base : -1;
    }
  }

  deliver(
    destination: number,
    logical: number,
    redirectionHint: number,
    deliveryMode: number,
    vector: number,
    level: number,
  ): number {
    // The hint chooses nothing where one is addressed; a broadcast goes the long way.
    if ((logical | deliveryMode | level | (destination >>> 12)) === 0 && destination !== xapicBroadcast) {
      return this.fixed(destination, vector & 0xff);
    }
    if (((logical ^ 1) | deliveryMode | redirectionHint) === 0 && (vector - 16) >>> 0 < 240) {
      const accepted = this.#deliverToCluster(destination, vector, level);
      if (accepted > 0) return accepted;
    }
    return this.#deliver(destination | 0, logical, redirectionHint, deliveryMode, vector & 0xff, level);
  }

  fixed(destination: number, vector: number): number {
    // apic.destination.physical, apic.accept.fixed
    if (destination >>> 12 === 0 && vector >= 16) {
      const base = this.#ready[destination]!;
      if (base >= 0) {
        const { state } = this;
        const request = (base + (vector >>> 5)) | 0;
        const bit = 1 << vector;
        state[request] = state[request]! | bit;
        const trigger = (request + word.tmr) | 0;
        state[trigger] = state[trigger]! & ~bit;
        return 1;
      }
    }
    return this.#fixedHeard(destination, vector);
  }

  #fixedHeard(destination: number, vector: number): number {
    const base = destination >>> 12 === 0 && vector >= 16 ? this.#heard[destination]! : -1;
    if (base < 0) return this.#deliver(destination | 0, 0, 0, DeliveryMode.fixed, vector & 0xff, 0);
    const { state } = this;
    setVector(state, base + word.irr, vector);
    clearVector(state, base + word.tmr, vector);
    this.#onAccept!(base >> strideShift, vector);
    return 1;
  }

  /**
   * A logical fixed interrupt where every APIC is in x2APIC mode and every one that is addressed takes it.
   * @returns how many did; 0 to go the long way, on which setting a bit again changes nothing.
   */
  #deliverToCluster(destination: number, vector: number, level: number): number {
    // apic.destination.broadcast; beyond cluster FFh the ids are not near.
    if (!this.#plainClusters || destination >>> 24 !== 0) return 0;
    const { state } = this;
    const bit = 1 << vector;
    const first = x2apicLdr.cluster(destination) << 4;
    let accepted = 0;
    // apic.destination.x2apic-logical
    for (let members = x2apicLdr.members(destination); members !== 0; members &= members - 1) {
      const base = this.#ready[first + 31 - Math.clz32(members & -members)]!;
      if (base < 0) return 0;
      const request = base + (vector >>> 5);
      state[request] = state[request]! | bit;
      const trigger = request + word.tmr;
      state[trigger] = level === 0 ? state[trigger]! & ~bit : state[trigger]! | bit;
      accepted++;
    }
    return accepted;
  }

  #deliver(
    destination: number,
    logical: number,
    redirectionHint: number,
    deliveryMode: number,
    vector: number,
    level: number,
  ): number {
    let count = this.#addressing.match(destination, logical, this.#narrowBroadcast);
    // qemu.apic.logical-broadcast
    if (logical !== 0 && this.#logicalBroadcastMatched)
      count = this.#addressing.keepNamed(count, destination);
    // apic.destination.redirection-hint, apic.destination.hint-broadcast, qemu.apic.redirection-hint-ignored
    const one =
      deliveryMode === DeliveryMode.lowestPriority || (redirectionHint !== 0 && !this.#ignoreRedirectionHint);
    return this.#dispatch(count, one, destination, deliveryMode, vector, level);
  }

  message(addressLow: number, addressHigh: number, data: number): number {
    const address = this.#address;
    address[0] = addressLow;
    address[1] = addressHigh;
    const deliveryMode = msiData.dlm(data);
    const destination = this.#messageDestination(address);
    if (
      // apic.message.prefix
      msiAddress.prefix(address, 0) !== 0xfee ||
      (addressHigh & msiAddress.RESERVED_1) !== 0 ||
      // apic.message.delivery-mode: start-up takes 110b in the ICR only.
      deliveryMode === 3 ||
      deliveryMode === DeliveryMode.startup
    ) {
      return this.#undelivered(destination, msiData.v(data), deliveryMode);
    }
    // apic.message.level: data bit 14 is not looked at.
    return this.deliver(
      destination,
      msiAddress.dm(address, 0),
      msiAddress.rh(address, 0),
      deliveryMode,
      msiData.v(data),
      msiData.tm(data),
    );
  }

  #messageDestination(address: Int32Array): number {
    // kvm.apic.extended-destination
    if (this.#extendedDestination && address[1] === 0 && msiAddress.format(address, 0) === 0) {
      return extendedAddress.dst(address, 0);
    }
    // apic.message.destination
    return (msiAddress.dsthigh(address, 0) << 8) | msiAddress.dst(address, 0);
  }

  /**
   * An interprocessor interrupt to a destination; unlike a device's message it knows no redirection hint, and its FFh
   * is never taken for a wide broadcast.
   */
  sendTo(destination: number, logical: number, deliveryMode: number, vector: number): number {
    const count = this.#addressing.match(destination, logical, false);
    return this.#dispatch(
      count,
      deliveryMode === DeliveryMode.lowestPriority,
      destination,
      deliveryMode,
      vector,
      0,
    );
  }

  /** An interprocessor interrupt to all APICs but the one whose state begins at `except`, or to all if that is -1. */
  sendToAll(except: number, deliveryMode: number, vector: number): number {
    const count = this.#addressing.matchOthers(except);
    const one = deliveryMode === DeliveryMode.lowestPriority;
    return this.#dispatch(count, one, x2apicBroadcast, deliveryMode, vector, 0);
  }

  /** Delivers to the first `count` targets, or to the one that is chosen among them. */
  #dispatch(
    count: number,
    one: boolean,
    destination: number,
    deliveryMode: number,
    vector: number,
    level: number,
  ): number {
    let accepted = 0;
    if (one && count > 1) {
      const base = this.#choose(count, deliveryMode, vector);
      if (base >= 0) accepted = this.accept(base, deliveryMode, vector, level);
    } else {
      // Who listens may send interrupts himself, and so match others.
      const { targets } = this.#addressing;
      const listed = this.#onAccept === null ? targets : targets.slice(0, count);
      for (let i = 0; i < count; i++) accepted += this.accept(listed[i]!, deliveryMode, vector, level);
    }
    return accepted === 0 ? this.#undelivered(destination, vector, deliveryMode) : accepted;
  }

  #undelivered(destination: number, vector: number, deliveryMode: number): 0 {
    this.#observer?.record(eventKinds.undelivered, destination, vector, deliveryMode, 0, 0, 0);
    return 0;
  }

  /**
   * One APIC receives an interrupt that addresses it.
   * @param base where its state begins.
   * @returns 1 if it accepted.
   */
  accept(base: number, deliveryMode: number, vector: number, level: number): 0 | 1 {
    const { state } = this;
    // apic.accept.globally-disabled
    if (!enabled(state, base)) return 0;
    switch (deliveryMode) {
      case DeliveryMode.fixed:
      case DeliveryMode.lowestPriority:
        if (!this.#acceptFixed(base, vector, level)) return 0;
        break;
      // apic.accept.bypass
      case DeliveryMode.smi:
        state[base + word.events] = state[base + word.events]! | event.smi;
        break;
      case DeliveryMode.nmi:
        state[base + word.events] = state[base + word.events]! | event.nmi;
        break;
      case DeliveryMode.init:
        state[base + word.events] = state[base + word.events]! | event.init;
        break;
      case DeliveryMode.startup:
        state[base + word.events] = state[base + word.events]! | event.startup;
        state[base + word.startupVector] = vector;
        break;
      case DeliveryMode.extInt:
        // qemu.apic.extint-requests
        if (this.#extIntRequests) {
          this.#acceptFixed(base, vector, level);
          break;
        }
        state[base + word.events] = state[base + word.events]! | event.extInt;
        break;
      // apic.message.delivery-mode
      default:
        return 0;
    }
    this.#observer?.record(eventKinds.accepted, state[base + word.id]!, vector, deliveryMode, level, 0, 0);
    return 1;
  }

  /** A processor has taken a vector from its APIC, whose state begins at `base`. */
  acknowledged(base: number, vector: number): void {
    if (this.#observer === null) return;
    this.#observer.record(eventKinds.acknowledged, this.state[base + word.id]!, vector, 0, 0, 0, 0);
  }

  #acceptFixed(base: number, vector: number, level: number): boolean {
    const { state } = this;
    // apic.accept.disabled, qemu.apic.disabled-accepts
    if (!this.#takesFixed(base)) return false;
    // apic.vector.illegal-received, kvm.apic.illegal-vector-accepted, qemu.apic.illegal-vector-accepted
    if (vector < 16 && !this.acceptsIllegalVectors) {
      this.raiseError(base, errorStatus.RECEIVEILLEGAL_MASK);
      return false;
    }
    // apic.accept.fixed
    setVector(state, base + word.irr, vector);
    if (level === 0) clearVector(state, base + word.tmr, vector);
    else setVector(state, base + word.tmr, vector);
    this.#onAccept?.(base >> strideShift, vector);
    return true;
  }

  #takesFixed(base: number): boolean {
    return this.#acceptWhileDisabled || softwareEnabled(this.state, base);
  }

  /** An APIC finds an error: a bit of ESR, seen there after the next write to it. */
  raiseError(base: number, error: number): void {
    const { state } = this;
    state[base + word.errors] = state[base + word.errors]! | error;
    const entry = state[base + word.error]!;
    const vector = lvt.v(entry);
    // apic.error.interrupt: an error vector that is itself illegal raises no second error.
    if (lvt.mask(entry) === 0 && vector >= 16) this.accept(base, DeliveryMode.fixed, vector, 0);
  }

  /** The addressed APIC that takes an interrupt for one of them; -1 if none does. */
  #choose(count: number, deliveryMode: number, vector: number): number {
    const { targets } = this.#addressing;
    let takers = 0;
    for (let i = 0; i < count; i++) {
      if (deliveryMode > DeliveryMode.lowestPriority || this.#takesFixed(targets[i]!))
        targets[takers++] = targets[i]!;
    }
    if (takers === 0) return -1;
    switch (this.#lowestPriority) {
      // kvm.apic.vector-hash
      case "vector-hash":
        return targets[vector % takers]!;
      // qemu.apic.first-match
      case "first":
        return targets[0]!;
      // apic.destination.lowest-priority: targets stand in the order of ids, so that the first of equals wins.
      default:
        return this.#lowestOf(takers);
    }
  }

  #lowestOf(takers: number): number {
    const { targets } = this.#addressing;
    let chosen = targets[0]!;
    let lowest = arbitrationPriority(this.state, chosen);
    for (let i = 1; i < takers; i++) {
      const priority = arbitrationPriority(this.state, targets[i]!);
      if (priority < lowest) {
        lowest = priority;
        chosen = targets[i]!;
      }
    }
    return chosen;
  }
}
