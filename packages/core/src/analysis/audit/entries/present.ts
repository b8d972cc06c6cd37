import type { TableEntries } from "../../../evidence/host/unit.ts";
import type { HostEntry } from "../../host/entry.ts";
import type { Claim } from "../claims.ts";
import type { AuditedHost } from "../host.ts";
import type { Look } from "../look.ts";

/** The present entries of every table; units without one are named as missing. */
export function presentEntries(host: AuditedHost, look: Look): readonly HostEntry[] {
  namesMissingTables(host, look);
  return host.links.entries.filter(({ present }) => present);
}

/** Of those, the ones that the host's own processors take. */
export function remappedEntries(host: AuditedHost, look: Look): readonly HostEntry[] {
  return presentEntries(host, look).filter(({ mode }) => mode === "remapped");
}

export function namesMissingTables({ state, links }: AuditedHost, look: Look): void {
  if (state.units.length === 0) look.lacks("remapping units");
  for (const unit of state.units) {
    const tables = links.tables.filter((table) => table.unit === unit);
    if (tables.length === 0) look.lacks(`the remapping table of ${unit.name}`);
    else if (tables.some(({ table }) => !table.value.complete)) look.lacks(`all entries of ${unit.name}`);
  }
}

/** The table that a claim goes into; undefined where it is not known. */
export function tableOf({ links }: AuditedHost, { unit, requester }: Claim): TableEntries | undefined {
  return links.tables.find(
    (table) => table.unit === unit && (requester === null || table.shared.includes(requester)),
  )?.table.value;
}
