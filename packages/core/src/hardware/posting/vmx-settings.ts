import type { RuleId } from "../../spec/rules.ts";

/** VM-execution and VM-exit controls that the virtual interrupt's path depends on; off unless told. */
export interface VmxControls {
  readonly externalInterruptExiting?: boolean;
  readonly acknowledgeOnExit?: boolean;
  readonly tprShadow?: boolean;
  readonly virtualInterruptDelivery?: boolean;
  readonly processPostedInterrupts?: boolean;
  readonly ipiVirtualization?: boolean;
  /** "Virtualize x2APIC mode": the guest's ICR is one MSR with a destination of 32 bits. */
  readonly x2apic?: boolean;
}

/** What a VMCS says of a virtual processor's interrupts. Addresses are numbers below 2^52. */
export interface VmxSettings {
  readonly controls: VmxControls;
  readonly virtualApic: number;
  readonly descriptor?: number;
  readonly notificationVector?: number;
  /** Bit v: an EOI of vector v exits. */
  readonly eoiExitBitmap?: bigint;
  readonly pidPointerTable?: number;
  readonly lastPidPointerIndex?: number;
  readonly tprThreshold?: number;
  /** 52 unless told. */
  readonly physicalAddressBits?: number;
  /** The processor's own APIC is in x2APIC mode, so that NDST is 32 bits wide; true unless told. */
  readonly hostX2apic?: boolean;
}

/** Controls for posted interrupts and everything that they require. */
export const postingControls: VmxControls = {
  externalInterruptExiting: true,
  acknowledgeOnExit: true,
  tprShadow: true,
  virtualInterruptDelivery: true,
  processPostedInterrupts: true,
};

/** The rules that fail a VM entry with these settings, none if it goes through. */
export function entryViolations(settings: VmxSettings): RuleId[] {
  const { controls } = settings;
  const limit = 2 ** (settings.physicalAddressBits ?? 52);
  const misplaced = (address: number, alignment: number, length: number): boolean =>
    address % alignment !== 0 || address + length > limit;
  const broken: RuleId[] = [];
  const require = (holds: boolean, rule: RuleId): void => {
    if (!holds) broken.push(rule);
  };

  require(!misplaced(settings.virtualApic, 4096, 4096), "vmx.entry.virtual-apic-address");
  if (controls.virtualInterruptDelivery === true) {
    require(controls.externalInterruptExiting === true &&
      controls.tprShadow === true, "vmx.entry.virtual-delivery");
  }
  if (controls.processPostedInterrupts === true) {
    require(controls.virtualInterruptDelivery === true &&
      controls.externalInterruptExiting === true, "vmx.entry.posted-interrupts");
    require(controls.acknowledgeOnExit === true, "vmx.entry.acknowledge");
    require((settings.notificationVector ?? 0) >>> 8 === 0, "vmx.entry.notification-vector");
    require(!misplaced(settings.descriptor ?? 0, 64, 64), "vmx.entry.descriptor-address");
  }
  if (controls.ipiVirtualization === true) {
    const length = 8 * ((settings.lastPidPointerIndex ?? 0) + 1);
    require(!misplaced(settings.pidPointerTable ?? 0, 8, length), "vmx.entry.pid-pointer-table");
  }
  return broken;
}
