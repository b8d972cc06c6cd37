import { errno } from "../errno.ts";
import { kernelFunction } from "../kernel-function.ts";
import type { Kernel } from "../kernel.ts";
import type { File, Ioctl } from "../syscall.ts";
import { kvmSendUserspaceMsi } from "./delivery.ts";
import { kvmIrqfd, kvmIrqfdRelease } from "./irqfd.ts";
import type { KvmRequest } from "./requests.ts";
import { kvmSetIrqRouting } from "./routing.ts";
import type { KvmVm } from "./vm.ts";

/** Requests of others than KVM's VM files fall through to -ENOTTY. */
const kvmVmIoctl = kernelFunction("kvm_vm_ioctl", (k: Kernel, vm: KvmVm, request: KvmRequest): number => {
  switch (request.request) {
    case "KVM_SIGNAL_MSI":
      return kvmSendUserspaceMsi(k, vm, request);
    case "KVM_SET_GSI_ROUTING":
      return kvmSetIrqRouting(k, vm, request.routes);
    case "KVM_IRQFD":
      return kvmIrqfd(k, vm, request.eventfd, request.gsi, request.deassign ?? false);
    default:
      return -errno.ENOTTY;
  }
});

const kvmVmRelease = kernelFunction("kvm_vm_release", (k: Kernel, vm: KvmVm): void => {
  kvmIrqfdRelease(k, vm);
  vm.interrupts.routing = new Map();
});

/** The file of a virtual machine. Its vCPUs have files of their own, and go with them. */
export function kvmVmFile(vm: KvmVm): File {
  return {
    name: `anon_inode:kvm-vm(${vm.name})`,
    ioctl: (k: Kernel, request: Ioctl) => kvmVmIoctl(k, vm, request as KvmRequest),
    release: (k) => kvmVmRelease(k, vm),
  };
}
