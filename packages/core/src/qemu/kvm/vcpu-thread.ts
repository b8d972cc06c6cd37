import { Thread } from "../../hardware/call-stack.ts";
import { addressSpaceRw } from "../memory/address-space.ts";
import { qemuFunction } from "../qemu-function.ts";
import type { Vmm } from "../vmm.ts";

/** KVM_EXIT_MMIO: the guest accessed an address that nothing is mapped at. */
interface MmioExit {
  readonly address: number;
  /** What it wrote, or where what it reads goes. */
  readonly bytes: Uint8Array;
  readonly isWrite: boolean;
}

/** One thread of QEMU that runs a virtual CPU. */
export class VcpuThread {
  readonly index: number;
  readonly thread: Thread;
  /** Accesses of the guest that QEMU had to carry out. */
  exits = 0;
  /** Leaves guest mode around what QEMU does, where somebody models the vCPU's life. */
  outside: (action: () => void) => void = (action) => action();

  constructor(index: number, thread = new Thread(`CPU ${index}/KVM`)) {
    this.index = index;
    this.thread = thread;
  }
}

const kvmCpuExec = qemuFunction("kvm_cpu_exec", (vmm: Vmm, { address, bytes, isWrite }: MmioExit): void => {
  addressSpaceRw(vmm, vmm.memory, address, bytes, isWrite);
});

const kvmVcpuThreadFn = qemuFunction("kvm_vcpu_thread_fn", (vmm: Vmm, exit: MmioExit): void =>
  kvmCpuExec(vmm, exit),
);

const qemuThreadStart = qemuFunction("qemu_thread_start", (vmm: Vmm, exit: MmioExit): void =>
  kvmVcpuThreadFn(vmm, exit),
);

/** The vCPU leaves guest mode with a memory access, and QEMU carries it out on the vCPU's thread. */
export function mmioExit(vmm: Vmm, cpu: VcpuThread, exit: MmioExit): void {
  cpu.exits++;
  cpu.outside(() => vmm.calls.run(cpu.thread, () => qemuThreadStart(vmm, exit)));
}
