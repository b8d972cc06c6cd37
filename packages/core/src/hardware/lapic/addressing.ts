import * as x2apicLdr from "../../spec/accessors/x2apic-ldr.ts";
import { isNamed, matches, x2apicBroadcast, xapicBroadcast } from "./matching.ts";
import { enabled, inX2apicMode, strideShift, word } from "./state.ts";

const disabledMode = 0;
const xapicMode = 1;
const x2apicMode = 2;

/** Ids below this are found through an array. */
export const nearIds = 4096;

const logicalDestinations = 256;
const maximumApics = 1 << 16;

/** Finds the APICs that a destination addresses, by tables that answer as `matches` does. */
export class Addressing {
  /** Where the state of each APIC begins, in the order of ids. */
  readonly order: Int32Array;
  /** What the last match has found. */
  readonly targets: Int32Array;
  readonly #state: Int32Array;
  /** Id to base for near ids, -1 for none; `#far` holds the rest. */
  readonly #near = new Int32Array(nearIds).fill(-1);
  readonly #far = new Map<number, number>();
  /** The mode of each slot, and how many are in each. */
  readonly #modes: Uint8Array;
  readonly #modeCounts = new Int32Array(3);

  /** For each 8-bit logical destination, where its APICs in xAPIC mode begin in `#logicalBases`. */
  readonly #logicalStart = new Int32Array(logicalDestinations + 1);
  #logicalBases = new Int32Array(0);
  #logicalStale = true;

  /** @param ids one for each slot, as {@link checkIds} has them. */
  constructor(ids: readonly number[], state: Int32Array) {
    this.#state = state;
    this.targets = new Int32Array(ids.length);
    this.#modes = new Uint8Array(ids.length);
    this.#modeCounts[disabledMode] = ids.length;
    const slots = ids.map((id, slot) => ({ id, base: slot << strideShift }));
    for (const { id, base } of slots) {
      state[base + word.id] = id;
      if (id < nearIds) this.#near[id] = base;
      else this.#far.set(id | 0, base);
    }
    this.order = Int32Array.from(
      slots.sort((a, b) => a.id - b.id),
      ({ base }) => base,
    );
  }

  /** The APIC at `base` may have changed its mode, LDR or DFR. */
  refresh(base: number): void {
    const slot = base >> strideShift;
    const mode = this.#modeOf(base);
    this.#modeCounts[this.#modes[slot]!]!--;
    this.#modeCounts[mode]!++;
    this.#modes[slot] = mode;
    this.#logicalStale = true;
  }

  #modeOf(base: number): number {
    if (!enabled(this.#state, base)) return disabledMode;
    return inX2apicMode(this.#state, base) ? x2apicMode : xapicMode;
  }

  /** No APIC is in xAPIC mode. */
  get allX2apic(): boolean {
    return this.#modeCounts[xapicMode] === 0;
  }

  /** Where the state of the APIC with this id, as int32, begins; -1 if there is none. */
  find(id: number): number {
    return id >>> 12 === 0 ? this.#near[id]! : (this.#far.get(id) ?? -1);
  }

  /** Fills `targets` with all APICs but the one at `except`. */
  matchOthers(except: number): number {
    let count = 0;
    for (const base of this.order) {
      if (base !== except && enabled(this.#state, base)) this.targets[count++] = base;
    }
    return count;
  }

  /**
   * Fills `targets` with the bases of the APICs that are addressed, and returns their number.
   * @param narrowBroadcast FFh addresses APICs in x2APIC mode too (kvm.apic.narrow-broadcast).
   */
  match(destination: number, logical: number, narrowBroadcast: boolean): number {
    const narrow = narrowBroadcast || !this.allX2apic;
    if (destination === x2apicBroadcast || (destination === xapicBroadcast && narrow)) {
      return this.#matchAll(destination, logical, narrowBroadcast);
    }
    if (logical === 0) {
      const base = this.find(destination);
      if (base < 0 || !enabled(this.#state, base)) return 0;
      this.targets[0] = base;
      return 1;
    }
    if (this.allX2apic) return this.#matchX2apicLogical(destination);
    return this.#modeCounts[x2apicMode] === 0
      ? this.#matchXapicLogical(destination)
      : this.#matchAll(destination, logical, false);
  }

  /** Keeps of the first `count` targets those whose logical id is named or that are in x2APIC mode, and returns their number. */
  keepNamed(count: number, destination: number): number {
    const { targets } = this;
    let kept = 0;
    for (let i = 0; i < count; i++) {
      const base = targets[i]!;
      if (inX2apicMode(this.#state, base) || isNamed(this.#state, base, destination)) targets[kept++] = base;
    }
    return kept;
  }

  #matchAll(destination: number, logical: number, narrowBroadcast: boolean): number {
    let count = 0;
    for (const base of this.order) {
      if (matches(this.#state, base, destination, logical, narrowBroadcast)) this.targets[count++] = base;
    }
    return count;
  }

  // apic.destination.x2apic-logical, apic.ldr.derived: the destination names ids.
  #matchX2apicLogical(destination: number): number {
    const first = x2apicLdr.cluster(destination) << 4;
    let count = 0;
    for (let members = x2apicLdr.members(destination); members !== 0; members &= members - 1) {
      const base = this.find(first | (31 - Math.clz32(members & -members)));
      if (base >= 0 && enabled(this.#state, base)) this.targets[count++] = base;
    }
    return count;
  }

  #matchXapicLogical(destination: number): number {
    // apic.destination.width
    if (destination >>> 8 !== 0) return 0;
    if (this.#logicalStale) this.#mapLogical();
    const start = this.#logicalStart[destination]!;
    const count = this.#logicalStart[destination + 1]! - start;
    for (let i = 0; i < count; i++) this.targets[i] = this.#logicalBases[start + i]!;
    return count;
  }

  #mapLogical(): void {
    const bases: number[] = [];
    for (let destination = 0; destination < logicalDestinations; destination++) {
      this.#logicalStart[destination] = bases.length;
      for (const base of this.order) if (matches(this.#state, base, destination, 1, false)) bases.push(base);
    }
    this.#logicalStart[logicalDestinations] = bases.length;
    this.#logicalBases = Int32Array.from(bases);
    this.#logicalStale = false;
  }
}

/** @throws RangeError for ids that are not from 0 to FFFFFFFEh, not unique, none or more than 65,536. */
export function checkIds(ids: readonly number[]): void {
  if (ids.length === 0 || ids.length > maximumApics) {
    throw new RangeError(`APIC ids: 1 to ${maximumApics} were expected, ${ids.length} given`);
  }
  for (const id of ids) {
    if (!Number.isInteger(id) || id < 0 || id > 0xfffffffe) {
      throw new RangeError(`APIC id ${id}: an integer from 0 to 0xfffffffe was expected`);
    }
  }
  if (new Set(ids).size !== ids.length) throw new RangeError("APIC ids: one id is given twice");
}
