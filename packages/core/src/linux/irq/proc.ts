import { errno } from "../errno.ts";
import { kernelFunction } from "../kernel-function.ts";
import type { Kernel } from "../kernel.ts";
import { syscall } from "../syscall.ts";
import { irqSetAffinity } from "./affinity.ts";

// write(2) to /proc/irq/<irq>/smp_affinity_list.

const writeIrqAffinity = kernelFunction(
  "write_irq_affinity",
  (k: Kernel, irq: number, cpus: readonly number[]): number => {
    const online = cpus.some((cpu) => k.cpus[cpu]?.online === true);
    return online ? irqSetAffinity(k, irq, cpus) : -errno.EINVAL;
  },
);
const procRegWrite = kernelFunction("proc_reg_write", writeIrqAffinity);
const vfsWrite = kernelFunction("vfs_write", procRegWrite);
const ksysWrite = kernelFunction("ksys_write", vfsWrite);
const sysWrite = kernelFunction("__x64_sys_write", ksysWrite, { tailCalls: { ksys_write: true } });

/** Userspace gives an interrupt CPUs. @returns 0, or a negative errno. */
export function writeAffinity(k: Kernel, irq: number, cpus: readonly number[]): number {
  return syscall(k, (kernel) => sysWrite(kernel, irq, cpus));
}
