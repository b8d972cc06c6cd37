import { DeliveryMode } from "../../hardware/delivery.ts";
import { errno } from "../errno.ts";
import { kernelFunction } from "../kernel-function.ts";
import type { Kernel } from "../kernel.ts";
import { leastArbitrated, mappedDestinations } from "./apic-map.ts";
import {
  type KvmMessage,
  type LapicIrq,
  isInvalidMessage,
  isLowestPriority,
  kvmMsiToLapicIrq,
} from "./lapic-irq.ts";
import { apicBroadcast, x2apicBroadcast } from "./lapic.ts";
import type { Vcpu } from "./vcpu.ts";
import type { KvmVm } from "./vm.ts";

/** `kvm_irq_delivery_to_apic_fast` could not tell whom a message addresses. */
const notMapped = null;

/** @returns 1 if the APIC takes it, 0 if it does not. */
const apicAcceptIrq = kernelFunction("__apic_accept_irq", (k: Kernel, vcpu: Vcpu, irq: LapicIrq): number => {
  const { lapic, vm } = vcpu;
  switch (irq.deliveryMode) {
    case DeliveryMode.lowestPriority:
    case DeliveryMode.fixed:
      if (irq.deliveryMode === DeliveryMode.lowestPriority) lapic.arbitrations++;
      if (!lapic.enabled || !lapic.softwareEnabled) return 0;
      vm.ops.deliverInterrupt(k, vcpu, irq.vector);
      return 1;
    case DeliveryMode.smi:
      lapic.events.smi++;
      return 1;
    case DeliveryMode.nmi:
      lapic.events.nmi++;
      return 1;
    case DeliveryMode.init:
      lapic.events.init++;
      return 1;
    default:
      return 0;
  }
});

const apicSetIrq = kernelFunction(
  "kvm_apic_set_irq",
  (k: Kernel, vcpu: Vcpu, irq: LapicIrq): number => apicAcceptIrq(k, vcpu, irq),
  { tailCalls: { __apic_accept_irq: true } },
);

/** @returns how many APICs took it, or {@link notMapped}. */
const irqDeliveryToApicFast = kernelFunction(
  "kvm_irq_delivery_to_apic_fast",
  (k: Kernel, vm: KvmVm, source: Vcpu | null, irq: LapicIrq): number | null => {
    const found = mappedDestinations(k, vm, source, irq);
    if (found === null) return notMapped;
    let accepted = 0;
    for (const vcpu of found.vcpus) accepted += apicSetIrq(k, vcpu, irq);
    return accepted;
  },
);

/** `kvm_apic_match_dest`, of every APIC that is on. kvm.apic.narrow-broadcast */
function matching(vm: KvmVm, source: Vcpu | null, irq: LapicIrq): Vcpu[] {
  const widened = !vm.interrupts.broadcastQuirkDisabled && source === null;
  return vm.vcpus.filter(({ lapic }) => {
    const wide = widened && irq.destination === apicBroadcast && lapic.x2apic;
    return lapic.enabled && lapic.matches(wide ? x2apicBroadcast : irq.destination, irq.logical);
  });
}

/**
 * Delivers an interrupt to the APICs that it addresses.
 * @param source the APIC that sends it; null for a device.
 * @returns how many took it; -1 if none is addressed.
 */
export const kvmIrqDeliveryToApic = kernelFunction(
  "kvm_irq_delivery_to_apic",
  (k: Kernel, vm: KvmVm, source: Vcpu | null, irq: LapicIrq): number => {
    const accepted = irqDeliveryToApicFast(k, vm, source, irq);
    if (accepted !== notMapped) return accepted;
    let asked = irq;
    if (!irq.logical && irq.destination === apicBroadcast && isLowestPriority(irq)) {
      k.log.info("kvm: apic: phys broadcast and lowest prio");
      asked = { ...irq, deliveryMode: DeliveryMode.fixed };
    }
    const addressed = matching(vm, source, asked);
    if (!isLowestPriority(asked)) {
      if (addressed.length === 0) return -1;
      return addressed.reduce((sum, vcpu) => sum + apicSetIrq(k, vcpu, asked), 0);
    }
    const able = addressed.filter(({ lapic }) => lapic.softwareEnabled);
    const chosen = k.parameters.vectorHashing ? able[asked.vector % able.length] : leastArbitrated(able);
    return chosen === undefined ? -1 : apicSetIrq(k, chosen, asked);
  },
);

/** Also where the map does not tell: whether one vCPU alone is addressed. */
export const kvmIntrIsSingleVcpu = kernelFunction(
  "kvm_intr_is_single_vcpu",
  (k: Kernel, vm: KvmVm, irq: LapicIrq): Vcpu | null => {
    const found = mappedDestinations(k, vm, null, irq);
    if (found?.bits === 1 && found.vcpus.length === 1) return found.vcpus[0]!;
    const addressed = matching(vm, null, irq);
    return addressed.length === 1 ? addressed[0]! : null;
  },
);

/** How many vCPUs are addressed: for those who ask why an interrupt cannot be posted. */
export function addressedVcpus(vm: KvmVm, irq: LapicIrq): number {
  return matching(vm, null, irq).length;
}

/** A message goes to the VM's APICs. @returns as {@link kvmIrqDeliveryToApic}. */
export const kvmSetMsi = kernelFunction("kvm_set_msi", (k: Kernel, vm: KvmVm, message: KvmMessage): number =>
  isInvalidMessage(vm, message)
    ? -errno.EINVAL
    : kvmIrqDeliveryToApic(k, vm, null, kvmMsiToLapicIrq(k, vm, message)),
);

/** KVM_SIGNAL_MSI: a message that has no route. */
export const kvmSendUserspaceMsi = kernelFunction(
  "kvm_send_userspace_msi",
  (k: Kernel, vm: KvmVm, message: KvmMessage): number =>
    vm.interrupts.irqchipInKernel ? kvmSetMsi(k, vm, message) : -errno.EINVAL,
);

/** An interrupt by its GSI. @returns as {@link kvmIrqDeliveryToApic}; -1 without a route. */
export const kvmSetIrq = kernelFunction("kvm_set_irq", (k: Kernel, vm: KvmVm, gsi: number): number => {
  const route = vm.interrupts.routing.get(gsi);
  return route === undefined ? -1 : kvmSetMsi(k, vm, route);
});

/** A message, without sleeping. @returns -EWOULDBLOCK where a worker has to deliver it. */
export const kvmArchSetIrqInatomic = kernelFunction(
  "kvm_arch_set_irq_inatomic",
  (k: Kernel, vm: KvmVm, route: KvmMessage | null): number => {
    if (route === null) return -errno.EAGAIN;
    if (isInvalidMessage(vm, route)) return -errno.EINVAL;
    return irqDeliveryToApicFast(k, vm, null, kvmMsiToLapicIrq(k, vm, route)) ?? -errno.EAGAIN;
  },
);
