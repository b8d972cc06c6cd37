import { amdIommuRegisterGaLogNotifier } from "../../amd-ir/galog.ts";
import { avicExitCodes, svmExitCodes } from "../../../spec/apic/avic.ts";
import type { Cpu } from "../../cpu.ts";
import { kernelFunction } from "../../kernel-function.ts";
import type { Kernel } from "../../kernel.ts";
import { InjectedProcessor, deliverByInjection } from "../injected.ts";
import type { Vcpu } from "../vcpu.ts";
import type { KvmVm, KvmX86Ops, VendorProtocol } from "../vm.ts";
import {
  avicGaLogNotifier,
  avicVcpuBlocking,
  avicVcpuLoad,
  avicVcpuPut,
  avicVcpuUnblocking,
  piUpdateIrte,
  releaseEntries,
} from "./avic.ts";
import { deliverThroughAvic } from "./delivery.ts";
import { SvmProcessor } from "./processor.ts";
import { AvicProtocol, avicProtocol } from "./protocol.ts";

const avicHardwareSetup = kernelFunction("avic_hardware_setup", (k: Kernel): void => {
  if (!k.parameters.enableApicv) return;
  if (k.runs({ from: "6.0" })) k.log.info("kvm_amd: AVIC enabled");
  if (k.remapping?.vendor === "amd") amdIommuRegisterGaLogNotifier(k, avicGaLogNotifier);
});

const svmHardwareSetup = kernelFunction("svm_hardware_setup", (k: Kernel): VendorProtocol => {
  avicHardwareSetup(k);
  return new AvicProtocol(k);
});

const svmHardwareUnsetup = kernelFunction("svm_hardware_unsetup", (k: Kernel): void => {
  if (k.remapping?.vendor === "amd") amdIommuRegisterGaLogNotifier(k, null);
  avicProtocol(k).release(k);
});

/** Guests in x2APIC mode have AVIC since 6.0; IPIs go past KVM wherever AVIC is on. */
const svmVmInit = kernelFunction("svm_vm_init", (k: Kernel, vm: KvmVm): void => {
  if (vm.x2apic && k.runs({ below: "6.0" })) vm.apicv = false;
  vm.ipiVirtualization = vm.apicv;
  if (vm.apicv) avicProtocol(k).avicOf(k, vm);
});

const svmVmDestroy = kernelFunction("svm_vm_destroy", (k: Kernel, vm: KvmVm): void => {
  avicProtocol(k).freeVm(k, vm);
});

/** A vCPU that AVIC cannot address inhibits it for the whole VM. */
function inhibit(k: Kernel, vm: KvmVm): void {
  const protocol = avicProtocol(k);
  vm.apicv = false;
  vm.ipiVirtualization = false;
  for (const vcpu of vm.vcpus) {
    if (!(vcpu.processor instanceof SvmProcessor)) continue;
    protocol.state.clearAvic(vcpu.slot);
    vcpu.processor = new InjectedProcessor(k, vcpu, protocol.pageOf(vcpu.slot));
  }
}

const avicInitVcpu = kernelFunction("avic_init_vcpu", (k: Kernel, vcpu: Vcpu, page: number): void => {
  const protocol = avicProtocol(k);
  const { vm } = vcpu;
  if (vcpu.apicId > protocol.maximumId(vm)) {
    inhibit(k, vm);
    return;
  }
  protocol.state.resetAvic(vcpu.slot, page);
  protocol.writeLogicalId(k, vcpu);
  vcpu.processor = new SvmProcessor(k, vcpu, page, protocol.avicOf(k, vm));
});

const svmVcpuCreate = kernelFunction("svm_vcpu_create", (k: Kernel, vcpu: Vcpu): void => {
  const page = avicProtocol(k).allocatePage(k, vcpu.slot);
  if (vcpu.vm.apicv) avicInitVcpu(k, vcpu, page);
  vcpu.processor ??= new InjectedProcessor(k, vcpu, page);
});

const svmVcpuFree = kernelFunction("svm_vcpu_free", (k: Kernel, vcpu: Vcpu): void => {
  const protocol = avicProtocol(k);
  releaseEntries(k, vcpu);
  if (vcpu.processor instanceof SvmProcessor) protocol.state.clearAvic(vcpu.slot);
  protocol.freePage(k, vcpu.slot);
  vcpu.processor = null;
});

const svmVcpuLoad = kernelFunction("svm_vcpu_load", (k: Kernel, vcpu: Vcpu, cpu: Cpu): void => {
  if (vcpu.vm.apicv) avicVcpuLoad(k, vcpu, cpu);
});

const svmVcpuPut = kernelFunction("svm_vcpu_put", (k: Kernel, vcpu: Vcpu): void => {
  if (vcpu.vm.apicv) avicVcpuPut(k, vcpu);
});

function deliver(k: Kernel, vcpu: Vcpu, vector: number): void {
  if (vcpu.processor instanceof SvmProcessor) deliverThroughAvic(k, vcpu, vector);
  else deliverByInjection(k, vcpu, vector);
}

const findHighestIrr = kernelFunction(
  "kvm_lapic_find_highest_irr",
  (_k: Kernel, vcpu: Vcpu): number => (vcpu.processor as SvmProcessor | InjectedProcessor).requested,
);

/** KVM on processors with SVM. */
export const svmX86Ops: KvmX86Ops = {
  vendor: "amd",
  exitReasons: {
    externalInterrupt: svmExitCodes.interrupt,
    interruptWindow: svmExitCodes.virtualInterrupt,
    hlt: svmExitCodes.hlt,
    msrWrite: svmExitCodes.msr,
    apicWrite: avicExitCodes.noAcceleration,
    virtualizedEoi: avicExitCodes.noAcceleration,
    incompleteIpi: avicExitCodes.incompleteIpi,
  },
  hardwareSetup: svmHardwareSetup,
  hardwareUnsetup: svmHardwareUnsetup,
  vmInit: svmVmInit,
  vmDestroy: svmVmDestroy,
  vcpuCreate: svmVcpuCreate,
  vcpuFree: svmVcpuFree,
  vcpuLoad: svmVcpuLoad,
  vcpuPut: svmVcpuPut,
  vcpuBlocking: avicVcpuBlocking,
  vcpuUnblocking: avicVcpuUnblocking,
  deliverInterrupt: deliver,
  syncPirToIrr: findHighestIrr,
  // What was posted is in IRR, where everybody looks.
  hasPendingInterrupt: () => false,
  piUpdateIrte,
  piStartBypass: () => {},
};
