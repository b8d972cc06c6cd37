import type { Kernel } from "../linux/kernel.ts";
import type { Machine } from "./machine.ts";

/** The most lines of a guest that one episode shows. */
const shown = 3;

/** Follows the logs of a machine's kernels: what each has printed since it was last asked. */
export class Logs {
  readonly #read = new WeakMap<Kernel, number>();

  host({ kernel }: Machine): string[] {
    return this.#since(kernel);
  }

  /** Complaints of the guests. */
  guests({ vms }: Machine): string[] {
    const told: string[] = [];
    for (const { guest, settings } of vms.values()) {
      const lines = this.#since(guest, true);
      const rest = lines.length - shown;
      told.push(...lines.slice(0, shown).map((line) => `${settings.name}: ${line}`));
      if (rest > 0) told.push(`${settings.name}: and ${rest} more lines`);
    }
    return told;
  }

  #since(k: Kernel, complaints = false): string[] {
    const from = this.#read.get(k) ?? 0;
    this.#read.set(k, k.log.lines.length);
    return k.log.lines
      .slice(from)
      .filter(({ level }) => !complaints || level !== "info")
      .map(({ text }) => text);
  }
}
