import { Outcome } from "../../hardware/delivery.ts";
import { event, strideShift, word } from "../../hardware/lapic/state.ts";
import type { Machine } from "../machine.ts";
import { type Grant, type Page, grantsOf, pagesOf } from "./grants.ts";

/** An interrupt that arrived and that nothing had been granted for. */
export interface Breach {
  readonly requester: number;
  readonly address: number;
  readonly data: number;
  /** The entry that the message names; -1 if it is in compatibility format. */
  readonly index: number;
  /** What of the host or of a guest it reached. */
  readonly reached: readonly string[];
}

/** Something that happens between two requests, every so many. */
export interface Meanwhile {
  readonly every: number;
  /** @param random 32 random bits. */
  readonly act: (random: () => number) => void;
}

const most = 64;
const pirWords = 8;

/**
 * Sends a machine's remapping unit requests that are as random as they can be and still come near what was granted, and
 * holds everything that arrives at APICs and in vCPUs' pages against the grants. Whether a request may pass it
 * decides by itself: from the message's bits, and from what the kernel keeps.
 */
export class Search {
  /** Requests that came to what had been granted: to the host, and to a vCPU. */
  remapped = 0;
  posted = 0;
  blocked = 0;
  /** Requests of the right device that did not arrive. */
  readonly withheld: Breach[] = [];
  readonly breaches: Breach[] = [];
  breachCount = 0;
  readonly #machine: Machine;
  readonly #pages: readonly Page[];
  readonly #grants = new Map<number, Grant>();
  #indices: readonly number[] = [];
  readonly #requesters: readonly number[];
  readonly #amd: boolean;
  readonly #state: Int32Array;
  readonly #cpus: number;
  /** What APICs have accepted since it was last looked: slot and vector. */
  readonly #accepted = new Int32Array(2 * most);
  #acceptedCount = 0;
  #random: number;

  /** @param seed not 0. */
  constructor(machine: Machine, seed: number) {
    const { apics, cpus } = machine.hardware;
    this.#machine = machine;
    this.#pages = pagesOf(machine);
    this.#amd = machine.scenario.machine.vendor === "amd";
    this.#state = apics.state;
    this.#cpus = cpus.length;
    this.#random = seed | 0;
    const seen = [...machine.devices.values()].flatMap(({ settings: { at, alias } }) => [at, alias ?? at]);
    // An I/O APIC's, the unit's own, and two of functions that are not there.
    this.#requesters = [...new Set([...seen, 0xf0f8, 0x00a0, 0x0002, 0x0000, 0xffff])];
  }

  run(requests: number, meanwhile?: Meanwhile): void {
    const { apics } = this.#machine.hardware;
    const before = apics.onAccept;
    this.#refresh();
    apics.onAccept = (slot, vector) => {
      if (this.#acceptedCount === most) return;
      this.#accepted[2 * this.#acceptedCount] = slot;
      this.#accepted[2 * this.#acceptedCount + 1] = vector;
      this.#acceptedCount++;
    };
    for (let i = 0; i < requests; i++) {
      if (meanwhile !== undefined && i % meanwhile.every === 0) meanwhile.act(this.#next);
      this.#request();
    }
    apics.onAccept = before;
  }

  #refresh(): void {
    this.#grants.clear();
    for (const grant of grantsOf(this.#machine, this.#pages)) {
      if (!this.#amd) this.#grants.set(grant.index, grant);
      else for (const requester of grant.requesters) this.#grants.set((requester << 11) | grant.index, grant);
    }
    this.#indices = [...new Set([...this.#grants.values()].map(({ index }) => index))];
  }

  /** 32 random bits, int32. */
  readonly #next = (): number => {
    let x = this.#random;
    x ^= x << 13;
    x ^= x >>> 17;
    x ^= x << 5;
    this.#random = x;
    return x;
  };

  #request(): void {
    const shape = this.#next();
    const one = this.#next();
    const two = this.#next();
    const requester =
      (shape & 0x1f00) === 0
        ? (two >>> 8) & 0xffff
        : this.#requesters[(shape >>> 16) % this.#requesters.length]!;
    const near = this.#indices[(one >>> 8) % this.#indices.length] ?? 0;
    let address = 0xfee00000 | (one & 0xfffff);
    let data = two;
    switch (shape & 7) {
      case 0:
        break;
      // A message in compatibility format, to a CPU that is there.
      case 1:
        address = 0xfee00000 | (((one >>> 4) % this.#cpus) << 12) | (one & 0xc);
        data = two & 0xcfff;
        break;
      // A remappable one whose handle is everything, or nearly.
      case 2:
      case 3:
        address = remappable((near + (one & 3)) & 0xffff, 0);
        data = (shape & 0x20) === 0 ? 0 : two;
        break;
      // One whose subhandle counts, and may carry too far.
      case 4:
        address = remappable(near - Math.min(near, one & 7), 1);
        data = two & 7;
        break;
      case 5:
        address = remappable(one & 0xffff, 1);
        data = (near - one) & ((shape & 0x20) === 0 ? 0xffff : 0x1ffff);
        break;
      // As AMD-Vi has it: the index is in the data.
      default:
        address = 0xfee00000 | (one & 0xffff0) | ((shape & 0x60) === 0 ? 0 : 4);
        data = near ^ ((shape & 0x1e000) === 0 ? two & 0x7ff : 0);
        if ((shape & 0x600) === 0) data |= two & 0x0000_f800;
    }
    const malformed = (shape & 0x00f0_0000) === 0;
    const unit = this.#machine.hardware.unit!;
    const inner = this.#machine.hardware.vtd ?? this.#machine.hardware.amdvi ?? unit;
    const outcome = malformed
      ? inner.malformed(address, requester)
      : inner.interrupt(address, data, requester);
    if (outcome === Outcome.blocked) this.blocked++;
    this.#judge(address, data, requester, malformed);
  }

  #judge(address: number, data: number, requester: number, malformed: boolean): void {
    const state = this.#state;
    let events = 0;
    for (let cpu = 0; cpu < this.#cpus; cpu++) events |= state[(cpu << strideShift) + word.events]!;
    const index = malformed ? -1 : this.#amd ? amdIndexOf(address, data) : vtdIndexOf(address, data);
    const key = this.#amd && index >= 0 ? (requester << 11) | index : index;
    const grant = index < 0 ? undefined : this.#grants.get(key);
    const entitled = grant !== undefined && grant.requesters.has(requester);
    const pages = this.#pages;
    let touched = -1;
    for (let p = 0; p < pages.length; p++) {
      const { words, first, stride } = pages[p]!;
      for (let i = 0; i < pirWords; i++) if (words[first + i * stride] !== 0) touched = p;
    }
    const silent = this.#acceptedCount === 0 && touched < 0 && events === 0;
    if (silent && !entitled) return;
    const reached = silent ? [] : this.#reached(events);
    const lawful =
      entitled && !silent
        ? grant.page < 0
          ? this.#isHosts(grant, reached)
          : this.#isGuests(grant, reached)
        : false;
    if (lawful && grant!.page < 0) this.remapped++;
    else if (lawful) this.posted++;
    else if (silent) this.#note(this.withheld, address, data, requester, index, reached);
    else if (!isSmi(this.#amd, address, data, reached)) {
      this.breachCount++;
      this.#note(this.breaches, address, data, requester, index, reached);
    }
    if (!silent) this.#clear();
  }

  #note(
    list: Breach[],
    address: number,
    data: number,
    requester: number,
    index: number,
    reached: readonly string[],
  ): void {
    if (list.length < most) list.push({ address: address >>> 0, data, requester, index, reached });
  }

  #isHosts({ cpu, vector }: Grant, reached: readonly string[]): boolean {
    return reached.length === 1 && reached[0] === at(cpu, vector);
  }

  /** The one bit, and at most a notification to where the vCPU runs or sleeps. */
  #isGuests({ page, vector }: Grant, reached: readonly string[]): boolean {
    const home = this.#pages[page]!.vcpu.cpu?.number ?? -1;
    const [first, second, ...more] = reached;
    if (first !== posted(page, vector) || more.length > 0) return false;
    return second === undefined || second === at(home, 0xf2) || second === at(home, 0xf1);
  }

  /** What arrived, in words; only a few requests get that far. */
  #reached(events: number): string[] {
    const reached: string[] = [];
    for (const [p, { words, first, stride }] of this.#pages.entries()) {
      for (let vector = 0; vector < 256; vector++) {
        if ((words[first + (vector >>> 5) * stride]! & (1 << vector)) !== 0) reached.push(posted(p, vector));
      }
    }
    for (let i = 0; i < this.#acceptedCount; i++) {
      reached.push(at(this.#accepted[2 * i]!, this.#accepted[2 * i + 1]!));
    }
    for (const [name, mask] of Object.entries(event)) if ((events & mask) !== 0) reached.push(name);
    return reached;
  }

  /** Nobody takes what has arrived. */
  #clear(): void {
    const state = this.#state;
    for (let cpu = 0; cpu < this.#cpus; cpu++) {
      const base = cpu << strideShift;
      state.fill(0, base + word.irr, base + word.irr + 8);
      state[base + word.events] = 0;
    }
    for (const { words, first, stride, outstanding } of this.#pages) {
      for (let i = 0; i < pirWords; i++) words[first + i * stride] = 0;
      if (outstanding >= 0) words[outstanding] = words[outstanding]! & ~1;
    }
    this.#acceptedCount = 0;
  }
}

function at(cpu: number, vector: number): string {
  return `vector ${vector.toString(16)}h of CPU ${cpu}`;
}

function posted(page: number, vector: number): string {
  return `vector ${vector.toString(16)}h of vCPU ${page}`;
}

function remappable(handle: number, subhandleValid: 0 | 1): number {
  return 0xfee00010 | ((handle & 0x7fff) << 5) | ((handle >>> 15) << 2) | (subhandleValid << 3);
}

/** VT-d 5.1.2.2, by hand: the index that a message names; -1 if none, or if it breaks the format. */
function vtdIndexOf(address: number, data: number): number {
  if ((address & 0x10) === 0) return -1;
  const handle = ((address >>> 5) & 0x7fff) | (((address >>> 2) & 1) << 15);
  if ((address & 8) === 0) return handle;
  const index = handle + (data & 0xffff);
  return data >>> 16 !== 0 || index > 0xffff ? -1 : index;
}

/** AMD-Vi 2.2.5, by hand: with 2048 interrupts on and DM=1 eleven bits of data; else types 0 and 1 with the vector. */
function amdIndexOf(address: number, data: number): number {
  const index = data & 0x7ff;
  return (address & 4) === 0 && index > 0x1ff ? -1 : index;
}

/** AMD-Vi lets SMIs of physical destinations through, whatever a table says (amdvi.ir.smi-passes). */
function isSmi(amd: boolean, address: number, data: number, reached: readonly string[]): boolean {
  return amd && (address & 4) === 0 && ((data >>> 8) & 7) === 2 && reached.join() === "smi";
}
