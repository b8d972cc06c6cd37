import type { ApicMap } from "./apic-map.ts";
import type { KvmIrqfd } from "./irqfd.ts";
import type { MsiRoute } from "./requests.ts";

/** What KVM keeps for the interrupts that come to a VM from outside. */
export class VmInterrupts {
  /** The VMM has left local APICs to the kernel: `kernel-irqchip=on` or `split`. */
  irqchipInKernel = true;
  /** KVM_X2APIC_API_USE_32BIT_IDS: a message's address bits 63:40 are destination bits 31:8. */
  x2apicFormat = false;
  /** KVM_X2APIC_API_DISABLE_BROADCAST_QUIRK: FFh addresses nobody but APIC FFh in x2APIC mode. */
  broadcastQuirkDisabled = false;
  /** `kvm->irq_routing`, by GSI. */
  routing: ReadonlyMap<number, MsiRoute> = new Map();
  /** `kvm->irqfds.items` */
  readonly irqfds = new Set<KvmIrqfd>();
  /** `kvm->arch.apic_map`; null until it is needed. */
  apicMap: ApicMap | null = null;
  /** An interrupt was lost to an APIC that is off: said once. */
  disabledLapicFound = false;
}
