import type { Kernel } from "../kernel.ts";
import type { IrqData } from "./descriptor.ts";

/** An MSI as it is written to a device: address bits 31:0, 63:32 and data, int32. */
export interface MsiMessage {
  addressLow: number;
  addressHigh: number;
  data: number;
}

/** What {@link IrqChip.setAffinity} returns: what is left to do for the level above. */
export const setMask = {
  /** The caller records the affinity, and levels above rewrite their message. */
  ok: 0,
  /** As `ok`, and the levels above have nothing to do. */
  okDone: 2,
} as const;

/** `enum` of `irq_chip` flags, as far as chips of the model have them. */
export const chipFlags = {
  IRQCHIP_SKIP_SET_WAKE: 0x10,
  IRQCHIP_ONESHOT_SAFE: 0x20,
  IRQCHIP_AFFINITY_PRE_STARTUP: 0x400,
  IRQCHIP_MOVE_DEFERRED: 0x1000,
} as const;

/** `struct irq_chip`: what one level of an interrupt's hierarchy can do. A level without a callback asks its parent. */
export interface IrqChip {
  readonly name: string;
  /** Of {@link chipFlags}; 0 unless told. */
  readonly flags?: number;
  ack?(k: Kernel, data: IrqData): void;
  /** Ends the interrupt of a level-triggered pin, in place of `ack`. */
  eoi?(k: Kernel, data: IrqData): void;
  mask?(k: Kernel, data: IrqData): void;
  unmask?(k: Kernel, data: IrqData): void;
  /** @param cpus Linux CPU numbers, not empty. @returns one of {@link setMask}, or a negative errno. */
  setAffinity?(k: Kernel, data: IrqData, cpus: readonly number[], force: boolean): number;
  composeMsiMsg?(k: Kernel, data: IrqData, message: MsiMessage): void;
  writeMsiMsg?(k: Kernel, data: IrqData, message: MsiMessage): void;
  /** @param info whom to post to; null to deliver to the host again. */
  setVcpuAffinity?(k: Kernel, data: IrqData, info: VcpuInfo | null): number;
  retrigger?(k: Kernel, data: IrqData): boolean;
}

/** What KVM hands down with `irq_set_vcpu_affinity`. */
export type VcpuInfo = IntelPiData | AmdPiData;

/** `struct intel_iommu_pi_data`. */
export interface IntelPiData {
  readonly vendor: "intel";
  /** Physical address of the posted-interrupt descriptor. */
  readonly descriptor: number;
  /** Guest vector. */
  readonly vector: number;
}

/** `struct amd_iommu_pi_data`. */
export interface AmdPiData {
  readonly vendor: "amd";
  /** Physical address of the vAPIC backing page. */
  readonly vapic: number;
  readonly gaTag: number;
  /** Guest vector. */
  readonly vector: number;
  /** Where the vCPU runs: host APIC id; -1 where it does not. */
  readonly apicId: number;
  /** Write a log entry while it does not run. */
  readonly gaLogInterrupt: boolean;
  /** False: keep the rest in mind, but deliver to the host. True unless told. */
  readonly guestMode?: boolean;
  /** Until 6.16, set by the driver: the tag of whom the interrupt was posted to before; 0 for nobody. */
  previousTag?: number;
  /** Set by the driver: where it keeps what belongs to the entry, for `amd_iommu_update_ga`. */
  irData?: unknown;
}
