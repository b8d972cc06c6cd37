import type { Thread } from "../../hardware/call-stack.ts";
import { errno } from "../errno.ts";
import { kernelFunction } from "../kernel-function.ts";
import type { Kernel } from "../kernel.ts";
import { kvmVcpuFile, vcpuStop } from "./run.ts";
import { KvmState } from "./state.ts";
import { Vcpu } from "./vcpu.ts";
import { KvmVm, type KvmX86Ops } from "./vm.ts";

export interface VmOptions {
  readonly name: string;
  readonly ops: KvmX86Ops;
  /** The guest's APICs are in x2APIC mode; true unless told. */
  readonly x2apic?: boolean;
  /** APICv or AVIC; where the module has it on, unless told. */
  readonly apicv?: boolean;
  /** The processors can post IPIs (since 5.19, and with APICv only); false unless told. */
  readonly ipiVirtualization?: boolean;
}

/** KVM_CREATE_VM. @returns null when the host has as many as it can. */
export const kvmCreateVm = kernelFunction("kvm_create_vm", (k: Kernel, options: VmOptions): KvmVm | null => {
  const { name, ops, x2apic = true, ipiVirtualization = false } = options;
  k.kvm ??= new KvmState(ops.hardwareSetup(k));
  const { kvm } = k;
  const index = kvm.vms.indexOf(null);
  if (index < 0) return null;
  const apicv = k.parameters.enableApicv && (options.apicv ?? true);
  const vm = new KvmVm(name, ++kvm.created, ops, apicv, { protocol: kvm.protocol, index });
  vm.x2apic = x2apic;
  vm.possibleBypassIrqs = 0;
  vm.ipiVirtualization = ipiVirtualization && apicv && x2apic && k.runs({ from: "5.19" });
  kvm.vms[index] = vm;
  ops.vmInit?.(k, vm);
  return vm;
});

/** KVM_CREATE_VCPU. @returns the vCPU, or a negative errno. */
export const kvmCreateVcpu = kernelFunction(
  "kvm_vm_ioctl_create_vcpu",
  (k: Kernel, vm: KvmVm, apicId: number, thread: Thread): Vcpu | number => {
    const kvm = k.kvm!;
    if (vm.vcpus.some((vcpu) => vcpu.apicId === apicId)) return -errno.EEXIST;
    const slot = kvm.takeSlot(kvm.vms.indexOf(vm));
    if (slot < 0) return -errno.EINVAL;
    const { state } = kvm;
    const words = { words: state.words, at: state.vcpuAt(slot), slot };
    const vcpu = new Vcpu(vm, vm.vcpus.length, apicId, thread, words);
    vcpu.file = kvmVcpuFile(vcpu);
    kvm.vcpus[slot] = vcpu;
    vm.vcpus.push(vcpu);
    vm.ops.vcpuCreate(k, vcpu);
    return vcpu;
  },
);

const kvmVcpuDestroy = kernelFunction("kvm_vcpu_destroy", (k: Kernel, vcpu: Vcpu): void => {
  vcpu.vm.ops.vcpuFree(k, vcpu);
  k.kvm!.freeSlot(vcpu.slot);
});

/** The last reference to a VM goes away: its vCPUs' threads leave KVM_RUN, and all that it held is freed. */
export const kvmDestroyVm = kernelFunction("kvm_destroy_vm", (k: Kernel, vm: KvmVm): void => {
  const kvm = k.kvm!;
  for (const vcpu of vm.vcpus) vcpuStop(k, vcpu);
  for (const vcpu of vm.vcpus) kvmVcpuDestroy(k, vcpu);
  vm.vcpus.length = 0;
  vm.ops.vmDestroy?.(k, vm);
  kvm.vms[kvm.vms.indexOf(vm)] = null;
  if (kvm.running > 0) return;
  vm.ops.hardwareUnsetup(k);
  k.kvm = null;
});
