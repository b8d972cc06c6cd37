import { DeliveryMode } from "../../hardware/delivery.ts";
import type { IrqBypassProducer } from "../irqbypass.ts";
import { kernelFunction } from "../kernel-function.ts";
import type { Kernel } from "../kernel.ts";
import { hashedPointer } from "../pointer.ts";
import { irqPostingCapable } from "../posting-capability.ts";
import { threadStep } from "../posting/thread-steps.ts";
import { addressedVcpus, kvmIntrIsSingleVcpu } from "./delivery.ts";
import type { KvmIrqfd } from "./irqfd.ts";
import { kvmMsiToLapicIrq } from "./lapic-irq.ts";
import type { PostingRefusal } from "./posting-refusal.ts";
import type { MsiRoute } from "./requests.ts";
import { vmFrame } from "./thread.ts";
import type { Vcpu } from "./vcpu.ts";
import type { KvmVm } from "./vm.ts";

/** The rework of 6.17: KVM's common code decides what is posted, and remembers it. */
const rework = { from: "6.17" };

/** What a host says to posting of devices' interrupts; null where it can. */
function hostRefusal(k: Kernel): PostingRefusal | null {
  const { parameters, remapping } = k;
  if (!parameters.enableApicv) return "apicv-off";
  if (!parameters.enableDevicePostedIrqs) return "device-posting-off";
  if (irqPostingCapable(k)) return null;
  if (remapping?.enabled !== true) return "remapping-off";
  return parameters.disableIrqPost ? "posting-off" : "posting-not-capable";
}

function vmRefusal(k: Kernel, vm: KvmVm): PostingRefusal | null {
  if (!vm.interrupts.irqchipInKernel) return "irqchip-in-userspace";
  return vm.apicv ? hostRefusal(k) : "apicv-off";
}

/** `enable_device_posted_irqs`, as KVM's start has left it. */
export const kvmArchHasIrqBypass = kernelFunction(
  "kvm_arch_has_irq_bypass",
  (k: Kernel): boolean => hostRefusal(k) === null,
);

/** Whom an interrupt is posted to, or why to nobody. The vector is the guest's. */
export type PostingTarget =
  | { readonly vcpu: Vcpu; readonly vector: number; readonly refusal: null }
  | { readonly vcpu: null; readonly vector: number; readonly refusal: PostingRefusal };

/** What becomes of a route: one vCPU alone must be addressed, and its interrupt be one that IRR can hold. */
export function postingTarget(k: Kernel, vm: KvmVm, route: MsiRoute): PostingTarget {
  const irq = kvmMsiToLapicIrq(k, vm, route);
  const { vector, deliveryMode } = irq;
  const vcpu = kvmIntrIsSingleVcpu(k, vm, irq);
  if (deliveryMode !== DeliveryMode.fixed && deliveryMode !== DeliveryMode.lowestPriority) {
    return { vcpu: null, vector, refusal: "delivery-mode" };
  }
  if (vcpu !== null) return { vcpu, vector, refusal: null };
  return { vcpu, vector, refusal: addressedVcpus(vm, irq) === 0 ? "no-vcpu" : "several-vcpus" };
}

/** Why an irqfd's interrupt is not posted; null where it is. */
export function whyNotPosted(k: Kernel, irqfd: KvmIrqfd): PostingRefusal | null {
  const refusal = vmRefusal(k, irqfd.vm);
  if (refusal !== null) return refusal;
  if (irqfd.consumer.eventfd === null) return "no-consumer";
  return irqfd.producer === null ? "no-producer" : irqfd.refusal;
}

/** Points the entry of an irqfd's host interrupt at a vCPU, or back at the host. */
function setTarget(k: Kernel, irqfd: KvmIrqfd, hostIrq: number, target: PostingTarget): number {
  const { vm, gsi } = irqfd;
  const result = vm.ops.piUpdateIrte(k, vm, hostIrq, gsi, target.vcpu, target.vector);
  irqfd.bypassVcpu = result === 0 ? target.vcpu : null;
  irqfd.refusal = result === 0 ? target.refusal : "update-failed";
  return result;
}

const released: PostingTarget = { vcpu: null, vector: 0, refusal: "no-producer" };
const unrouted: PostingTarget = { vcpu: null, vector: 0, refusal: "no-msi-route" };

/** @param route the new one; null where the irqfd's message no longer matters. */
const kvmPiUpdateIrte = kernelFunction(
  "kvm_pi_update_irte",
  (k: Kernel, irqfd: KvmIrqfd, route: MsiRoute | null, withoutRoute: PostingTarget): number => {
    if (vmRefusal(k, irqfd.vm) !== null) return 0;
    const target = route === null ? withoutRoute : postingTarget(k, irqfd.vm, route);
    if (irqfd.bypassVcpu === null && target.vcpu === null) {
      irqfd.refusal = target.refusal;
      return 0;
    }
    return setTarget(k, irqfd, irqfd.producer!.irq, target);
  },
);

/**
 * Until the rework the vendor's function looked the route up by its GSI. Without one it left the entry as it was, and
 * what could not be posted was given back to the host whether it had been posted or not.
 */
function updateByGsi(k: Kernel, irqfd: KvmIrqfd, hostIrq: number, set: boolean): number {
  const { vm, gsi } = irqfd;
  if (vmRefusal(k, vm) !== null) return 0;
  const route = vm.interrupts.routing.get(gsi);
  if (route === undefined) {
    const vendor = vm.ops.vendor === "intel" ? "kvm_intel" : "kvm_amd";
    const size = Math.max(-1, ...vm.interrupts.routing.keys()) + 1;
    k.log.warn(`${vendor}: no route for guest_irq ${gsi}/${size} (broken user space?)`);
    if (irqfd.bypassVcpu === null) irqfd.refusal = "no-msi-route";
    return 0;
  }
  const target = postingTarget(k, vm, route);
  return setTarget(k, irqfd, hostIrq, set || target.vcpu === null ? target : released);
}

/** One more interrupt of the VM may come past the host: the first wakes its vCPUs, so that they are found when it does. */
function countBypass(k: Kernel, vm: KvmVm): void {
  const { state, table } = vm.protocol;
  const next = table.run(state, vmFrame(k, vm), threadStep["assign-count"]);
  if (next === threadStep["kick-on-assign"]) vm.ops.piStartBypass(k, vm);
}

/** One fewer may. */
function uncountBypass(k: Kernel, vm: KvmVm): void {
  const { state, table } = vm.protocol;
  table.run(state, vmFrame(k, vm), threadStep["release-count"]);
}

/** @returns 0, or a negative errno: then the producer is not the irqfd's. */
export const kvmArchIrqBypassAddProducer = kernelFunction(
  "kvm_arch_irq_bypass_add_producer",
  (k: Kernel, irqfd: KvmIrqfd, producer: IrqBypassProducer): number => {
    irqfd.producer = producer;
    countBypass(k, irqfd.vm);
    const result = k.runs(rework)
      ? kvmPiUpdateIrte(k, irqfd, irqfd.entry, unrouted)
      : updateByGsi(k, irqfd, producer.irq, true);
    if (result !== 0) {
      uncountBypass(k, irqfd.vm);
      irqfd.producer = null;
    }
    return result;
  },
);

export const kvmArchIrqBypassDelProducer = kernelFunction(
  "kvm_arch_irq_bypass_del_producer",
  (k: Kernel, irqfd: KvmIrqfd, producer: IrqBypassProducer): void => {
    const result = k.runs(rework)
      ? kvmPiUpdateIrte(k, irqfd, null, released)
      : updateByGsi(k, irqfd, producer.irq, false);
    if (result !== 0) {
      const key = k.runs(rework) ? "eventfd" : "token";
      const pointer = hashedPointer(irqfd.eventfd.name);
      k.log.info(`kvm: irq bypass consumer (${key} ${pointer}) unregistration fails: ${result}`);
    }
    irqfd.producer = null;
    irqfd.bypassVcpu = null;
    uncountBypass(k, irqfd.vm);
  },
);

/** The route of an irqfd whose interrupt comes past the host has changed, or may have. */
export const kvmArchUpdateIrqfdRouting = kernelFunction(
  "kvm_arch_update_irqfd_routing",
  (k: Kernel, irqfd: KvmIrqfd, before: MsiRoute | null, now: MsiRoute | null): void => {
    const { producer } = irqfd;
    if (producer === null) return;
    const same = isSameMessage(before, now);
    if (k.runs(rework)) {
      if (!same) kvmPiUpdateIrte(k, irqfd, now, unrouted);
      return;
    }
    // Compared since 5.15.
    if (!same || k.runs({ below: "5.15" })) updateByGsi(k, irqfd, producer.irq, true);
  },
);

function isSameMessage(left: MsiRoute | null, right: MsiRoute | null): boolean {
  if (left === null || right === null) return left === right;
  return (
    left.addressLow === right.addressLow && left.addressHigh === right.addressHigh && left.data === right.data
  );
}
