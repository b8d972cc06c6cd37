import { printFunction } from "../../spec/requester.ts";
import type { PciDevice } from "../../evidence/host/device.ts";
import type { LinuxInterrupt } from "../../evidence/host/interrupt.ts";
import type { UnitState } from "../../evidence/host/unit.ts";
import { busesBehind } from "../host/bridges.ts";
import type { HostEntry } from "../host/entry.ts";
import type { HostLinks } from "../host/links.ts";
import type { Evidence, Subject } from "./check.ts";
import { type RemappableMessage, remappableOf } from "./message.ts";
import { entryName } from "./naming.ts";

/** What sends through an entry: an interrupt of Linux, or a function whose MSI capability names it. */
export interface Claim {
  readonly unit: UnitState;
  /** AMD-Vi: whose table. */
  readonly requester: number | null;
  readonly index: number;
  /** Undefined where the entry is zero, or its table not known. */
  readonly entry: HostEntry | undefined;
  readonly subject: Subject;
  /** `irq 35 (nvme0q0)`, `the MSI of 0000:00:06.0` */
  readonly name: string;
  readonly irq: LinuxInterrupt | undefined;
  readonly device: PciDevice | undefined;
  /** Every id that its requests may carry; empty where that is not known. */
  readonly senders: readonly number[];
  /** Whether it may be sent: somebody has requested it, or the function's capability is on. */
  readonly live: boolean;
  readonly evidence: readonly Evidence[];
}

/** Everything that names an entry, at most once an interrupt. */
export function claimsOf(links: HostLinks): Claim[] {
  const claims = links.state.interrupts.flatMap((irq) => interruptClaim(links, irq));
  const known = new Set(claims.map((claim) => key(claim.device, claim)));
  for (const device of links.state.devices) {
    for (const claim of capabilityClaims(links, device))
      if (!known.has(key(device, claim))) claims.push(claim);
  }
  return claims;
}

function key(device: PciDevice | undefined, { unit, requester, index }: Claim): string {
  return `${device === undefined ? "-" : printFunction(device)} ${unit.name} ${requester} ${index}`;
}

function interruptClaim(links: HostLinks, irq: LinuxInterrupt): Claim[] {
  const reference = links.referenceOf(irq);
  const unit = reference === undefined ? undefined : links.unitNamed(reference.value.unit);
  if (reference === undefined || unit === undefined) return [];
  const device = links.deviceOf(irq);
  const actions = irq.actions?.value ?? [];
  const name = actions.length === 0 ? `irq ${irq.irq}` : `irq ${irq.irq} (${actions.join(", ")})`;
  const { requester, index } = reference.value;
  return [
    {
      unit,
      requester,
      index,
      entry: links.entryAt(unit, requester, index),
      subject: { kind: "interrupt", name: `irq ${irq.irq}` },
      name,
      irq,
      device,
      senders: sendersOf(links, irq, device),
      live: irq.started?.value ?? actions.length > 0,
      evidence: [
        { what: `${name} goes through ${entryName({ unit, requester, index })}`, origin: reference.origin },
      ],
    },
  ];
}

function capabilityClaims(links: HostLinks, device: PciDevice): Claim[] {
  const message = remappableOf(links, device);
  if (message === undefined) return [];
  return Array.from({ length: message.used }, (_, vector) => claimOf(links, device, message, vector));
}

function claimOf(links: HostLinks, device: PciDevice, message: RemappableMessage, vector: number): Claim {
  const { unit, requester, origin } = message;
  const index = message.index + vector;
  const name = printFunction(device);
  return {
    unit,
    requester,
    index,
    entry: links.entryAt(unit, requester, index),
    subject: { kind: "device", name },
    name: `the MSI of ${name}`,
    irq: undefined,
    device,
    senders: aliasesOf(links, device),
    live: true,
    evidence: [{ what: `the MSI of ${name} names ${entryName({ unit, requester, index })}`, origin }],
  };
}

function sendersOf(links: HostLinks, irq: LinuxInterrupt, device: PciDevice | undefined): readonly number[] {
  if (device !== undefined) return aliasesOf(links, device);
  const source = links.sourceOf(irq);
  if (source?.kind !== "ioapic" && source?.kind !== "hpet") return [];
  const platform = links.platformSourceOf(source);
  return platform === undefined ? [] : [platform.requester];
}

/**
 * Ids that a function's requests may carry: its own, and those under which a bridge on the way may send them on: the
 * bridge's own, or the first of its secondary bus.
 */
export function aliasesOf({ state }: HostLinks, { segment, requester }: PciDevice): readonly number[] {
  const bus = requester >>> 8;
  const ids = [requester];
  for (const bridge of state.devices) {
    if (bridge.segment !== segment) continue;
    const buses = busesBehind(bridge);
    if (buses === undefined || buses === null || bus < buses.from || bus > buses.to) continue;
    ids.push(bridge.requester, buses.from << 8);
  }
  return ids;
}
