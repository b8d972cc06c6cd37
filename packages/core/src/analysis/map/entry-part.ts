import { hex } from "../../spec/codec.ts";
import { printFunction } from "../../spec/requester.ts";
import { deliveryModes } from "../../spec/msi/message.ts";
import type { HostEntry } from "../host/entry.ts";
import type { HostLinks } from "../host/links.ts";
import type { MapRow } from "./row.ts";

/** What a row says of an entry. */
export type EntryPart = Pick<
  MapRow,
  | "unit"
  | "index"
  | "requester"
  | "mode"
  | "vector"
  | "destination"
  | "logical"
  | "delivery"
  | "processors"
  | "descriptor"
  | "machine"
  | "vcpu"
  | "value"
  | "source"
>;

export function entryPart(links: HostLinks, entry: HostEntry): EntryPart {
  const { unit, index, mode, vector, value, source, descriptor, guest, logical } = entry;
  const postee = links.posteeOf(entry);
  const address = descriptor ?? guest?.root;
  const posts = mode !== "remapped";
  return {
    unit: unit.name,
    index,
    requester: requesterOf(links, entry),
    mode,
    vector,
    destination: links.destinationOf(entry) ?? null,
    logical,
    delivery: deliveryOf(entry),
    processors: posts ? posted(postee?.owner) : (links.targetsOf(entry)?.map(({ cpu }) => cpu) ?? null),
    descriptor: address === undefined ? null : hex(address),
    machine: postee?.owner.kind === "vcpu" ? postee.owner.machine : null,
    vcpu: postee?.owner.kind === "vcpu" ? postee.owner.vcpu : null,
    value: hex(value),
    source: source === null ? null : { ...source, sid: hex(source.sid) },
  };
}

type Owner = NonNullable<ReturnType<HostLinks["posteeOf"]>>["owner"];

/** Posted MSI of the host goes to one processor; where a vCPU runs is not the entry's to say. */
function posted(owner: Owner | undefined): number[] | null {
  return owner?.kind === "cpu" ? [owner.cpu] : null;
}

function requesterOf(links: HostLinks, { unit, requester, source }: HostEntry): string | null {
  const segment = links.segmentOf(unit) ?? 0;
  if (requester !== null) return printFunction({ segment, requester });
  return source === null || source.svt >= 2 ? null : printFunction({ segment, requester: source.sid });
}

function deliveryOf({ unit, deliveryMode }: HostEntry): string | null {
  if (deliveryMode === null) return null;
  if (unit.vendor === "amd") return ["fixed", "arbitrated"][deliveryMode] ?? `reserved ${deliveryMode}`;
  const known: Readonly<Record<number, string>> = deliveryModes;
  return known[deliveryMode] ?? `reserved ${deliveryMode}`;
}

/** The device of an entry that no interrupt is known to use, where the entry admits just one. */
export function deviceBehind(
  links: HostLinks,
  entry: HostEntry,
): Pick<MapRow, "device" | "driver" | "kind"> | undefined {
  const { source, requester, unit } = entry;
  const platform = links.platformSourceBehind(entry);
  if (platform !== undefined) {
    return { device: `${platform.kind}${platform.id}`, driver: null, kind: platform.kind };
  }
  const id = requester ?? (source?.svt === 1 && source.sq === 0 ? source.sid : undefined);
  const segment = links.segmentOf(unit);
  if (id === undefined || segment === undefined) return undefined;
  const device = links.deviceAt(segment, id);
  if (device === undefined) return undefined;
  return { device: printFunction(device), driver: device.driver?.value ?? null, kind: null };
}
