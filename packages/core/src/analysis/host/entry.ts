import type { Fact, Origin } from "../../evidence/host/fact.ts";
import type { TableEntries, UnitState } from "../../evidence/host/unit.ts";
import { irte32, irteGuest, irteRemapped128 } from "../../spec/amdvi/irte.ts";
import { type Values, decode } from "../../spec/codec.ts";
import { irtePosted, irteRemapped } from "../../spec/vtd/irte.ts";

/** Whose requests an entry of VT-d lets through, as it stands there. */
export interface EntrySource {
  readonly sid: number;
  readonly sq: number;
  readonly svt: number;
}

/** Where an entry of AMD-Vi in guest mode posts to. */
export interface GuestTarget {
  /** Physical address of the vAPIC backing page. */
  readonly root: bigint;
  /** 32 bits of software's: which machine and vCPU, as KVM numbers them. */
  readonly tag: number;
  readonly running: boolean;
  readonly logs: boolean;
}

/** An entry of a remapping table that is not all zeros. */
export interface HostEntry {
  readonly unit: UnitState;
  /** AMD-Vi: whose table; of requesters that share one, the lowest. VT-d has one table for a unit, null. */
  readonly requester: number | null;
  readonly index: number;
  readonly value: bigint;
  /** In bits. */
  readonly width: 32 | 128;
  readonly mode: "remapped" | "posted" | "guest";
  /** VT-d's P, AMD-Vi's RemapEn. */
  readonly present: boolean;
  /** The host's, and where it posts, the guest's or the one in PIR. */
  readonly vector: number;
  /** The field as it stands in the entry: VT-d in xAPIC mode has the id in bits 15:8. Null where VT-d posts. */
  readonly destination: number | null;
  readonly logical: boolean | null;
  /** DLM, IntType; null where it posts. */
  readonly deliveryMode: number | null;
  /** VT-d. */
  readonly source: EntrySource | null;
  /** VT-d, posted: physical address of the descriptor. */
  readonly descriptor: bigint | null;
  /** AMD-Vi, guest mode. */
  readonly guest: GuestTarget | null;
  readonly origin: Origin;
}

/** Every entry of a unit that is not zero, by table and index ascending; a table that requesters share comes once. */
export function entriesOf(unit: UnitState): HostEntry[] {
  return tablesOf(unit).flatMap(({ requester, table }) => {
    const rows = [...table.value.entries].filter(([, value]) => value !== 0n).sort(([a], [b]) => a - b);
    return rows.map(([index, value]) => read(unit, requester, index, value, table));
  });
}

/** A remapping table, and by which requesters it is used; VT-d has one for all. */
export interface HostTable {
  readonly unit: UnitState;
  /** The lowest of those that use it. */
  readonly requester: number | null;
  /** All that use it, ascending; empty for VT-d. */
  readonly shared: readonly number[];
  readonly table: Fact<TableEntries>;
}

export function tablesOf(unit: UnitState): HostTable[] {
  if (unit.vendor === "intel") {
    return unit.table === undefined ? [] : [{ unit, requester: null, shared: [], table: unit.table }];
  }
  const tables: (HostTable & { shared: number[] })[] = [];
  const known = new Map<bigint | TableEntries, HostTable & { shared: number[] }>();
  for (const [requester, table] of [...unit.tables].sort(([a], [b]) => a - b)) {
    const identity = table.value.base ?? table.value;
    const before = known.get(identity);
    if (before !== undefined) {
      before.shared.push(requester);
      continue;
    }
    const one = { unit, requester, shared: [requester], table };
    known.set(identity, one);
    tables.push(one);
  }
  return tables;
}

function read(
  unit: UnitState,
  requester: number | null,
  index: number,
  value: bigint,
  { value: { width }, origin }: Fact<TableEntries>,
): HostEntry {
  const place = { unit, requester, index, value, width, origin };
  if (unit.vendor === "intel") return { ...place, ...readVtd(value) };
  return { ...place, ...(width === 32 ? remappedAmdvi(decode(irte32, value)) : readAmdvi128(value)) };
}

type Content = Omit<HostEntry, "unit" | "requester" | "index" | "value" | "width" | "origin">;

const modeOf = { vtd: 1n << 15n, amdvi: 1n << 7n };

function readVtd(value: bigint): Content {
  if ((value & modeOf.vtd) === 0n) {
    const { p, v, dst, dm, dlm, sid, sq, svt } = decode(irteRemapped, value);
    return {
      mode: "remapped",
      present: p === 1,
      vector: Number(v),
      destination: Number(dst),
      logical: dm === 1,
      deliveryMode: Number(dlm),
      source: { sid: Number(sid), sq: Number(sq), svt: Number(svt) },
      descriptor: null,
      guest: null,
    };
  }
  const { p, vv, pda, sid, sq, svt } = decode(irtePosted, value);
  return {
    mode: "posted",
    present: p === 1,
    vector: Number(vv),
    destination: null,
    logical: null,
    deliveryMode: null,
    source: { sid: Number(sid), sq: Number(sq), svt: Number(svt) },
    descriptor: BigInt(pda),
    guest: null,
  };
}

type RemappedField = "remapen" | "dest" | "dm" | "inttype" | "vector";

function remappedAmdvi({ remapen, dest, dm, inttype, vector }: Values<RemappedField>): Content {
  return {
    mode: "remapped",
    present: remapen === 1,
    vector: Number(vector),
    destination: Number(dest),
    logical: dm === 1,
    deliveryMode: Number(inttype),
    source: null,
    descriptor: null,
    guest: null,
  };
}

function readAmdvi128(value: bigint): Content {
  if ((value & modeOf.amdvi) === 0n) return remappedAmdvi(decode(irteRemapped128, value));
  const { remapen, dest, vector, root, gatag, isrun, galogintr } = decode(irteGuest, value);
  return {
    mode: "guest",
    present: remapen === 1,
    vector: Number(vector),
    destination: Number(dest),
    logical: false,
    deliveryMode: null,
    source: null,
    descriptor: null,
    guest: { root: BigInt(root), tag: Number(gatag), running: isrun === 1, logs: galogintr === 1 },
  };
}

/**
 * The APIC id or logical destination that an entry names; undefined where that depends on a mode that is not known, or
 * it names none.
 * @param extended whether the unit has 32-bit destinations.
 */
export function destinationOf(entry: HostEntry, extended: boolean | undefined): number | undefined {
  const { destination, unit } = entry;
  if (destination === null) return undefined;
  if (unit.vendor === "amd") return extended === false ? destination & 0xff : destination;
  if (extended === undefined) return undefined;
  return extended ? destination : (destination >>> 8) & 0xff;
}
