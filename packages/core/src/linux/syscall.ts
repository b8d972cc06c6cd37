import { errno } from "./errno.ts";
import { kernelFunction } from "./kernel-function.ts";
import type { Kernel } from "./kernel.ts";

/** An open file: what its `struct file_operations` make of requests. Each driver declares the requests it takes. */
export interface File {
  readonly name: string;
  /** `unlocked_ioctl`. @returns a result, or a negative errno. */
  ioctl?(k: Kernel, request: Ioctl): number;
  /** The last reference goes away. */
  release?(k: Kernel): void;
}

/** A request of ioctl(2): its name in the UAPI headers, and its argument as an object. */
export interface Ioctl {
  readonly request: string;
}

const vfsIoctl = (k: Kernel, file: File, request: Ioctl): number => file.ioctl?.(k, request) ?? -errno.ENOTTY;

const doVfsIoctl = kernelFunction("do_vfs_ioctl", vfsIoctl);

const ksysIoctl = kernelFunction("ksys_ioctl", doVfsIoctl);

/** Until 5.8 the work was in functions of its own. */
const sysIoctl = kernelFunction("__x64_sys_ioctl", (k: Kernel, file: File, request: Ioctl): number =>
  k.runs({ below: "5.9" }) ? ksysIoctl(k, file, request) : vfsIoctl(k, file, request),
);

const doSyscall64 = kernelFunction("do_syscall_64", <R>(k: Kernel, call: (k: Kernel) => R): R => call(k));

const entrySyscall64 = kernelFunction(
  "entry_SYSCALL_64_after_hwframe",
  <R>(k: Kernel, call: (k: Kernel) => R): R => doSyscall64(k, call),
);

/** The current thread makes a system call. */
export function syscall<R>(k: Kernel, call: (k: Kernel) => R): R {
  return entrySyscall64(k, call);
}

/** ioctl(2) on an open file. */
export function ioctl(k: Kernel, file: File, request: Ioctl): number {
  return syscall(k, (kernel) => sysIoctl(kernel, file, request));
}

const fput = kernelFunction("__fput", (k: Kernel, file: File): void => file.release?.(k));

const sysClose = kernelFunction("__x64_sys_close", (k: Kernel, file: File): void => fput(k, file));

const taskWorkRun = kernelFunction("task_work_run", (k: Kernel, file: File): void => fput(k, file));

const exitToUsermodeLoop = kernelFunction("exit_to_usermode_loop", (k: Kernel, file: File): void =>
  taskWorkRun(k, file),
);

/** close(2) of the last reference to a file; until 6.6 it was let go on the way back to userspace. */
export function close(k: Kernel, file: File): void {
  syscall(k, (kernel) =>
    kernel.runs({ from: "6.6" }) ? sysClose(kernel, file) : exitToUsermodeLoop(kernel, file),
  );
}
