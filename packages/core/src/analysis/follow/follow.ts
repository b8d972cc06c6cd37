import { printFunction } from "../../spec/requester.ts";
import { InputError } from "../../evidence/input-error.ts";
import { type Origin, fact } from "../../evidence/host/fact.ts";
import type { PciDevice } from "../../evidence/host/device.ts";
import type { HostState } from "../../evidence/host/state.ts";
import type { HostEntry } from "../host/entry.ts";
import { HostLinks } from "../host/links.ts";
import type { FollowedInterrupt, Following } from "./following.ts";
import { Follower } from "./interrupt.ts";
import { requesterOf } from "./requester.ts";
import type { Followed } from "./source.ts";
import { type Subject, interruptsOf, readSubject } from "./subject.ts";
import { type FollowedVcpu, followVcpu } from "./vcpu.ts";

/**
 * Follows what a user names on a host.
 * @param subject `01:00.0`, `01:00.0:3`, `irq 38`, `dmar0:22`, `4711/0`.
 * @throws InputError for a subject that cannot be read or is not on the host.
 */
export function follow(state: HostState, subject: string): Following | FollowedVcpu {
  const links = new HostLinks(state);
  const read = readSubject(links, subject);
  if (read.kind === "vcpu") return followVcpu(links, read.machine, read.vcpu, subject);
  return { subject, kind: read.kind, interrupts: interruptsFor(new Follower(links), read) };
}

function interruptsFor(
  follower: Follower,
  subject: Exclude<Subject, { kind: "vcpu" }>,
): readonly FollowedInterrupt[] {
  switch (subject.kind) {
    case "interrupt":
      return [follower.interrupt(subject.interrupt)];
    case "entry":
      return entryInterrupts(follower, subject);
    default:
      return deviceInterrupts(follower, subject);
  }
}

function deviceInterrupts(
  follower: Follower,
  { device, vector }: Subject & { kind: "device" },
): FollowedInterrupt[] {
  const { links } = follower;
  const own = interruptsOf(links, device);
  if (own.length === 0) {
    const why =
      device.messageIrqs === undefined ? `${links.state.source} does not tell them` : "Linux uses none";
    throw new InputError(`device ${printFunction(device)}: none of its interrupts is known: ${why}`);
  }
  const chosen = own.filter((one) => {
    const source = links.sourceOf(one);
    return vector === null || (source?.kind === "pci" && source.index === vector);
  });
  return chosen.map((one) => follower.interrupt(one));
}

/** The interrupts that go through an entry; one that nobody is known to use is followed as if its source asked for it. */
function entryInterrupts(
  follower: Follower,
  { unit, requester, index }: Subject & { kind: "entry" },
): FollowedInterrupt[] {
  const { links } = follower;
  const entry = links.entryAt(unit, requester, index);
  const users = entry === undefined ? [] : links.interruptsOf(entry);
  if (users.length > 0) return users.map((one) => follower.interrupt(one));
  const table = unit.vendor === "intel" ? unit.table : unit.tables.get(requester!);
  const origin: Origin = entry?.origin ?? table?.origin ?? { source: links.state.source };
  const senders = entry === undefined ? [] : sendersOf(links, entry);
  const ids = new Set(senders.map(({ id }) => id));
  const platform = entry === undefined ? undefined : links.platformSourceBehind(entry);
  const whose = requester ?? platform?.requester ?? (ids.size === 1 ? [...ids][0] : undefined);
  const [only] = senders.length === 1 && platform === undefined ? senders : [];
  const followed: Followed = {
    interrupt: undefined,
    source: only && {
      kind: "pci",
      segment: only.device.segment,
      requester: only.device.requester,
      index: null,
    },
    device: only?.device,
    unit,
    reference: fact({ unit: unit.name, requester, index }, origin),
    ...(only === undefined && whose !== undefined ? { requester: fact(whose, origin) } : {}),
  };
  return [follower.follow(followed)];
}

/** The functions whose requests an entry lets through, each with its requester id. */
function sendersOf(
  links: HostLinks,
  entry: HostEntry,
): { readonly device: PciDevice; readonly id: number }[] {
  if (entry.source?.svt === 0) return [];
  const segment = links.segmentOf(entry.unit);
  return links.state.devices.flatMap((device) => {
    const { id } = device.segment === segment ? requesterOf(links, device) : { id: undefined };
    return id !== undefined && links.admits(entry, id) === true ? [{ device, id }] : [];
  });
}
