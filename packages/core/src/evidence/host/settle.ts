import { decode } from "../../spec/codec.ts";
import { irteGuest, irteRemapped128, irte32 } from "../../spec/amdvi/irte.ts";
import { control as controlLayout, extendedFeature } from "../../spec/amdvi/registers.ts";
import { irteRemapped } from "../../spec/vtd/irte.ts";
import { extendedCapability, globalStatus, tableAddress } from "../../spec/vtd/registers.ts";
import { type Draft, type HostDraft, learn } from "./draft.ts";
import { type Fact, type Origin, fact } from "./fact.ts";
import type { ApicRouting } from "./system.ts";
import type { AmdviUnitState, TableEntries, VtdUnitState } from "./unit.ts";

/** Adds what follows from facts that are there: of units from their registers, of processors from the routing. */
export function settleHost(draft: HostDraft): void {
  for (const unit of draft.units) {
    if (unit.vendor === "intel") settleVtd(unit);
    else settleAmdvi(unit);
  }
  if (draft.system.routing === undefined) learn(draft.system, "routing", routingOfEntries(draft));
  settleProcessors(draft);
}

function settleVtd(unit: Draft<VtdUnitState>): void {
  const { registers } = unit;
  learn(unit, "capability", registers.get("CAP"));
  learn(unit, "extendedCapability", registers.get("ECAP"));
  const version = registers.get("VER");
  if (version !== undefined) unit.version ??= fact(Number(version.value), version.origin);
  const status = registers.get("GSTS");
  if (status !== undefined) {
    const on = decode(globalStatus, BigInt.asUintN(32, status.value)).ires === 1;
    unit.remapping ??= fact(on, status.origin);
  }
  const address = registers.get("IRTA");
  if (address !== undefined) {
    const { eime, irta, s } = decode(tableAddress, address.value);
    unit.extendedMode ??= fact(eime === 1, address.origin);
    const { table } = unit;
    if (table !== undefined) {
      const { base, length } = table.value;
      const whole = { base: base ?? BigInt(irta), length: length ?? 2 << Number(s) };
      unit.table = fact({ ...table.value, ...whole }, table.origin);
    }
  }
  const extended = unit.extendedCapability;
  if (extended !== undefined && decode(extendedCapability, extended.value).eim === 0) {
    unit.extendedMode ??= fact(false, extended.origin);
  }
}

function settleAmdvi(unit: Draft<AmdviUnitState>): void {
  const { registers } = unit;
  learn(unit, "control", registers.get("CONTROL"));
  learn(unit, "features", registers.get("EFR"));
  learn(unit, "features2", registers.get("EFR2"));
  const { control, features } = unit;
  if (control !== undefined) {
    unit.extendedMode ??= fact(decode(controlLayout, control.value).xten === 1, control.origin);
  }
  if (features !== undefined && decode(extendedFeature, features.value).xtsup === 0) {
    unit.extendedMode ??= fact(false, features.origin);
  }
}

/**
 * How the APICs are addressed, from the entries that Linux made: it writes them all with the destination mode of its
 * APIC driver, of which there is one with logical destinations of 8 bits (flat), one of 32 bits (cluster), and for each
 * width one with physical ones. Undefined where the entries do not agree.
 */
function routingOfEntries(draft: HostDraft): Fact<ApicRouting> | undefined {
  let found: { routing: ApicRouting; origin: Origin } | undefined;
  for (const { logical, extended, origin } of modesOf(draft)) {
    const routing: ApicRouting = {
      mode: extended ? "x2apic" : "xapic",
      destinations: logical ? (extended ? "cluster" : "flat") : "physical",
    };
    if (found === undefined) found = { routing, origin };
    else if (found.routing.mode !== routing.mode || found.routing.destinations !== routing.destinations) {
      return undefined;
    }
  }
  return found === undefined ? undefined : fact(found.routing, found.origin);
}

function* modesOf(draft: HostDraft): Generator<{ logical: boolean; extended: boolean; origin: Origin }> {
  for (const unit of draft.units) {
    const extended = unit.extendedMode?.value;
    if (extended === undefined) continue;
    const tables: Fact<TableEntries>[] =
      unit.vendor === "amd" ? [...unit.tables.values()] : unit.table === undefined ? [] : [unit.table];
    for (const { value, origin } of tables) {
      for (const [index, entry] of value.entries) {
        const dm = unit.vendor === "intel" ? vtdMode(entry) : amdviMode(entry, value.width);
        if (dm !== undefined)
          yield { logical: dm === 1, extended, origin: { ...origin, place: `entry ${index}` } };
      }
    }
  }
}

/** The destination mode of an entry; undefined for one that is not present, or posts. */
function vtdMode(entry: bigint): number | undefined {
  const { p, im, dm } = decode(irteRemapped, entry);
  return p === 1 && im === 0 ? Number(dm) : undefined;
}

function amdviMode(entry: bigint, width: 32 | 128): number | undefined {
  if (width === 128 && decode(irteGuest, entry).guestmode === 1) return undefined;
  const { remapen, dm } = decode(width === 128 ? irteRemapped128 : irte32, entry);
  return remapen === 1 ? Number(dm) : undefined;
}

function settleProcessors(draft: HostDraft): void {
  const { routing } = draft.system;
  if (routing === undefined) return;
  for (const processor of draft.processors) {
    const { cpu, apicId } = processor;
    if (routing.value.destinations === "flat" && cpu < 8) {
      // Linux gives each processor the bit of its number.
      processor.logicalId ??= fact(1 << cpu, routing.origin);
    } else if (routing.value.mode === "x2apic" && apicId !== undefined) {
      // The hardware makes it of the id (SDM vol. 3 §11.12.10.2).
      const id = apicId.value;
      processor.logicalId ??= fact((((id >>> 4) << 16) | (1 << (id & 15))) >>> 0, apicId.origin);
    }
  }
}
