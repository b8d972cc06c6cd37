import { DeliveryMode } from "../../hardware/delivery.ts";
import { kernelFunction } from "../kernel-function.ts";
import type { Kernel } from "../kernel.ts";
import type { ExitReason } from "./counts.ts";
import { kvmIrqDeliveryToApic } from "./delivery.ts";
import { vcpuExitsAndGoesOn } from "./run.ts";
import type { Vcpu } from "./vcpu.ts";

export const apicSendIpi = kernelFunction(
  "kvm_apic_send_ipi",
  (k: Kernel, vcpu: Vcpu, apicId: number, vector: number): void => {
    kvmIrqDeliveryToApic(k, vcpu.vm, vcpu, {
      vector,
      deliveryMode: DeliveryMode.fixed,
      destination: apicId,
      logical: false,
      redirectionHint: false,
      level: false,
    });
  },
);

/** The guest's write to ICR was left to KVM: a fixed interrupt to one APIC. */
export function emulateIpi(k: Kernel, vcpu: Vcpu, reason: ExitReason, apicId: number, vector: number): void {
  vcpuExitsAndGoesOn(k, vcpu, reason, () => apicSendIpi(k, vcpu, apicId, vector));
}

/** The guest turns x2APIC mode on in IA32_APIC_BASE. @param follow what the virtual hardware changes with it. */
export function emulateX2apic(k: Kernel, vcpu: Vcpu, follow: () => void): void {
  if (vcpu.lapic.x2apic) return;
  vcpuExitsAndGoesOn(k, vcpu, "msrWrite", () => {
    vcpu.lapic.write({ x2apic: true });
    follow();
  });
}
