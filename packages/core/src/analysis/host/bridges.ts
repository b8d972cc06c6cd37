import type { PciDevice } from "../../evidence/host/device.ts";

/** The buses of a bridge, ends included. */
export interface BusRange {
  readonly from: number;
  readonly to: number;
}

const headerType = 0x0e;
const secondaryBus = 0x19;
const subordinateBus = 0x1a;

/**
 * The buses behind a PCI-to-PCI bridge; null for a function that is none, undefined where its configuration space does
 * not show it.
 */
export function busesBehind(device: PciDevice): BusRange | null | undefined {
  const config = device.config?.value;
  if (config === undefined || config.length < 64) return undefined;
  if ((config[headerType]! & 0x7f) !== 1) return null;
  const [from, to] = [config[secondaryBus]!, config[subordinateBus]!];
  return from === 0 ? null : { from, to };
}

/** Functions of a host by segment and requester id. */
export class PciTree {
  readonly #devices = new Map<number, PciDevice>();

  constructor(devices: readonly PciDevice[]) {
    for (const device of devices) this.#devices.set(key(device.segment, device.requester), device);
  }

  at(segment: number, requester: number): PciDevice | undefined {
    return this.#devices.get(key(segment, requester));
  }

  /** The requester id at the end of a path through bridges; undefined where one of them is not known. */
  requesterAt(
    segment: number,
    bus: number,
    path: readonly { readonly device: number; readonly function: number }[],
  ): number | undefined {
    let at: number | undefined;
    for (const step of path) {
      if (at !== undefined) {
        const bridge = this.at(segment, at);
        const buses = bridge === undefined ? undefined : busesBehind(bridge);
        if (buses === undefined || buses === null) return undefined;
        bus = buses.from;
      }
      at = (bus << 8) | ((step.device & 31) << 3) | (step.function & 7);
    }
    return at;
  }
}

function key(segment: number, requester: number): number {
  return segment * 0x1_0000 + requester;
}
