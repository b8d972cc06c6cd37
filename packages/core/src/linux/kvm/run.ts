import type { Cpu } from "../cpu.ts";
import { errno } from "../errno.ts";
import { kernelFunction } from "../kernel-function.ts";
import type { Kernel } from "../kernel.ts";
import type { LocalCpu } from "../local-cpu.ts";
import { done } from "../posting/step.ts";
import { threadStep } from "../posting/thread-steps.ts";
import { FrameWord, VcpuWord } from "../posting/words.ts";
import { type File, type Ioctl, ioctl } from "../syscall.ts";
import { blocks, wasBlocking } from "./block.ts";
import type { ExitReason } from "./counts.ts";
import { vcpuEnterGuest, vcpuExits, vcpuExitsForInterrupt } from "./enter.ts";
import { scheduleIn, scheduleOut, vcpuLoad, vcpuPut } from "./schedule.ts";
import { setThreadRegister, threadRuns } from "./thread.ts";
import type { Vcpu } from "./vcpu.ts";
import { vcpuWakeUp } from "./wake.ts";

// The thread of a vCPU, in KVM_RUN until it is stopped.

/** What happens next in a thread that is in KVM_RUN. @returns the step that follows; `done` in the guest or off the CPU. */
type Stage = (k: Kernel, vcpu: Vcpu) => number;

interface RunRequest extends Ioctl {
  readonly request: "KVM_RUN";
  readonly stage: Stage;
}

/** Goes through the thread's routines until it is in the guest, off its CPU or called back to userspace. */
const vcpuRunLoop = kernelFunction("vcpu_run", (k: Kernel, vcpu: Vcpu, stage: Stage): void => {
  let next = stage(k, vcpu);
  while (next !== done) {
    if (next === threadStep.choose) {
      if (vcpu.signalled) return;
      next = threadRuns(k, vcpu, next);
    }
    next = next === threadStep["block-prepare"] ? blocks(k, vcpu, next) : vcpuEnterGuest(k, vcpu, next);
  }
});

const archVcpuIoctlRun = kernelFunction(
  "kvm_arch_vcpu_ioctl_run",
  (k: Kernel, vcpu: Vcpu, stage: Stage): number => {
    if (stage === begins) {
      vcpu.running = true;
      vcpuLoad(k, vcpu);
    }
    vcpuRunLoop(k, vcpu, stage);
    if (!vcpu.signalled) return 0;
    vcpu.signalled = false;
    vcpu.running = false;
    vcpuPut(k, vcpu);
    return -errno.EINTR;
  },
);

const kvmVcpuIoctl = kernelFunction("kvm_vcpu_ioctl", (k: Kernel, vcpu: Vcpu, request: Ioctl): number =>
  request.request === "KVM_RUN" ? archVcpuIoctlRun(k, vcpu, (request as RunRequest).stage) : -errno.ENOTTY,
);

/** The file of a vCPU. */
export function kvmVcpuFile(vcpu: Vcpu): File {
  return {
    name: `anon_inode:kvm-vcpu:${vcpu.id}`,
    ioctl: (k, request) => kvmVcpuIoctl(k, vcpu, request),
  };
}

/** The thread of a vCPU goes on in KVM_RUN, on a CPU. */
function inKvmRun(k: Kernel, vcpu: Vcpu, cpu: Cpu, stage: Stage): void {
  const before = k.cpu;
  k.cpu = cpu;
  try {
    const request: RunRequest = { request: "KVM_RUN", stage };
    k.calls.run(vcpu.thread, () => ioctl(k, vcpu.file!, request));
  } finally {
    k.cpu = before;
  }
}

const begins: Stage = () => threadStep.choose;

// What whoever drives the machine calls.

/** A thread calls KVM_RUN on a CPU. Afterwards the guest runs, or, if it is halted, the thread may sleep. */
export function vcpuRun(k: Kernel, vcpu: Vcpu, cpu: Cpu): void {
  inKvmRun(k, vcpu, cpu, begins);
  runGuest(k, vcpu);
}

/**
 * The physical APIC of a CPU has something pending while the vCPU runs there in guest mode: its processor sees to a
 * notification without an exit; anything else exits to the host, which handles it and enters again.
 */
export function vcpuTakesInterrupt(k: Kernel, vcpu: Vcpu, cpu: LocalCpu): void {
  const vector = vcpu.processor!.externalInterrupt(cpu);
  if (vector < 0) vcpu.counts.notifications++;
  else exitForInterrupt(k, vcpu, cpu, vector);
  runGuest(k, vcpu);
}

/** Apart, so that the way without an exit makes no closure. */
function exitForInterrupt(k: Kernel, vcpu: Vcpu, cpu: LocalCpu, vector: number): void {
  inKvmRun(k, vcpu, cpu, () => {
    vcpuExitsForInterrupt(k, vcpu, cpu, vector);
    return threadStep.choose;
  });
}

/** The guest executes HLT. @returns whether the vCPU runs on, since an interrupt was there; otherwise its thread sleeps. */
export function vcpuHalt(k: Kernel, vcpu: Vcpu): boolean {
  vcpuExitsAndGoesOn(k, vcpu, "hlt", emulateHalt);
  runGuest(k, vcpu);
  return vcpu.inGuest;
}

const emulateHalt = kernelFunction("kvm_emulate_halt", (_k: Kernel, vcpu: Vcpu): void => {
  vcpu.halted = true;
});

/** The guest exits for something that it did, and runs on when that is done. */
export function vcpuExitsAndGoesOn(
  k: Kernel,
  vcpu: Vcpu,
  reason: ExitReason,
  handle: ((k: Kernel, vcpu: Vcpu) => void) | null,
): void {
  inKvmRun(k, vcpu, vcpu.cpu!, () => {
    vcpuExits(k, vcpu, reason, handle);
    return threadStep.choose;
  });
}

/**
 * The guest exits for something that userspace is to do, and KVM_RUN returns. The thread calls {@link vcpuRun} when it is
 * done.
 */
export function vcpuExitsToUser(k: Kernel, vcpu: Vcpu, reason: ExitReason): void {
  vcpu.signalled = true;
  vcpuExitsAndGoesOn(k, vcpu, reason, null);
}

/** The scheduler takes the CPU from a vCPU that would run on. */
export function vcpuSchedOut(k: Kernel, vcpu: Vcpu): void {
  inKvmRun(k, vcpu, vcpu.cpu!, () => {
    if (vcpu.inGuest) vcpuExits(k, vcpu, "externalInterrupt", null);
    setThreadRegister(k, vcpu, FrameWord.resume, threadStep.choose);
    guestModeWork(k, vcpu);
    return done;
  });
}

const guestModeWork = kernelFunction("xfer_to_guest_mode_handle_work", (k: Kernel, vcpu: Vcpu): void =>
  scheduleOut(k, vcpu, "preempt"),
);

const guestModeReturn = kernelFunction("xfer_to_guest_mode_handle_work", scheduleIn);

/** The scheduler gives a vCPU's thread a CPU. Afterwards the guest runs, or, with nothing to run for, the thread sleeps again. */
export function vcpuSchedIn(k: Kernel, vcpu: Vcpu, cpu: Cpu): void {
  inKvmRun(k, vcpu, cpu, comesBack);
  runGuest(k, vcpu);
}

const comesBack: Stage = (k, vcpu) =>
  wasBlocking(k, vcpu) ? blocks(k, vcpu, threadStep["schedule-in"]) : guestModeReturn(k, vcpu);

/** The guest lets interrupts in, or keeps them out: RFLAGS.IF, interrupt shadow. */
export function vcpuSetInterruptible(k: Kernel, vcpu: Vcpu, interruptible: boolean): void {
  vcpu.interruptible = interruptible;
  runGuest(k, vcpu);
}

/** A signal takes a vCPU's thread out of KVM_RUN, wherever it is. */
export function vcpuStop(k: Kernel, vcpu: Vcpu): void {
  if (!vcpu.running) return;
  vcpu.signalled = true;
  const { state } = k.kvm!;
  if (vcpu.loaded) {
    inKvmRun(k, vcpu, vcpu.cpu!, () => {
      if (vcpu.inGuest) vcpuExits(k, vcpu, "externalInterrupt", null);
      return threadStep.choose;
    });
    return;
  }
  state.set(state.vcpuAt(vcpu.slot) + VcpuWord.unblock, Number(vcpu.blocking));
  vcpuWakeUp(k, vcpu);
  inKvmRun(k, vcpu, vcpu.cpu!, comesBack);
}

/** The guest takes what its virtual APIC gives it, until it keeps interrupts out or there is nothing left. */
function runGuest(k: Kernel, vcpu: Vcpu): void {
  const processor = vcpu.processor!;
  while (vcpu.inGuest && vcpu.interruptible) {
    const vector = processor.deliver();
    if (vector < 0) {
      if (!processor.wantsWindow()) return;
      vcpuExitsAndGoesOn(k, vcpu, "interruptWindow", null);
      continue;
    }
    vcpu.counts.interrupts++;
    // An interrupt gate clears RFLAGS.IF, and IRET sets it.
    vcpu.interruptible = false;
    vcpu.guest?.interrupt(vector);
    vcpu.interruptible = true;
  }
}
