import type { PciFunction } from "../../hardware/pci/function.ts";
import type { Msi } from "../../hardware/pci/msi.ts";
import type { Msix } from "../../hardware/pci/msix.ts";
import type { Device } from "../../machine/device.ts";
import * as msiControl from "../../spec/accessors/msi-control.ts";
import { type Layout, maskOf } from "../../spec/layout.ts";
import {
  msiCapability32,
  msiCapability32Masking,
  msiCapability64,
  msiCapability64Masking,
} from "../../spec/pci/msi.ts";
import { msixEntryBytes, msixTableEntry } from "../../spec/pci/msix.ts";
import type { Touched } from "./step.ts";
import { written } from "./structures.ts";

/** Where a device has a message: an entry of its MSI-X table, or its MSI capability. */
export interface MessagePlace {
  readonly what: string;
  readonly layout: Layout;
  read(): bigint;
}

interface Seen {
  readonly device: Device;
  readonly place: MessagePlace;
  /** Bits that software does not write. */
  readonly pending: bigint;
  value: bigint;
}

/** The messages that devices have, with what was last seen of them. */
export class Messages {
  readonly #seen: readonly Seen[];

  constructor(devices: readonly Device[]) {
    this.#seen = devices.flatMap((device) =>
      placesOf(device).map((place) => {
        const parts = place.layout.fields["pending"]?.parts ?? [];
        return { device, place, pending: parts.reduce((all, part) => all | maskOf(part), 0n), value: 0n };
      }),
    );
    this.settle();
  }

  /** What changed until now is nobody's business. */
  settle(): void {
    for (const seen of this.#seen) seen.value = seen.place.read();
  }

  *changes(): Generator<{ readonly device: Device; readonly touched: Touched }> {
    for (const seen of this.#seen) {
      const { device, place, pending, value: before } = seen;
      seen.value = place.read();
      if (((seen.value ^ before) & ~pending) === 0n) continue;
      yield { device, touched: written(place.what, place.layout, before, seen.value) };
    }
  }
}

function placesOf({ name, fn, settings }: Device): MessagePlace[] {
  const { msi, msix } = fn;
  const places =
    msix === undefined
      ? []
      : Array.from({ length: settings.msix }, (_, vector) => tableEntry(name, msix, vector));
  return msi === undefined ? places : [...places, capability(name, fn, msi)];
}

/** Where a device has a message that it sends; undefined if nowhere. */
export function placeOf(device: Device, address: number, data: number): MessagePlace | undefined {
  const { fn, name, settings } = device;
  const { msi, msix } = fn;
  if (msix !== undefined) {
    for (let vector = 0; vector < settings.msix; vector++) {
      const at = msixEntryBytes * vector;
      if ((msix.readTable(at) ^ address) === 0 && (msix.readTable(at + 8) ^ data) === 0)
        return tableEntry(name, msix, vector);
    }
  }
  if (msi?.enabled !== true || !msi.sends(address, data)) return undefined;
  return capability(name, fn, msi);
}

function tableEntry(device: string, msix: Msix, vector: number): MessagePlace {
  return {
    what: `MSI-X table entry ${vector} of ${device}`,
    layout: msixTableEntry,
    read: () => dwords((offset) => msix.readTable(msixEntryBytes * vector + offset), msixTableEntry.width),
  };
}

function capability(device: string, fn: PciFunction, { offset }: Msi): MessagePlace {
  const layout = capabilityLayout(fn.readConfig(offset, 4));
  return {
    what: `MSI capability of ${device}`,
    layout,
    read: () => dwords((at) => fn.readConfig(offset + at, 4), layout.width),
  };
}

function capabilityLayout(header: number): Layout {
  const masking = msiControl.pvm(header) === 1;
  if (msiControl.c64(header) === 1) return masking ? msiCapability64Masking : msiCapability64;
  return masking ? msiCapability32Masking : msiCapability32;
}

function dwords(read: (offset: number) => number, width: number): bigint {
  let value = 0n;
  for (let offset = 0; offset * 8 < width; offset += 4) {
    value |= BigInt(read(offset) >>> 0) << BigInt(8 * offset);
  }
  return BigInt.asUintN(width, value);
}
