import type { Message } from "./device.ts";
import type { Fact } from "./fact.ts";

/** One level of an interrupt's domain hierarchy. */
export interface DomainLevel {
  readonly domain: string;
  readonly chip: string;
  readonly hwirq: bigint;
}

/** The entry through which an interrupt goes, as the kernel has it. */
export interface EntryReference {
  /** The name of the unit. */
  readonly unit: string;
  /** AMD-Vi: whose table; VT-d has one table for a unit, null. */
  readonly requester: number | null;
  readonly index: number;
}

/** What sends an interrupt. */
export type InterruptSource =
  | {
      readonly kind: "pci";
      readonly segment: number;
      readonly requester: number;
      readonly index: number | null;
    }
  /** `requester`: as the remapping table knows it, if that is known. */
  | { readonly kind: "ioapic"; readonly id: number | null; readonly pin: number }
  | { readonly kind: "hpet"; readonly id: number | null }
  /** A remapping unit's own event; never remapped. */
  | { readonly kind: "unit"; readonly unit: string };

/** An interrupt of Linux. */
export interface LinuxInterrupt {
  readonly irq: number;
  /** Names of its handlers, as /proc/interrupts has them. */
  readonly actions?: Fact<readonly string[]>;
  /** For each processor of the host, in its order; text says 0 of one that is offline, which it does not print. */
  readonly counts?: Fact<readonly number[]>;
  /** The chip of the outermost domain, as `IR-PCI-MSI-0000:01:00.0`. */
  readonly chip?: Fact<string>;
  /** `edge`, `fasteoi`, … */
  readonly flow?: Fact<string>;
  readonly hwirq?: Fact<bigint>;
  /** From the device's domain down to `VECTOR`. */
  readonly domains?: Fact<readonly DomainLevel[]>;
  readonly from?: Fact<InterruptSource>;
  /** The message as the kernel last wrote it to the device. */
  readonly message?: Fact<Message>;
  /** Linux's processors. */
  readonly affinity?: Fact<readonly number[]>;
  readonly effective?: Fact<readonly number[]>;
  /** The vector that the kernel gave it, and on which processor. */
  readonly vector?: Fact<{ readonly vector: number; readonly cpu: number }>;
  readonly entry?: Fact<EntryReference>;
  /** VT-d: the entry as the kernel last meant to write it, 128 bits. */
  readonly cachedEntry?: Fact<bigint>;
  /** Whose descriptor the kernel has its entry post to. */
  readonly posts?: Fact<"none" | "vcpu" | "host">;
  /** irq_data.state_use_accessors, 32 bits. */
  readonly state?: Fact<number>;
  /** Managed, disabled, masked, started, as far as the state says so. */
  readonly started?: Fact<boolean>;
  readonly masked?: Fact<boolean>;
}
