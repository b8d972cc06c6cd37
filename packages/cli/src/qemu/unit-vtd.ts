import type { RegisterPlace, RegisterWrite, Script } from "@intremap/core";
import { vtdSpec } from "@intremap/core";
import type { Moves } from "./moves.ts";
import { driverMemory, isDriverless, unitBase } from "./places.ts";
import { Touched } from "./touched.ts";
import { type FaultReader, type Play, type RegisterReader, type UnitSide, asRead } from "./unit-side.ts";
import { type Queue, VtdQueue } from "./vtd-queue.ts";

const base = unitBase.intel;
const { registers } = vtdSpec;
const at = {
  gcmd: registers.GCMD.offset,
  gsts: registers.GSTS.offset,
  fsts: registers.FSTS.offset,
  fectl: registers.FECTL.offset,
  iqt: registers.IQT.offset,
  iqa: registers.IQA.offset,
  ics: registers.ICS.offset,
  iectl: registers.IECTL.offset,
  irta: registers.IRTA.offset,
  /** QEMU's one fault recording register. */
  record: 0x220,
} as const;
const recordBytes = 16;

/** Bits of GCMD; those of GSTS stand in the same places. */
const bit = {
  te: 0x8000_0000,
  srtp: 0x4000_0000,
  qie: 0x400_0000,
  ire: 0x200_0000,
  sirtp: 0x100_0000,
} as const;
const masked = 0x8000_0000 | 0;
const fault = 0x8000_0000 | 0;
const everyStatus = 0xff;

/** Registers that a restoration writes in its own way. */
const handled: ReadonlySet<number> = new Set([
  at.gcmd,
  at.fsts,
  at.fectl,
  at.iqt,
  at.iqa,
  at.ics,
  at.iectl,
  at.record,
  at.record + 8,
]);

/** Registers of 64 bits: QEMU ends when others are written as if they were. */
const wide: ReadonlySet<number> = new Set([
  ...Object.values(registers).flatMap(({ offset, width }) => (width === 64 ? [offset] : [])),
  at.record,
  at.record + 8,
]);

/** QEMU's Intel unit. */
export const vtdSide: UnitSide = {
  base,
  registerBytes: 0x230,

  refusal(script) {
    const { scenes } = script;
    if (endsQemu(script)) return "a wait with status and interrupt, at which QEMU ends";
    for (const { deeds } of scenes) {
      for (const deed of deeds) {
        if (deed.does !== "register") continue;
        const { offset, width, value } = deed;
        if (width === 64 && !wide.has(offset)) return "a 64-bit write to a register of 32 bits";
        if (offset === at.gcmd && (Number(value) & bit.te) !== 0) return "translation of DMA";
        if (offset === at.irta && !reachable(value, 16 * 2 ** (Number(value & 15n) + 1)))
          return "a table outside memory";
        if (offset === at.iqa && !reachable(value, 4096 * 2 ** Number(value & 7n)))
          return "a queue outside memory";
      }
    }
    return undefined;
  },

  // IRTPS, the size of the table and what the queue did last stay as they are until a reset.
  wantsReset({ scenes }: Script) {
    let before = 0;
    for (const { deeds } of scenes) {
      for (const deed of deeds) {
        if (deed.does !== "register" || deed.offset !== at.gcmd) continue;
        const value = Number(deed.value);
        if ((value & bit.ire) !== 0 && ((before | value) & bit.sirtp) === 0) return true;
        if ((before & bit.qie) !== 0 && (value & bit.qie) === 0) return true;
        before = (before & bit.sirtp) | value;
      }
    }
    return false;
  },

  begin: (initial) => new VtdPlay(initial),
};

function endsQemu({ scenes }: Script): boolean {
  if (!scenes.some(({ deeds }) => deeds.some((deed) => deed.does === "register" && deed.offset === at.iqt)))
    return false;
  const play = new VtdPlay(Buffer.alloc(0));
  for (const { deeds } of scenes) {
    for (const deed of deeds) {
      if (deed.does === "memory") play.stored(deed.address, deed.words);
      else if (deed.does === "register") play.wrote(deed);
    }
  }
  return play.fatal;
}

/** Whether a register's table or queue lies where a script may put it. */
function reachable(value: bigint, bytes: number): boolean {
  const start = value & ~0xfffn;
  return start < 2n ** 52n && isDriverless(Number(start), bytes);
}

class VtdPlay implements Play {
  readonly touched = new Touched();
  readonly #initial: Buffer;
  readonly #written = new Map<number, 32 | 64>();
  readonly #queue: Queue = new VtdQueue(this.touched);
  #command = 0;
  #requested = false;
  /** One-shot commands that have been given. */
  #given = 0;

  constructor(initial: Buffer) {
    this.#initial = initial;
  }

  /** Whether QEMU ends at what has been queued. */
  get fatal(): boolean {
    return this.#queue.fatal;
  }

  stored(address: number, words: readonly number[]): void {
    this.#queue.stored(address, words);
  }

  requested(): void {
    this.#requested = true;
  }

  wrote({ offset, width, value }: RegisterWrite): void {
    this.#written.set(offset, width);
    if (offset === at.iqa || offset === at.iqa + 4 || offset === at.iqt)
      this.#queue.wrote(offset, width, value);
    if (offset !== at.gcmd) return;
    this.#command = Number(BigInt.asIntN(32, value));
    this.#given |= this.#command;
    if ((this.#command & bit.qie) !== 0) this.#queue.enable();
  }

  look(moves: Moves): FaultReader {
    const status = moves.fetch(4, base + at.fsts);
    const record = moves.fetch(recordBytes, base + at.record);
    return (results, records) => [
      BigInt(results.readUInt32LE(status)),
      // What a record held for an earlier script is still there without its F.
      records === 0 ? 0n : results.readBigUInt64LE(record),
      records === 0 ? 0n : results.readBigUInt64LE(record + 8),
    ];
  }

  reading({ offset, width }: RegisterPlace): RegisterReader {
    if (offset >= at.record && offset < at.record + recordBytes)
      return (value, seen) => (seen.records === 0 ? 0n : value);
    // A pointer that was set for an earlier script still counts as set.
    const sticky = BigInt((bit.sirtp | bit.srtp) & ~this.#given);
    if (sticky === 0n) return asRead;
    if (offset === at.gsts) return (value) => value & ~sticky;
    if (offset === at.gcmd && width === 64) return (value) => value & ~(sticky << 32n);
    return asRead;
  }

  restore(moves: Moves): void {
    const queued = this.#queue.used;
    if (this.#requested || queued || this.#written.has(at.fectl)) moves.put([masked], base + at.fectl);
    if (queued || this.#written.has(at.iectl)) moves.put([masked], base + at.iectl);
    if (this.#requested || queued) {
      moves.put([fault], base + at.record + recordBytes - 4);
      moves.put([everyStatus], base + at.fsts);
    }
    if (queued) {
      this.#queue.drain(moves, (tail) => moves.put64(BigInt(tail), base + at.iqt));
      moves.put([1], base + at.ics);
    }
    if (this.#given !== 0) moves.copy(4, driverMemory.zeros, base + at.gcmd);
    if (queued) moves.put([everyStatus], base + at.fsts);
    for (const offset of [at.iqa, at.iqt]) {
      if (queued || this.#written.has(offset)) moves.copy(8, driverMemory.zeros, base + offset);
    }
    for (const [offset, width] of this.#written) {
      if (handled.has(offset) || offset + width / 8 > this.#initial.length) continue;
      if (width === 64) moves.put64(this.#initial.readBigUInt64LE(offset), base + offset);
      else moves.put([this.#initial.readInt32LE(offset)], base + offset);
    }
  }
}
