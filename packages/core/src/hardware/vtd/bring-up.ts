import { decode, encode, toWords } from "../../spec/codec.ts";
import { descriptorTypes, interruptEntryCacheInvalidate } from "../../spec/vtd/descriptors.ts";
import { globalCommand, globalStatus, registers, tableAddress } from "../../spec/vtd/registers.ts";
import type { VtdUnit } from "./unit.ts";

export interface RemappingTable {
  /** Physical address of the table, a multiple of 4096 and of its size. */
  readonly base: number;
  /** IRTA.S: the table has 2^(size+1) entries. */
  readonly size: number;
  /** x2APIC mode: 32-bit destinations. */
  readonly eime?: boolean;
  /** Let compatibility-format requests through (CFI). */
  readonly compatibility?: boolean;
}

/** Brings a unit up in the order that the specification asks for: queue, table, global invalidation, enable. */
export function enableRemapping(unit: VtdUnit, table: RemappingTable): void {
  command(unit, { qie: 1 });
  setTable(unit, table);
  if (table.compatibility === true) command(unit, { cfi: 1 });
  command(unit, { ire: 1 });
}

/** Points a unit to a table: IRTA, SIRTP, global invalidation. */
export function setTable(unit: VtdUnit, table: RemappingTable): void {
  const value = encode(tableAddress, { irta: table.base, s: table.size, eime: table.eime === true ? 1 : 0 });
  unit.write(registers.IRTA.offset, 64, value);
  command(unit, { sirtp: 1 });
  invalidateEntries(unit);
}

/** Drops every cached entry, or the 2^mask entries around one. */
export function invalidateEntries(unit: VtdUnit, index?: number, mask = 0): void {
  const selection = index === undefined ? {} : { g: 1, iidx: index, im: mask };
  const type = descriptorTypes.interruptEntryCache;
  unit.executeDescriptor(toWords(encode(interruptEntryCacheInvalidate, { type, ...selection }), 128));
}

type Command = Partial<Record<keyof typeof globalCommand.fields, 0 | 1>>;

/** Writes GCMD with some bits changed and the others as GSTS shows them. */
export function command(unit: VtdUnit, change: Command): void {
  const { cfis, ires, qies, tes } = decode(globalStatus, unit.read(registers.GSTS.offset, 32));
  unit.write(
    registers.GCMD.offset,
    32,
    encode(globalCommand, { cfi: cfis, ire: ires, qie: qies, te: tes, ...change }),
  );
}
