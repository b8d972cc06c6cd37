import type { BlockBackend } from "../../qemu/block/backend.ts";
import { type TableEntry, entriesOf } from "../entries.ts";
import type { Device } from "../device.ts";
import type { Machine } from "../machine.ts";
import type { Action } from "../scenario/scenario.ts";

/** What actions act on. */
export interface Scene {
  readonly machine: Machine;
  /** Opens a disk image by the name that the scenario has for it. */
  readonly openImage: (name: string) => Promise<BlockBackend>;
  /** Told how far a long action is; what it waits for lets others in. */
  readonly progress?: ((text: string) => Promise<void>) | undefined;
  /** What the guest read was the image's, so far; null before the first read. */
  dataEqual: boolean | null;
}

/** An action by its name. */
export type Of<Name extends Action["do"]> = Extract<Action, { do: Name }>;

/** What an action did, for the narrative: a heading, and what is to be said besides what was counted. */
export interface Told {
  readonly what: string;
  readonly details: readonly string[];
}

export function told(what: string, ...details: string[]): Told {
  return { what, details };
}

/** How many entries the devices have. */
export function entriesPhrase({ machine }: Scene): string {
  const { remapped, posted } = machine.entries();
  return `entries present: ${remapped} remapped, ${posted} posted`;
}

const shownMessages = 4;

/** The messages that a device was given, and what its entries make of them: the first few. */
export function vectorsOf({ machine }: Scene, device: Device): string[] {
  const entries = entriesOf(machine.hardware, device);
  const all = (device.pci.msi?.descriptors ?? []).flatMap(({ index, message, used }) =>
    Array.from({ length: used }, (_, i) => ({ vector: index + i, ...message, data: message.data + i })),
  );
  const shown = all.slice(0, shownMessages).map(({ vector, addressLow, data }, i) => {
    const entry = entries[i];
    const outcome = entry === undefined ? "" : `: ${entryPhrase(entry)}`;
    return `vector ${vector}: address ${hex(addressLow >>> 0)}, data ${hex(data >>> 0)}${outcome}`;
  });
  return all.length > shown.length ? [...shown, `and ${all.length - shown.length} more`] : shown;
}

export function entryPhrase({ present, posted, vector, destination, target }: TableEntry): string {
  if (!present) return "its entry is not present";
  const which = `vector ${vector.toString(16).padStart(2, "0").toUpperCase()}h`;
  return posted
    ? `posted as ${which} to ${hex(target)}`
    : `remapped to ${which} of destination ${hex(destination)}`;
}

export function count(value: number): string {
  return value.toLocaleString("en");
}

export function plural(value: number, noun: string): string {
  return `${count(value)} ${noun}${value === 1 ? "" : "s"}`;
}

export function hex(value: number): string {
  return `0x${value.toString(16)}`;
}
