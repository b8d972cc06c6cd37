import type { PciDevice } from "../../../evidence/host/device.ts";
import { southBridgeIoapic } from "../../../spec/amdvi/request.ts";
import { printRequester } from "../../../spec/requester.ts";
import { busesBehind } from "../../host/bridges.ts";
import type { HostEntry } from "../../host/entry.ts";
import type { Claim } from "../claims.ts";
import { check } from "../check.ts";
import type { AuditedHost } from "../host.ts";
import type { Look } from "../look.ts";
import { entryEvidence, entryName, entrySubject, listed } from "../naming.ts";
import { capital } from "./content.ts";
import { namesMissingTables, presentEntries, tableOf } from "./present.ts";

export const missingEntries = check({
  rule: "vtd.ir.not-present",
  amdRule: "amdvi.ir.not-enabled",
  also: ["vtd.ir.index-out-of-range", "amdvi.ir.index-out-of-range"],
  severity: "medium",
  vendor: null,
  looksAt: "the entries that interrupts and MSI capabilities name",
  why: "The interrupt is blocked as soon as the device sends it, and its driver waits.",
  fix: "Unbind and bind the driver of the device, so that its interrupts are set up anew; then find out who freed the entry.",
  find(host, look) {
    namesMissingTables(host, look);
    usersKnown(host, look);
    for (const claim of host.claims) {
      const table = tableOf(host, claim);
      if (table === undefined || !claim.live) continue;
      const { unit, index, entry, evidence, name } = claim;
      const amd = unit.vendor === "amd";
      if (table.length !== null && index >= table.length) {
        look.at();
        look.add({
          rule: amd ? "amdvi.ir.index-out-of-range" : "vtd.ir.index-out-of-range",
          subject: claim.subject,
          title: `${capital(name)} names ${entryName(claim)}, and the table has ${table.length}.`,
          evidence,
        });
        continue;
      }
      if (entry === undefined && !table.complete) continue;
      look.at();
      if (entry?.present === true) continue;
      look.add({
        subject: claim.subject,
        title: `${capital(name)} goes through ${entryName(claim)}, which is ${entry === undefined ? "zero" : amd ? "off (RemapEn is 0)" : "not present (P is 0)"}.`,
        evidence: [...evidence, ...(entry === undefined ? [] : [entryEvidence(entry)])],
      });
    }
  },
});

/** Interrupts through an entry, by what sends them: vectors of one function that share one are two. */
function sharersOf({ claims }: AuditedHost): Map<HostEntry, Claim[]> {
  const sharers = new Map<HostEntry, Claim[]>();
  for (const claim of claims) {
    if (claim.entry === undefined) continue;
    const before = sharers.get(claim.entry);
    if (before === undefined) sharers.set(claim.entry, [claim]);
    else before.push(claim);
  }
  return sharers;
}

export const sharedEntries = check({
  rule: "audit.entry.shared",
  severity: "high",
  vendor: null,
  looksAt: "the entries that interrupts and MSI capabilities name",
  why: "One of the two arrives as the other, or is blocked for its source; freeing one takes both.",
  fix: "Unbind and bind the drivers of both devices; then find out who programmed the message.",
  find(host, look) {
    namesMissingTables(host, look);
    usersKnown(host, look);
    for (const [entry, claims] of sharersOf(host)) {
      look.at();
      if (claims.length < 2) continue;
      look.add({
        subject: entrySubject(entry),
        title: `${capital(entryName(entry))} is used by ${listed(claims.map(({ name }) => name))}.`,
        evidence: [...claims.flatMap(({ evidence }) => evidence), entryEvidence(entry)],
      });
    }
  },
});

export const foreignEntries = check({
  rule: "vtd.ir.sid-mismatch",
  severity: "high",
  vendor: "intel",
  looksAt:
    "SID, SQ and SVT of entries against the function, IOAPIC or HPET whose interrupt goes through them",
  why: "The device's own interrupt is blocked with fault reason 26h, and another device can send it in its place.",
  fix: "Unbind and bind the driver of the device; if it comes back, its requests carry another id than its own: see the DMA alias quirks of the kernel.",
  find(host, look) {
    namesMissingTables(host, look);
    usersKnown(host, look);
    for (const [entry, claims] of sharersOf(host)) {
      const [claim] = claims;
      // Of two users one is foreign for certain, and audit.entry.shared says so.
      if (claims.length !== 1 || !entry.present || entry.unit.vendor !== "intel") continue;
      if (claim!.senders.length === 0) {
        look.lacks(`the requester id of ${claim!.name}`);
        continue;
      }
      const verdicts = new Set(claim!.senders.map((id) => host.links.admits(entry, id)));
      if (verdicts.has(undefined)) continue;
      look.at();
      if (verdicts.has(true)) continue;
      if ((entry.source!.sid | entry.source!.svt) === 0) continue;
      look.add({
        subject: entrySubject(entry),
        title: `${capital(entryName(entry))} does not let its own interrupt through: ${claim!.name} comes from ${printRequester(claim!.senders[0]!)}, the entry admits ${admitted(entry)}.`,
        evidence: [...claim!.evidence, entryEvidence(entry)],
      });
    }
  },
});

const qualifiers = ["", ", whatever its bit 2", ", whatever its bits 2:1", ", whatever its function"];

function admitted({ source }: HostEntry): string {
  const { sid, sq, svt } = source!;
  if (svt === 2) return `buses ${(sid >>> 8).toString(16)}h to ${(sid & 0xff).toString(16)}h`;
  return `${printRequester(sid)}${qualifiers[sq]!}`;
}

/** Whether every remapped interrupt is known to go through some entry; what is not is named. */
export function usersKnown({ state, links }: AuditedHost, look: Look): boolean {
  const remapped = state.interrupts.filter(({ chip }) => chip?.value.startsWith("IR-") === true);
  const open = remapped.filter((irq) => links.referenceOf(irq) === undefined);
  if (remapped.length === 0) look.lacks("which interrupts go through which entries");
  else if (open.length > 0)
    look.lacks(`which entries ${open.length} of ${remapped.length} remapped interrupts go through`);
  return remapped.length > 0 && open.length === 0;
}

export const absentSources = check({
  rule: "audit.entry.absent-source",
  severity: "medium",
  vendor: null,
  looksAt: "source ids of present entries, and owners of AMD-Vi tables, against the functions of the host",
  why: "A device that is plugged in there, or made to answer there, can send the interrupt of one that is gone.",
  fix: "Find out which device was there, and whether its removal was complete; a restart clears the entry.",
  find(host, look) {
    if (host.state.devices.length === 0) return look.lacks("PCI functions");
    const claimed = new Set(host.claims.flatMap(({ entry }) => (entry === undefined ? [] : [entry])));
    for (const entry of presentEntries(host, look)) {
      const absent = isAbsent(host, entry);
      if (absent === undefined) {
        look.lacks("what every source id stands for");
        continue;
      }
      look.at();
      // One that is in use and has a wrong source is foreign: vtd.ir.sid-mismatch.
      if (!absent || claimed.has(entry)) continue;
      const from = entry.source === null ? printRequester(entry.requester!) : admitted(entry);
      look.add({
        subject: entrySubject(entry),
        title: `${capital(entryName(entry))} is for ${from}, and there is no such device.`,
        evidence: [entryEvidence(entry)],
      });
    }
  },
});

/** Whether nothing on the host can send through an entry; undefined where that cannot be told. */
export function isAbsent(host: AuditedHost, entry: HostEntry): boolean | undefined {
  const { links, state } = host;
  if (entry.source?.svt === 0) return false;
  if (entry.source?.svt === 3) return undefined;
  const segment = links.segmentOf(entry.unit);
  if (segment === undefined) return undefined;
  if (links.platformSourceBehind(entry) !== undefined || entry.requester === southBridgeIoapic) return false;
  const { firmware } = state;
  const ids = state.devices.filter((device) => device.segment === segment).flatMap(ownIds);
  if (ids.some((id) => links.admits(entry, id) === true)) return false;
  const shared = links.tables.find(
    (one) => one.unit === entry.unit && one.requester === entry.requester,
  )?.shared;
  if (entry.source === null && shared?.some((id) => ids.includes(id)) === true) return false;
  // Without the firmware's table, or with one that leaves an IOAPIC out, it may be an IOAPIC or HPET.
  if ((entry.unit.vendor === "intel" ? firmware.dmar : firmware.ivrs) === undefined) return undefined;
  const named = new Set(links.platformSources.filter(({ kind }) => kind === "ioapic").map(({ id }) => id));
  return firmware.madt?.value.ioapics.some(({ id }) => !named.has(id)) === true ? undefined : true;
}

/** The id of a function, and for a bridge the one under which it may send on. */
function ownIds(device: PciDevice): number[] {
  const buses = busesBehind(device);
  return buses === undefined || buses === null ? [device.requester] : [device.requester, buses.from << 8];
}
