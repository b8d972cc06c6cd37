import type { Vendor } from "../../evidence/qemu-trace/index.ts";
import type { Script } from "./script.ts";
import type { Sight } from "./sight.ts";

/** A machine on which scripts can be run: a real QEMU, or another model. */
export interface Target {
  /** As it names itself: `QEMU 10.0.2`. */
  readonly name: string;
  readonly vendor: Vendor;
  /** The profile that models it. */
  readonly profile: string;
  /** The APIC ids of its processors, from 0 up. */
  readonly processors: number;
  /** What the machine cannot be brought to show, so that no attempt is made; undefined if the script can be run. */
  refusal(script: Script): string | undefined;
  /**
   * Runs scripts, each from a unit as it is after reset. May be asked for more before it is done.
   * @returns what was seen, by script and scene.
   * @throws InputError when the machine dies, hangs, or answers what is no answer.
   */
  run(scripts: readonly Script[]): Promise<readonly (readonly Sight[])[]>;
}
