import { eventKinds } from "../../../hardware/event.ts";
import { vmxExitReasons } from "../../../spec/apic/vmx.ts";
import type { Cpu } from "../../cpu.ts";
import { interrupt } from "../../irq/entry.ts";
import { irqSetVcpuAffinity } from "../../irq/manage.ts";
import { setSystemVector } from "../../irq/system-vector.ts";
import { kernelFunction } from "../../kernel-function.ts";
import type { Kernel } from "../../kernel.ts";
import { irqPostingCapable } from "../../posting-capability.ts";
import { postedInterruptVector, wakeupVector } from "../../posting/posting-state.ts";
import { InjectedProcessor, deliverByInjection } from "../injected.ts";
import type { Vcpu } from "../vcpu.ts";
import type { KvmVm, KvmX86Ops, VendorProtocol } from "../vm.ts";
import * as pi from "./posted-interrupts.ts";
import { VmxProcessor } from "./processor.ts";
import { VmxProtocol, vmxProtocol } from "./protocol.ts";

const vmxHardwareSetup = kernelFunction("vmx_hardware_setup", (k: Kernel): VendorProtocol => {
  // A notification to a CPU that runs no guest: there is nothing to do.
  setSystemVector(k, postedInterruptVector, "sysvec_kvm_posted_intr_ipi", () => {});
  setSystemVector(k, wakeupVector, "sysvec_kvm_posted_intr_wakeup_ipi", (kernel, cpu) => {
    if (kernel.kvm !== null) pi.piWakeupHandler(kernel, cpu);
  });
  return new VmxProtocol(k);
});

const vmxHardwareUnsetup = kernelFunction("vmx_hardware_unsetup", (k: Kernel): void => {
  vmxProtocol(k).release(k);
});

const vmxVmInit = kernelFunction("vmx_vm_init", (k: Kernel, vm: KvmVm): void => {
  if (vm.ipiVirtualization) vmxProtocol(k).pidPointers.allocate(k, vm);
});

const vmxVmDestroy = kernelFunction("vmx_vm_destroy", (k: Kernel, vm: KvmVm): void => {
  vmxProtocol(k).pidPointers.free(k, vm);
});

const vmxVcpuCreate = kernelFunction("vmx_vcpu_create", (k: Kernel, vcpu: Vcpu): void => {
  const protocol = vmxProtocol(k);
  const page = protocol.allocatePage(k, vcpu.slot);
  const { vm } = vcpu;
  if (!vm.apicv) {
    vcpu.processor = new InjectedProcessor(k, vcpu, page);
    return;
  }
  protocol.state.resetDescriptor(vcpu.slot);
  const descriptor = protocol.descriptorOf(vcpu.slot);
  vcpu.processor = new VmxProcessor(k, vcpu, {
    page,
    descriptor,
    pidPointers: protocol.pidPointers.add(k, vcpu, descriptor),
  });
});

const vmxVcpuFree = kernelFunction("vmx_vcpu_free", (k: Kernel, vcpu: Vcpu): void => {
  const protocol = vmxProtocol(k);
  protocol.pidPointers.remove(k, vcpu);
  protocol.freePage(k, vcpu.slot);
  vcpu.processor = null;
});

const vmxVcpuLoad = kernelFunction("vmx_vcpu_load", (k: Kernel, vcpu: Vcpu, cpu: Cpu): void => {
  if (vcpu.vm.apicv) pi.vmxVcpuPiLoad(k, vcpu, cpu);
});

const vmxVcpuPut = kernelFunction("vmx_vcpu_put", (k: Kernel, vcpu: Vcpu): void => {
  if (vcpu.vm.apicv) pi.vmxVcpuPiPut(k, vcpu);
});

const vmxDeliverInterrupt = kernelFunction(
  "vmx_deliver_interrupt",
  (k: Kernel, vcpu: Vcpu, vector: number): void => {
    if (vcpu.vm.apicv) pi.vmxDeliverPostedInterrupt(k, vcpu, vector);
    else deliverByInjection(k, vcpu, vector);
  },
);

const vmxSyncPirToIrr = kernelFunction("vmx_sync_pir_to_irr", (k: Kernel, vcpu: Vcpu): number => {
  const { processor } = vcpu;
  if (!(processor instanceof VmxProcessor)) return (processor as InjectedProcessor).requested;
  pi.harvest(k, vcpu);
  return processor.updateRequested();
});

/** Whether posting is possible at all. */
function canPost(k: Kernel, vm: KvmVm): boolean {
  const { enableApicv, enableDevicePostedIrqs } = k.parameters;
  return vm.apicv && enableApicv && enableDevicePostedIrqs && irqPostingCapable(k);
}

const vmxPiUpdateIrte = kernelFunction(
  "vmx_pi_update_irte",
  (k: Kernel, vm: KvmVm, hostIrq: number, gsi: number, vcpu: Vcpu | null, vector: number): number => {
    if (!canPost(k, vm)) return 0;
    const result = irqSetVcpuAffinity(k, hostIrq, pi.piDataFor(k, vm, vcpu, vector));
    if (result === 0) {
      k.observer?.record(eventKinds.routed, hostIrq, vcpu?.slot ?? -1, gsi, vector, vcpu?.id ?? -1, 0);
    }
    return result;
  },
);

const externalInterruptIrqoff = kernelFunction(
  "handle_external_interrupt_irqoff",
  (k: Kernel, cpu: Cpu, vector: number): void => interrupt(k, cpu, vector),
);

const vmxHandleExitIrqoff = kernelFunction("vmx_handle_exit_irqoff", externalInterruptIrqoff);

/** KVM on processors with VMX. */
export const vmxX86Ops: KvmX86Ops = {
  vendor: "intel",
  exitReasons: vmxExitReasons,
  hardwareSetup: vmxHardwareSetup,
  hardwareUnsetup: vmxHardwareUnsetup,
  vmInit: vmxVmInit,
  vmDestroy: vmxVmDestroy,
  vcpuCreate: vmxVcpuCreate,
  vcpuFree: vmxVcpuFree,
  vcpuLoad: vmxVcpuLoad,
  vcpuPut: vmxVcpuPut,
  handleExternalInterrupt: vmxHandleExitIrqoff,
  deliverInterrupt: vmxDeliverInterrupt,
  syncPirToIrr: vmxSyncPirToIrr,
  hasPendingInterrupt: pi.piHasPendingInterrupt,
  piUpdateIrte: vmxPiUpdateIrte,
  piStartBypass: pi.vmxPiStartBypass,
};
