import type { DmarTable } from "../dmar.ts";
import type { LogRecord } from "../dmesg.ts";
import type { IvrsTable } from "../ivrs.ts";
import type { PciDevice } from "./device.ts";
import type { Fact, Missing } from "./fact.ts";
import type { LinuxInterrupt } from "./interrupt.ts";
import type { MadtTable } from "../madt.ts";
import type { Processor } from "./processor.ts";
import type { HostSystem } from "./system.ts";
import type { AmdviUnitState, VtdUnitState } from "./unit.ts";
import type { BypassProducer, PostedDescriptor, VirtualMachine } from "./virtual-machine.ts";

/**
 * One picture of a host, as far as its source shows it. What a source does not say is absent, and named in `missing`
 * where somebody would look for it; nothing is guessed.
 */
export interface HostState {
  /** What was read, as the user named it. */
  readonly source: string;
  readonly system: HostSystem;
  /** In ascending order of Linux's numbers. */
  readonly processors: readonly Processor[];
  /** In ascending order of segment and requester id. */
  readonly devices: readonly PciDevice[];
  readonly firmware: {
    readonly dmar?: Fact<DmarTable>;
    readonly ivrs?: Fact<IvrsTable>;
    readonly madt?: Fact<MadtTable>;
  };
  readonly units: readonly (VtdUnitState | AmdviUnitState)[];
  /** Linux's interrupts, in ascending order of their numbers. */
  readonly interrupts: readonly LinuxInterrupt[];
  readonly machines: readonly VirtualMachine[];
  /** Every posted-interrupt descriptor that was found, those of virtual machines among them. */
  readonly descriptors: readonly PostedDescriptor[];
  /** What irqbypass knows. */
  readonly producers?: Fact<readonly BypassProducer[]>;
  /** What the kernel log says of interrupt remapping. */
  readonly log?: Fact<readonly LogRecord[]>;
  readonly missing: readonly Missing[];
}
