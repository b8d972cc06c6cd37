import type { AmdviProfile } from "../../hardware/amdvi/profile.ts";
import * as guest from "../../spec/accessors/amdvi-irte-guest.ts";
import * as remapped from "../../spec/accessors/amdvi-irte-remapped.ts";
import { IntCtl } from "../../spec/amdvi/dte.ts";
import { irte32, irteBytes, irteGuest, irteRemapped128 } from "../../spec/amdvi/irte.ts";
import { decode, fromWords, hex, validate } from "../../spec/codec.ts";
import type { Layout } from "../../spec/layout.ts";
import { printDeviceFunction } from "../../spec/requester.ts";
import type { RuleId } from "../../spec/rules.ts";
import type { AmdviCommands } from "./amdvi-commands.ts";
import type { HazardList } from "./hazard-list.ts";
import type { Hazard } from "./hazard.ts";

/** Entries that are remembered; those of a longer trace's further entries are not compared. */
const entryLimit = 2 ** 17;
const words = 4;
const noTable = -1;
const lowestVector = 16;

/** What bears on how an entry is read, from the control register; undefined where the trace does not show it. */
export interface EntryModes {
  readonly xten: 0 | 1 | undefined;
  readonly gamen: boolean | undefined;
  readonly cached: boolean;
  /** The entry was looked up, and not for an interrupt. */
  readonly lookedUp: boolean;
}

/** One use of an entry by an interrupt. */
export interface EntryUse {
  readonly line: number;
  /** Low 8 bits of the DeviceID. */
  readonly low: number;
  /** The table's base, 52 bits. */
  readonly table: number;
  readonly index: number;
  readonly entry: Int32Array;
  readonly bytes: number;
}

/** An entry as an interrupt last found it. */
interface SeenEntry {
  readonly entry: Int32Array;
  line: number;
  /** What had been invalidated by then, and what was missing. */
  invalidations: number;
  holes: number;
}

/** A device's entry in the device table, as far as interrupts show it. */
interface SeenDevice {
  table: number;
  intCtl: number;
  line: number;
  deviceInvalidations: number;
  tableInvalidations: number;
  holes: number;
}

/** A change of a device's entry with something not invalidated, and what the entry was before. */
interface DeviceChange {
  readonly hazard: Hazard;
  readonly table: number;
  readonly intCtl: number;
}

/** What interrupts show of interrupt tables and of the device table, and what was invalidated between one and the next. */
export class AmdviEntries {
  /** Uses of devices that the trace cannot tell from others with the same low 8 bits. */
  ambiguous = 0;
  /** Uses of entries past what is remembered. */
  forgotten = 0;

  readonly #profile: AmdviProfile;
  readonly #commands: AmdviCommands;
  readonly #hazards: HazardList;
  /** By the low 8 bits of the DeviceID, the table's base and the index. */
  readonly #tables = Array.from({ length: 256 }, () => new Map<number, Map<number, SeenEntry>>());
  readonly #devices = new Map<number, SeenDevice>();
  /** By the low 8 bits, a change of the device's entry: if it is taken back, it was two devices all along. */
  readonly #changes = new Map<number, DeviceChange>();
  readonly #several = new Set<number>();
  #remembered = 0;

  constructor(profile: AmdviProfile, commands: AmdviCommands, hazards: HazardList) {
    this.#profile = profile;
    this.#commands = commands;
    this.#hazards = hazards;
  }

  /** An interrupt found its device's entry with this IntCtl and table (undefined where none was looked up). */
  device(line: number, low: number, intCtl: number, table: number | undefined): void {
    const invalidations = this.#commands.deviceInvalidations[low]! + this.#commands.invalidationsOfAll;
    const { tableInvalidations, holes } = this.#commands;
    const seen = this.#devices.get(low);
    if (seen === undefined) {
      const deviceInvalidations = invalidations;
      const base = table ?? noTable;
      this.#devices.set(low, { table: base, intCtl, line, deviceInvalidations, tableInvalidations, holes });
      return;
    }
    const change = this.#changes.get(low);
    if (change !== undefined && change.intCtl === intCtl && change.table === (table ?? change.table)) {
      this.#changes.delete(low);
      this.#several.add(low);
    }
    const moved = table !== undefined && seen.table !== noTable && table !== seen.table;
    if ((moved || intCtl !== seen.intCtl) && this.#profile.cacheDevices && holes === seen.holes) {
      this.#deviceChanged(seen, line, low, intCtl, moved ? table : undefined, invalidations);
    }
    seen.table = table ?? seen.table;
    seen.intCtl = intCtl;
    seen.line = line;
    seen.deviceInvalidations = invalidations;
    seen.tableInvalidations = tableInvalidations;
    seen.holes = holes;
  }

  /** An interrupt found its entry. */
  use(use: EntryUse, modes: EntryModes): void {
    const { line, low, table, index, entry, bytes } = use;
    let seen = this.#seen(low, table, index);
    const count = bytes / 4;
    const { tableInvalidations, holes } = this.#commands;
    if (seen !== undefined && same(seen.entry, entry, count)) {
      seen.line = line;
      seen.invalidations = tableInvalidations;
      seen.holes = holes;
      return;
    }
    if (!modes.lookedUp) this.#commands.useOfNew(line);
    this.#judge(use, modes);
    if (seen === undefined) {
      if (this.#remembered >= entryLimit) {
        this.forgotten++;
        return;
      }
      seen = { entry: new Int32Array(words), line, invalidations: tableInvalidations, holes };
      this.#tables[low]!.get(table)!.set(index, seen);
      this.#remembered++;
    } else if (
      modes.cached &&
      seen.invalidations === tableInvalidations &&
      seen.holes === holes &&
      !onlyUncached(seen.entry, entry, bytes)
    ) {
      this.#entryChanged(use, seen);
    }
    for (let i = 0; i < count; i++) seen.entry[i] = entry[i]!;
    seen.line = line;
    seen.invalidations = tableInvalidations;
    seen.holes = holes;
  }

  /** Ends the trace: changes that were not taken back are changes. */
  finish(): void {
    for (const { hazard } of this.#changes.values()) this.#hazards.add(hazard);
  }

  #seen(low: number, table: number, index: number): SeenEntry | undefined {
    const tables = this.#tables[low]!;
    let entries = tables.get(table);
    if (entries === undefined) {
      entries = new Map();
      if (this.#remembered < entryLimit) tables.set(table, entries);
    }
    return entries.get(index);
  }

  #entryChanged({ line, low, index, entry, bytes }: EntryUse, seen: SeenEntry): void {
    this.#hazards.add({
      rule: "amdvi.check.entry-changed",
      index,
      requester: this.#commands.deviceOf(low) ?? null,
      at: line,
      since: seen.line,
      found:
        `The entry of index ${index} of xx:${printDeviceFunction(low)} is ${printEntry(entry, bytes)}, was ` +
        `${printEntry(seen.entry, bytes)}, and no INVALIDATE_INTERRUPT_TABLE came between: hardware may still use the old one.`,
      fix: "Issue INVALIDATE_INTERRUPT_TABLE for the device after the entry is written, then COMPLETION_WAIT.",
    });
  }

  /** What changed in a device's entry, if it is clear whose it is. @param table where it moved to; undefined if it did not. */
  #deviceChanged(
    seen: SeenDevice,
    line: number,
    low: number,
    intCtl: number,
    table: number | undefined,
    invalidations: number,
  ): void {
    const device = this.#commands.deviceOf(low);
    if (device === undefined || this.#several.has(low)) {
      this.ambiguous++;
      return;
    }
    const name = `xx:${printDeviceFunction(low)}`;
    const change =
      table === undefined
        ? `IntCtl of ${name} is ${printIntCtl(intCtl)}, was ${printIntCtl(seen.intCtl)}`
        : `The interrupt table of ${name} lies at ${hex(table)}, was at ${hex(seen.table)}`;
    const stale = seen.deviceInvalidations === invalidations;
    const entriesStale =
      table !== undefined &&
      this.#profile.cacheTables &&
      seen.tableInvalidations === this.#commands.tableInvalidations;
    if (!stale && !entriesStale) return;
    if (this.#changes.has(low)) return;
    this.#changes.set(low, {
      table: seen.table,
      intCtl: seen.intCtl,
      hazard: {
        rule: stale ? "amdvi.check.device-entry-changed" : "amdvi.check.entry-changed",
        index: null,
        requester: device,
        at: line,
        since: seen.line,
        found: stale
          ? `${change}, and no INVALIDATE_DEVTAB_ENTRY of it came between: hardware may still use the old one.`
          : `${change}, and no INVALIDATE_INTERRUPT_TABLE came between: hardware may still use entries of the old one.`,
        fix:
          "Issue INVALIDATE_DEVTAB_ENTRY and INVALIDATE_INTERRUPT_TABLE for the device after its entry is written, " +
          "then COMPLETION_WAIT.",
      },
    });
  }

  /** What a real unit would not take, or would not deliver. */
  #judge({ line, low, index, entry, bytes }: EntryUse, modes: EntryModes): void {
    if (remapped.remapenOf(entry[0]!) === 0) return;
    const value = fromWords(entry, 0, bytes * 8);
    const guestMode = remapped.guestmodeOf(entry[0]!) === 1;
    const report = (rule: RuleId, found: string, fix: string): void =>
      this.#hazards.add({
        rule,
        index,
        requester: this.#commands.deviceOf(low) ?? null,
        at: line,
        since: null,
        found: `The entry of index ${index} of xx:${printDeviceFunction(low)}, ${printEntry(entry, bytes)}: ${found}.`,
        fix,
      });
    const legacy = bytes === irteBytes.legacy;
    const layout: Layout = legacy ? irte32 : guestMode ? irteGuest : irteRemapped128;
    const vector = Number(legacy ? decode(irte32, value).vector : decode(irteRemapped128, value).vector);
    const checked = !this.#profile.deviations.includes("entryUnchecked");
    const violations = checked
      ? validate(layout, value, modes.xten === undefined ? {} : { xten: modes.xten })
      : [];
    const { rule, found } = violations.find(({ when }) => when === undefined) ?? {};
    if (rule !== undefined && found !== undefined) {
      report(
        rule,
        found,
        "Write the entry as the specification lays it out: a real unit blocks the interrupt.",
      );
    } else if (guestMode && bytes === irteBytes.ga && modes.gamen === false) {
      report(
        "amdvi.irte.guest-mode",
        "GuestMode=1 while GAEn and GAMEn do not turn guest mode on",
        "Set GAEn and GAMEn before an entry is switched to guest mode.",
      );
    } else if (!guestMode && vector < lowestVector) {
      report(
        "apic.vector.illegal-received",
        `vector ${vector}`,
        "Use a vector of 16 or more: a real local APIC does not take it.",
      );
    }
  }
}

function same(a: Int32Array, b: Int32Array, count: number): boolean {
  for (let i = 0; i < count; i++) if (a[i] !== b[i]) return false;
  return true;
}

/** Whether entries differ only in what a unit reads anew for each message: IsRun, GALogIntr, Destination, GATag of guest mode. */
function onlyUncached(a: Int32Array, b: Int32Array, bytes: number): boolean {
  if (bytes !== irteBytes.ga) return false;
  if (guest.guestmodeOf(a[0]!) === 0 || guest.guestmodeOf(b[0]!) === 0) return false;
  const read0 = guest.ISRUN_MASK | guest.GALOGINTR_MASK | 0xffff_ff00;
  return ((a[0]! ^ b[0]!) & ~read0) === 0 && a[2] === b[2] && ((a[3]! ^ b[3]!) & 0x00ff_ffff) === 0;
}

function printEntry(entry: Int32Array, bytes: number): string {
  if (bytes === irteBytes.legacy) return hex(entry[0]! >>> 0);
  return `${hex(fromWords(entry, 2, 64))} ${hex(fromWords(entry, 0, 64))}`;
}

const intCtlNames: Readonly<Record<number, string>> = {
  [IntCtl.abort]: "00b",
  [IntCtl.pass]: "01b",
  [IntCtl.remap]: "10b",
  [IntCtl.reserved]: "11b",
};

function printIntCtl(intCtl: number): string {
  return intCtlNames[intCtl]!;
}
