import type { PciDevice } from "../../evidence/host/device.ts";
import type { Origin } from "../../evidence/host/fact.ts";
import { printFunction, printRequester } from "../../spec/requester.ts";
import type { HostEntry } from "../host/entry.ts";
import type { Evidence, Subject } from "./check.ts";

export function deviceSubject({ segment, requester }: Pick<PciDevice, "segment" | "requester">): Subject {
  return { kind: "device", name: printFunction({ segment, requester }) };
}

export function entrySubject(entry: Pick<HostEntry, "unit" | "requester" | "index">): Subject {
  return { kind: "entry", name: entryName(entry) };
}

/** `entry 33 of dmar0`, `entry 3 of 01:00.0 at ivhd0` */
export function entryName({
  unit,
  requester,
  index,
}: Pick<HostEntry, "unit" | "requester" | "index">): string {
  return requester === null
    ? `entry ${index} of ${unit.name}`
    : `entry ${index} of ${printRequester(requester)} at ${unit.name}`;
}

/** An entry as evidence: its bits, and where it stands. */
export function entryEvidence(entry: HostEntry): Evidence {
  const { origin, index } = entry;
  const place = origin.place === undefined ? `entry ${index}` : `${origin.place}, entry ${index}`;
  return { what: printEntry(entry), origin: { source: origin.source, place } };
}

/** An entry as the kernel prints it. */
function printEntry({ value, width }: Pick<HostEntry, "value" | "width">): string {
  if (width === 32) return value.toString(16).padStart(8, "0");
  return `${half(value >> 64n)} ${half(value)}`;
}

export function lineOf(origin: Origin, line: number): Origin {
  return { source: origin.source, place: `line ${line}` };
}

/** `major.minor` of what `uname -r` prints; undefined for what is no release of Linux. */
export function releaseOf(release: string): string | undefined {
  return /^(\d{1,3}\.\d{1,3})(?:[.\-+~]|$)/.exec(release)?.[1];
}

function half(word: bigint): string {
  return BigInt.asUintN(64, word).toString(16).padStart(16, "0");
}

/** As many names as fit into a sentence. */
export function listed(names: readonly string[], most = 5): string {
  const shown = names.slice(0, most).join(", ");
  return names.length > most ? `${shown} and ${names.length - most} more` : shown;
}
