import { printFunction } from "../../../spec/requester.ts";
import type { PciDevice } from "../../../evidence/host/device.ts";
import type { HostEntry } from "../../host/entry.ts";
import { check } from "../check.ts";
import type { AuditedHost } from "../host.ts";
import type { Look } from "../look.ts";
import { deviceSubject, entryEvidence, entryName, entrySubject } from "../naming.ts";
import { capital } from "./content.ts";
import { presentEntries } from "./present.ts";
import { isAbsent, usersKnown } from "./users.ts";

export const staleEntries = check({
  rule: "audit.entry.stale",
  severity: "medium",
  vendor: null,
  looksAt:
    "present entries against those that the kernel has given away, its interrupts, or how many a function has",
  why: "Its source can send an interrupt that nobody handles, or that is by now another's vector.",
  fix: "Find out who freed the interrupt without clearing the entry; a restart clears it.",
  find(host, look) {
    const claimed = new Set(host.claims.map(({ entry }) => entry));
    const allocations = new Map(
      host.links.tables.map(({ unit, requester, table }) => [
        `${unit.name} ${requester}`,
        table.value.allocated,
      ]),
    );
    const unclaimed: HostEntry[] = [];
    for (const entry of presentEntries(host, look)) {
      const allocated = allocations.get(`${entry.unit.name} ${entry.requester}`);
      if (allocated === undefined && !claimed.has(entry)) unclaimed.push(entry);
      else look.at();
      if (allocated === undefined || claimed.has(entry) || allocated.has(entry.index)) continue;
      if (isAbsent(host, entry) !== true) report(entry, "and the kernel has not given it away", look);
    }
    if (unclaimed.length === 0) return;
    if (usersKnown(host, look)) {
      look.at(unclaimed.length);
      for (const entry of unclaimed)
        if (isAbsent(host, entry) !== true) report(entry, "and no interrupt goes through it", look);
    } else countByDevice(host, look);
  },
});

function report(entry: HostEntry, why: string, look: Look): void {
  look.add({
    subject: entrySubject(entry),
    title: `${capital(entryName(entry))} is present, ${why}.`,
    evidence: [entryEvidence(entry)],
  });
}

/** Where it is not known which interrupt goes through which entry, a function has at most one present entry for each. */
function countByDevice(host: AuditedHost, look: Look): void {
  const entries = new Map<PciDevice, HostEntry[]>();
  const users = new Map(host.claims.map(({ entry, device }) => [entry, device]));
  for (const entry of host.links.entries) {
    const device = entry.present ? onlySource(host, entry) : undefined;
    // One that another function uses has a wrong source, and is no entry too many of this one.
    if (device === undefined || (users.has(entry) && users.get(entry) !== device)) continue;
    const before = entries.get(device);
    if (before === undefined) entries.set(device, [entry]);
    else before.push(entry);
  }
  for (const [device, present] of entries) {
    const interrupts = interruptsOf(device);
    if (interrupts === undefined) continue;
    look.at(present.length);
    if (present.length <= interrupts) continue;
    const name = printFunction(device);
    if (interrupts === 0) {
      for (const entry of present) report(entry, `and ${name} has no interrupts`, look);
      continue;
    }
    look.add({
      subject: deviceSubject(device),
      title: `${present.length} entries let ${name} through, and it has ${interrupts} interrupts.`,
      evidence: [
        { what: `${interrupts} interrupts`, origin: device.messageIrqs!.origin },
        ...present.map(entryEvidence),
      ],
    });
  }
}

/** The one function that an entry is for: by its own id, through no bridge, and no IOAPIC or HPET. */
function onlySource({ links }: AuditedHost, entry: HostEntry): PciDevice | undefined {
  if (entry.source !== null && (entry.source.svt !== 1 || entry.source.sq !== 0)) return undefined;
  if (links.platformSourceBehind(entry) !== undefined) return undefined;
  const shared = links.tables.find(
    (one) => one.unit === entry.unit && one.requester === entry.requester,
  )?.shared;
  if (entry.source === null && shared?.length !== 1) return undefined;
  const segment = links.segmentOf(entry.unit);
  return segment === undefined ? undefined : links.deviceAt(segment, entry.source?.sid ?? entry.requester!);
}

/** How many interrupts a function's messages have; undefined where that is not known. */
function interruptsOf({ messageIrqs, msi, msix, config }: PciDevice): number | undefined {
  if (messageIrqs !== undefined) return messageIrqs.value.length;
  if (config === undefined || config.value.length < 256) return undefined;
  return msi?.value.enabled === true || msix?.value.enabled === true ? undefined : 0;
}
