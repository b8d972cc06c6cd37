import { type RegisterPlace, type RegisterWrite, type Script, amdviSpec } from "@intremap/core";
import type { Moves } from "./moves.ts";
import { driverMemory, isDriverless, unitBase } from "./places.ts";
import { Touched } from "./touched.ts";
import { type FaultReader, type Play, type RegisterReader, type UnitSide, asRead } from "./unit-side.ts";

const base = unitBase.amd;
const { registers } = amdviSpec;
const at = {
  devices: registers.DEV_TAB_BASE.offset,
  commands: registers.CMD_BUF_BASE.offset,
  events: registers.EVT_LOG_BASE.offset,
  control: registers.CONTROL.offset,
  commandHead: registers.CMD_BUF_HEAD.offset,
  commandTail: registers.CMD_BUF_TAIL.offset,
  eventHead: registers.EVT_LOG_HEAD.offset,
  eventTail: registers.EVT_LOG_TAIL.offset,
  status: registers.STATUS.offset,
} as const;

const eventBytes = 16;
const dteBytes = 32;
/** A ring of the smallest length that is lawful has this many places. */
const placesAtLeast = 256;
const mostWords = 4096;
const everyStatus = 0x7f;
const addressBits = 0xf_ffff_ffff_f000n;
const comWaitInt = 4n;
const southBridgeIoapic = 0xa0;

/** QEMU's AMD unit. */
export const amdviSide: UnitSide = {
  base,
  registerBytes: 0x2030,

  refusal(script) {
    for (const { deeds } of script.scenes) {
      for (const deed of deeds) {
        if (deed.does !== "register") continue;
        const { offset, width, value } = deed;
        if (width === 32 && offset < at.control) return "a 32-bit write to an address register";
        const start = Number(value & addressBits);
        if (offset === at.devices && !hasEntries(start, script)) return "a table outside memory";
        const isRing = offset === at.commands || offset === at.events;
        if (isRing && !isDriverless(start, eventBytes * ringPlaces(value))) return "a ring outside memory";
      }
    }
    return undefined;
  },

  wantsReset: () => false,
  begin: (initial) => new AmdviPlay(initial),
};

/** Whether the entries of every requester of a script lie in memory. */
function hasEntries(table: number, { scenes }: Script): boolean {
  return scenes.every(({ deeds }) =>
    deeds.every((deed) => {
      if (deed.does !== "msi") return true;
      return isDriverless(table + dteBytes * (deed.requester ?? southBridgeIoapic), dteBytes);
    }),
  );
}

function ringPlaces(value: bigint): number {
  return 2 ** Number((value >> 56n) & 15n);
}

class AmdviPlay implements Play {
  readonly touched = new Touched();
  readonly #initial: Buffer;
  readonly #written = new Map<number, 32 | 64>();
  readonly #words = new Map<number, number>();
  #log = { base: 0, places: 1 };
  #commandPlaces = 1;
  #commandTail = 0;
  /** No more events than this can have been logged since the log was given its place. */
  #events = 0;
  /** The log's pointers were moved by hand: its events may stand anywhere. */
  #moved = false;

  constructor(initial: Buffer) {
    this.#initial = initial;
  }

  /** Looks for completion waits, which write to memory. */
  stored(address: number, words: readonly number[]): void {
    if (words.length > mostWords) return;
    for (let i = 0; i < words.length; i++) this.#words.set(address + 4 * i, words[i]! | 0);
    const last = address + 4 * words.length;
    for (let group = address - (address % eventBytes); group < last; group += eventBytes) {
      const low = this.#words.get(group) ?? 0;
      const high = this.#words.get(group + 4) ?? 0;
      if (high >>> 28 !== amdviSpec.commandCodes.COMPLETION_WAIT || (low & 1) === 0) continue;
      const store = (high & 0xf_ffff) * 2 ** 32 + ((low & ~7) >>> 0);
      if (isDriverless(store, 8)) this.touched.add(store, 8);
    }
  }

  requested(): void {
    this.#events++;
  }

  wrote({ offset, width, value }: RegisterWrite): void {
    this.#written.set(offset, width);
    switch (offset) {
      case at.events:
        this.#log = { base: Number(value & addressBits), places: ringPlaces(value) };
        this.#events = 0;
        this.#moved = false;
        break;
      case at.commands:
        this.#commandPlaces = ringPlaces(value);
        this.#commandTail = 0;
        break;
      case at.commandTail: {
        const tail = Number(value & 0x7_fff0n) / eventBytes;
        const before = this.#commandTail;
        this.#events += tail >= before ? tail - before : tail - before + this.#commandPlaces;
        this.#commandTail = tail;
        break;
      }
      case at.commandHead:
        this.#events += this.#commandPlaces;
        break;
      case at.eventHead:
      case at.eventTail:
        this.#moved = true;
    }
  }

  /** How many places of the log may hold events. */
  get #reach(): number {
    const { places } = this.#log;
    if (this.#moved || this.#events >= places) return Math.max(places, Math.min(this.#events, placesAtLeast));
    return this.#events;
  }

  look(moves: Moves): FaultReader {
    const pointers = moves.fetch(16, base + at.eventHead);
    const { places } = this.#log;
    const reach = this.#reach;
    const events = reach > 0 ? moves.fetch(reach * eventBytes, this.#log.base) : 0;
    if (reach > 0) this.touched.add(this.#log.base, reach * eventBytes);
    return (results) => {
      const seen: bigint[] = [];
      const tail = Number(results.readBigUInt64LE(pointers + 8) & 0x7_fff0n) / eventBytes;
      let head = Number(results.readBigUInt64LE(pointers) & 0x7_fff0n) / eventBytes;
      for (let left = reach; head !== tail && left > 0; left--, head = (head + 1) % places) {
        const from = events + head * eventBytes;
        seen.push(results.readBigUInt64LE(from), results.readBigUInt64LE(from + 8));
      }
      return seen;
    };
  }

  reading({ offset }: RegisterPlace, moves: Moves): RegisterReader {
    // The base cannot be taken back to "none", so that a table without entries stands for it.
    if (offset === at.devices && !this.#written.has(at.devices)) return () => 0n;
    if (offset !== at.status) return asRead;
    // ComWaitInt is never cleared by some versions; it counts only if this script's software can have seen it set.
    const rung = moves.fetch(4, driverMemory.bell);
    return (value, { results, ownMessages }) =>
      results.readUInt32LE(rung) !== 0 || ownMessages > 0 ? value : value & ~comWaitInt;
  }

  restore(moves: Moves): void {
    if (this.#reach > 0) this.touched.add(this.#log.base, this.#reach * eventBytes);
    const written = this.#written;
    if (written.has(at.control)) moves.copy(8, driverMemory.zeros, base + at.control);
    if (written.has(at.devices)) moves.put64(BigInt(driverMemory.emptyTable), base + at.devices);
    for (const [offset, width] of written) {
      if (offset === at.control || offset === at.devices || offset === at.status) continue;
      if (offset + width / 8 > this.#initial.length) continue;
      if (width === 64) moves.put64(this.#initial.readBigUInt64LE(offset), base + offset);
      else moves.put([this.#initial.readInt32LE(offset)], base + offset);
    }
    moves.put([everyStatus, 0], base + at.status);
    moves.copy(4, driverMemory.zeros, driverMemory.bell);
    if (written.has(at.commands)) moves.copy(16, driverMemory.zeros, base + at.commandHead);
    if (written.has(at.events)) moves.copy(16, driverMemory.zeros, base + at.eventHead);
  }
}
