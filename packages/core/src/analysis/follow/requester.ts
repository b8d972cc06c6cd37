import type { PciDevice } from "../../evidence/host/device.ts";
import type { Origin } from "../../evidence/host/fact.ts";
import type { HostState } from "../../evidence/host/state.ts";
import { printRequester } from "../../spec/requester.ts";
import { busesBehind } from "../host/bridges.ts";
import type { HostLinks } from "../host/links.ts";
import { portTypeOf, portTypes } from "./config-space.ts";

/** The requester id with which a function's requests come to a unit. */
export interface Requester {
  /** Undefined where that is not known. */
  readonly id: number | undefined;
  /** In one clause. */
  readonly why: string;
  readonly evidence: readonly Origin[];
}

const pciBridge = 0x0604;
const mostBuses = 256;

/**
 * What a function's requests carry. Conventional PCI has no requester ids: the bridge to PCI Express gives its
 * secondary bus (PCIe to PCI/PCI-X Bridge 1.0 §2.3), a conventional bridge of the root complex its own id.
 */
export function requesterOf(links: HostLinks, device: PciDevice): Requester {
  let id = device.requester;
  let bus = id >>> 8;
  const passed: string[] = [];
  const evidence: Origin[] = [];
  let changed = "";
  for (let count = 0; count < mostBuses; count++) {
    const parent = parentOf(links, device.segment, bus);
    if (parent === undefined)
      return unknown(`what lies above bus ${bus.toString(16)} is not known`, evidence);
    if (parent === null) break;
    const type = portTypeOf(parent);
    const name = printRequester(parent.requester);
    evidence.push(parent.config!.origin);
    if (type === undefined) return unknown(`what kind of bridge ${name} is is not known`, evidence);
    const alias = aliasOf(parent, type);
    if (alias !== null) {
      id = alias;
      changed = `${name} is a bridge ${type === portTypes.pcieToPci ? "from PCI Express to PCI" : "of conventional PCI"} and gives its requests this id`;
    }
    passed.push(name);
    if (parent.requester >>> 8 >= bus) break;
    bus = parent.requester >>> 8;
  }
  const way = passed.length === 0 ? "" : `, through ${passed.join(", ")}`;
  return { id, why: changed === "" ? `its own${way}` : changed, evidence };
}

function unknown(why: string, evidence: readonly Origin[]): Requester {
  return { id: undefined, why, evidence };
}

function aliasOf(bridge: PciDevice, type: number | null): number | null {
  if (type === portTypes.pcieToPci) return busesBehind(bridge)!.from << 8;
  return type === null || type === portTypes.pciToPcie ? bridge.requester : null;
}

type Parent = PciDevice | null | undefined;

const parents = new WeakMap<HostState, Map<number, Parent>>();

/** The bridge to a bus; null for a bus of the root complex, undefined where that is not known. */
function parentOf({ state }: HostLinks, segment: number, bus: number): Parent {
  if (bus === 0) return null;
  let known = parents.get(state);
  if (known === undefined) parents.set(state, (known = new Map()));
  const key = segment * mostBuses + bus;
  if (!known.has(key)) known.set(key, findParent(state, segment, bus));
  return known.get(key);
}

function findParent(state: HostState, segment: number, bus: number): Parent {
  let nearest: { readonly device: PciDevice; readonly from: number } | null = null;
  let open = false;
  for (const device of state.devices) {
    if (device.segment !== segment || device.requester >>> 8 >= bus) continue;
    const buses = busesBehind(device);
    if (buses === undefined) open ||= mayBeBridge(device);
    else if (buses !== null && buses.from <= bus && bus <= buses.to && buses.from > (nearest?.from ?? 0)) {
      nearest = { device, from: buses.from };
    }
  }
  if (nearest === null) return open ? undefined : null;
  return nearest.device;
}

function mayBeBridge({ classCode }: PciDevice): boolean {
  return classCode === undefined || classCode.value >>> 8 === pciBridge;
}
