import type { Device } from "../../machine/device.ts";
import { msixEntryBytes, msixTableEntry } from "../../spec/pci/msix.ts";
import type { Touched } from "./step.ts";
import { written } from "./structures.ts";

/** The messages that devices have in their MSI-X tables, with what was last seen of them. */
export class Messages {
  readonly #devices: readonly Device[];
  readonly #seen = new Map<Device, bigint[]>();

  constructor(devices: readonly Device[]) {
    this.#devices = devices.filter(({ fn }) => fn.msix !== undefined);
    this.settle();
  }

  /** What changed until now is nobody's business. */
  settle(): void {
    for (const device of this.#devices) this.#seen.set(device, entriesOf(device));
  }

  *changes(): Generator<{ readonly device: Device; readonly touched: Touched }> {
    for (const device of this.#devices) {
      const before = this.#seen.get(device)!;
      const now = entriesOf(device);
      this.#seen.set(device, now);
      for (const [vector, value] of now.entries()) {
        if (value === before[vector]) continue;
        const what = `MSI-X table entry ${vector} of ${device.name}`;
        yield { device, touched: written(what, msixTableEntry, before[vector]!, value) };
      }
    }
  }
}

/** The entry of a device's MSI-X table at a vector. */
export function entryOf({ fn }: Device, vector: number): bigint {
  let value = 0n;
  for (let offset = msixEntryBytes - 4; offset >= 0; offset -= 4) {
    value = (value << 32n) | BigInt(fn.msix!.readTable(msixEntryBytes * vector + offset) >>> 0);
  }
  return value;
}

function entriesOf(device: Device): bigint[] {
  return Array.from({ length: device.settings.msix }, (_, vector) => entryOf(device, vector));
}
