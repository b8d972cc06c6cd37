import { describe, expect, test } from "vitest";
import { Thread } from "../../hardware/call-stack.ts";
import { PostedDescriptor } from "../../hardware/posting/descriptor.ts";
import { interrupt } from "../irq/entry.ts";
import { setSystemVector } from "../irq/system-vector.ts";
import { type HostOptions, host } from "../testbed.ts";
import { type VmOptions, kvmCreateVcpu, kvmCreateVm, kvmDestroyVm } from "./create.ts";
import {
  vcpuHalt,
  vcpuRun,
  vcpuSchedIn,
  vcpuSchedOut,
  vcpuSetInterruptible,
  vcpuStop,
  vcpuTakesInterrupt,
} from "./run.ts";
import type { Vcpu } from "./vcpu.ts";
import { vmxX86Ops } from "./vmx/ops.ts";
import { vmxProtocol } from "./vmx/protocol.ts";

/** A host with one VM, whose guests note what they take. */
function guests(count: number, options: Partial<VmOptions> = {}, hostOptions: HostOptions = {}) {
  const machine = host(hostOptions);
  const { k } = machine;
  k.x2apic = true;
  const before = k.pages.allocations;
  const vm = kvmCreateVm(k, { name: "vm", ops: vmxX86Ops, ...options })!;
  const vcpus = Array.from({ length: count }, (_, i) => {
    const vcpu = kvmCreateVcpu(k, vm, i, new Thread(`CPU ${i}/KVM`)) as Vcpu;
    const taken: number[] = [];
    vcpu.guest = {
      interrupt(vector) {
        taken.push(vector);
        vcpu.processor!.apic.eoi();
      },
    };
    const descriptor = new PostedDescriptor(k.memory, vmxProtocol(k).descriptorOf(vcpu.slot));
    return { vcpu, taken, descriptor };
  });
  /** Every CPU sees to what waits at its APIC, until nothing does. */
  const settle = (): void => {
    for (let again = true; again;) {
      again = false;
      for (const cpu of machine.cpus) {
        if (cpu.localApic.pending() < 0) continue;
        again = true;
        const inGuest = vcpus.find(({ vcpu }) => vcpu.inGuest && vcpu.cpu === cpu);
        if (inGuest !== undefined) vcpuTakesInterrupt(k, inGuest.vcpu, cpu);
        else interrupt(k, cpu, cpu.localApic.acknowledge());
      }
    }
  };
  /** What the remapping unit does for a posted entry. */
  const post = (descriptor: PostedDescriptor, vector: number): void => {
    descriptor.testAndSetPir(vector);
    if (descriptor.on === 1 || descriptor.sn === 1) return;
    descriptor.testAndSetOn();
    machine.fabric.fixed(descriptor.ndst, descriptor.nv);
  };
  return { ...machine, vm, vcpus, settle, post, before };
}

describe("a vCPU with posted interrupts", () => {
  test("takes one in its guest without an exit", () => {
    const { k, vcpus, cpus, settle, post } = guests(1);
    const { vcpu, taken, descriptor } = vcpus[0]!;
    vcpuRun(k, vcpu, cpus[1]!);
    expect(descriptor.read()).toMatchObject({ nv: 0xf2, sn: 0, ndst: 1 });
    post(descriptor, 0x41);
    post(descriptor, 0x51);
    settle();
    expect(taken).toEqual([0x51, 0x41]);
    expect(vcpu.counts).toMatchObject({ entries: 1, notifications: 1, interrupts: 2, allExits: 0 });
  });

  test("finds at its next load what came while it was preempted, wherever that is", () => {
    const { k, vm, vcpus, cpus, settle, post } = guests(1);
    const { vcpu, taken, descriptor } = vcpus[0]!;
    vm.possibleBypassIrqs = 1;
    vcpuRun(k, vcpu, cpus[1]!);
    vcpuSchedOut(k, vcpu);
    expect([descriptor.sn, vcpu.preempted, vcpu.asleep]).toEqual([1, true, false]);
    post(descriptor, 0x41);
    expect([descriptor.on, descriptor.pending]).toEqual([0, true]);
    settle();
    vcpuSchedIn(k, vcpu, cpus[2]!);
    expect(taken).toEqual([0x41]);
    expect(descriptor.read()).toMatchObject({ nv: 0xf2, sn: 0, on: 0, ndst: 2 });
  });

  test("sleeps in HLT, is woken by a notification to its wakeup list, and runs on on another CPU", () => {
    const { k, vm, vcpus, cpus, settle, post } = guests(1);
    const { vcpu, taken, descriptor } = vcpus[0]!;
    vm.possibleBypassIrqs = 1;
    vcpuRun(k, vcpu, cpus[1]!);
    expect(vcpuHalt(k, vcpu)).toBe(false);
    expect([vcpu.asleep, vcpu.blocking, vcpu.listed, descriptor.nv, descriptor.sn]).toEqual([
      true,
      true,
      1,
      0xf1,
      0,
    ]);
    const woken: Vcpu[] = [];
    k.kvm!.onWakeUp = (each) => woken.push(each);
    post(descriptor, 0x41);
    settle();
    expect([woken, vcpu.asleep]).toEqual([[vcpu], false]);
    vcpuSchedIn(k, vcpu, cpus[3]!);
    expect([taken, vcpu.inGuest, vcpu.halted, vcpu.listed]).toEqual([[0x41], true, false, 0]);
    expect(descriptor.read()).toMatchObject({ nv: 0xf2, on: 0, ndst: 3 });
    expect(vcpu.counts.exits).toMatchObject({ hlt: 1, externalInterrupt: 0 });
  });

  test("does not sleep in HLT when something was posted", () => {
    const { k, vcpus, cpus, settle, post } = guests(1);
    const { vcpu, taken, descriptor } = vcpus[0]!;
    vcpuRun(k, vcpu, cpus[0]!);
    vcpuSetInterruptible(k, vcpu, false);
    post(descriptor, 0x41);
    settle();
    expect(taken).toEqual([]);
    vcpuSetInterruptible(k, vcpu, true);
    expect(taken).toEqual([0x41]);
    post(descriptor, 0x42);
    expect([vcpuHalt(k, vcpu), taken]).toEqual([true, [0x41, 0x42]]);
  });

  test("that slept before the first device came is woken by it, and sleeps anew", () => {
    const { k, vm, vcpus, cpus } = guests(2);
    const { vcpu, descriptor } = vcpus[0]!;
    vcpuRun(k, vcpu, cpus[0]!);
    vcpuHalt(k, vcpu);
    expect([vcpu.listed, descriptor.nv]).toEqual([0, 0xf2]);
    vm.possibleBypassIrqs = 1;
    vm.ops.piStartBypass(k, vm);
    expect(vcpu.asleep).toBe(false);
    vcpuSchedIn(k, vcpu, cpus[0]!);
    expect([vcpu.asleep, vcpu.listed, descriptor.nv]).toEqual([true, 1, 0xf1]);
  });

  test("gets an interrupt from software: by a notification in its guest, by its entry outside, by a wakeup in its sleep", () => {
    const { k, vm, vcpus, cpus, settle } = guests(1);
    const { vcpu, taken } = vcpus[0]!;
    vcpuRun(k, vcpu, cpus[1]!);
    vm.ops.deliverInterrupt(k, vcpu, 0x41);
    expect(cpus[1]!.localApic.pending()).toBe(0xf2);
    settle();
    expect(taken).toEqual([0x41]);
    vcpuSchedOut(k, vcpu);
    vm.ops.deliverInterrupt(k, vcpu, 0x42);
    vcpuSchedIn(k, vcpu, cpus[1]!);
    expect(taken).toEqual([0x41, 0x42]);
    vcpuHalt(k, vcpu);
    vm.ops.deliverInterrupt(k, vcpu, 0x43);
    expect(vcpu.asleep).toBe(false);
    vcpuSchedIn(k, vcpu, cpus[1]!);
    expect(taken).toEqual([0x41, 0x42, 0x43]);
  });

  test("exits for a host interrupt, and enters again when it is handled", () => {
    const { k, vcpus, cpus, settle, fabric } = guests(1);
    const { vcpu } = vcpus[0]!;
    const handled: string[][] = [];
    setSystemVector(k, 0xec, "sysvec_apic_timer_interrupt", (kernel) =>
      handled.push(kernel.calls.frames("kernel")),
    );
    k.calls.listener = { entered: () => {}, left: () => {} };
    vcpuRun(k, vcpu, cpus[1]!);
    fabric.fixed(1, 0xec);
    settle();
    expect(handled).toEqual([
      [
        "sysvec_apic_timer_interrupt",
        "asm_sysvec_apic_timer_interrupt",
        "handle_external_interrupt_irqoff",
        "vmx_handle_exit_irqoff",
        "vcpu_enter_guest",
        "vcpu_run",
        "kvm_arch_vcpu_ioctl_run",
        "kvm_vcpu_ioctl",
        "__x64_sys_ioctl",
        "do_syscall_64",
        "entry_SYSCALL_64_after_hwframe",
      ],
    ]);
    expect([vcpu.inGuest, vcpu.counts.entries, vcpu.counts.exits.externalInterrupt]).toEqual([true, 2, 1]);
    expect(k.cpu).toBe(cpus[0]);
  });
});

describe("IPIs between vCPUs", () => {
  test.each([
    ["without an exit where the processor posts them", { ipiVirtualization: true }, 0],
    ["through KVM where it does not", {}, 1],
  ] as const)("arrive %s", (_, options, exits) => {
    const { k, vcpus, cpus, settle } = guests(2, options);
    const [from, to] = [vcpus[0]!, vcpus[1]!];
    vcpuRun(k, from.vcpu, cpus[0]!);
    vcpuRun(k, to.vcpu, cpus[1]!);
    from.vcpu.processor!.apic.sendIpi(1, 0x41);
    settle();
    from.vcpu.processor!.apic.sendIpi(0, 0x42);
    vcpuSetInterruptible(k, from.vcpu, true);
    expect([to.taken, from.taken, from.vcpu.counts.allExits, to.vcpu.counts.allExits]).toEqual([
      [0x41],
      [0x42],
      exits,
      0,
    ]);
  });

  test("wake a sleeper that the processor posts to", () => {
    const { k, vcpus, cpus, settle } = guests(2, { ipiVirtualization: true });
    const [from, to] = [vcpus[0]!, vcpus[1]!];
    vcpuRun(k, from.vcpu, cpus[0]!);
    vcpuRun(k, to.vcpu, cpus[1]!);
    vcpuHalt(k, to.vcpu);
    expect(to.descriptor.nv).toBe(0xf1);
    from.vcpu.processor!.apic.sendIpi(1, 0x41);
    settle();
    expect(to.vcpu.asleep).toBe(false);
    vcpuSchedIn(k, to.vcpu, cpus[1]!);
    expect(to.taken).toEqual([0x41]);
  });
});

describe("a vCPU without APIC virtualization", () => {
  const off = { apicv: false };

  test("is kicked out of its guest, and gets its interrupt with the entry", () => {
    const { k, vm, vcpus, cpus, settle } = guests(1, off);
    const { vcpu, taken } = vcpus[0]!;
    setSystemVector(k, 0xfd, "sysvec_reschedule_ipi", () => {});
    vcpuRun(k, vcpu, cpus[1]!);
    vm.ops.deliverInterrupt(k, vcpu, 0x41);
    settle();
    expect(taken).toEqual([0x41]);
    // One to get in, one for the EOI.
    expect(vcpu.counts.exits).toMatchObject({ externalInterrupt: 1, msrWrite: 1, interruptWindow: 0 });
  });

  test("waits for a window while the guest keeps interrupts out", () => {
    const { k, vm, vcpus, cpus, settle } = guests(1, off);
    const { vcpu, taken } = vcpus[0]!;
    setSystemVector(k, 0xfd, "sysvec_reschedule_ipi", () => {});
    vcpuRun(k, vcpu, cpus[1]!);
    vcpuSetInterruptible(k, vcpu, false);
    vm.ops.deliverInterrupt(k, vcpu, 0x41);
    vm.ops.deliverInterrupt(k, vcpu, 0x51);
    settle();
    expect(taken).toEqual([]);
    vcpuSetInterruptible(k, vcpu, true);
    expect(taken).toEqual([0x51, 0x41]);
    expect(vcpu.counts.exits.interruptWindow).toBe(2);
  });

  test("is woken from HLT, and moves", () => {
    const { k, vm, vcpus, cpus } = guests(1, off);
    const { vcpu, taken } = vcpus[0]!;
    vcpuRun(k, vcpu, cpus[1]!);
    expect(vcpuHalt(k, vcpu)).toBe(false);
    vm.ops.deliverInterrupt(k, vcpu, 0x41);
    vcpuSchedIn(k, vcpu, cpus[2]!);
    expect(taken).toEqual([0x41]);
  });
});

describe("the end of a VM", () => {
  test.each<[string, (k: ReturnType<typeof guests>) => void]>([
    ["in its guest", () => {}],
    ["preempted", ({ k, vcpus }) => vcpuSchedOut(k, vcpus[0]!.vcpu)],
    ["asleep", ({ k, vcpus }) => void vcpuHalt(k, vcpus[0]!.vcpu)],
    ["stopped already", ({ k, vcpus }) => vcpuStop(k, vcpus[0]!.vcpu)],
  ])("frees everything, with a vCPU that is %s", (_, act) => {
    for (const options of [{ ipiVirtualization: true }, {}, { apicv: false }]) {
      const machine = guests(2, options);
      const { k, vm, vcpus, cpus, before } = machine;
      vm.possibleBypassIrqs = 1;
      vcpuRun(k, vcpus[0]!.vcpu, cpus[0]!);
      act(machine);
      const { state } = k.kvm!;
      kvmDestroyVm(k, vm);
      expect([k.pages.allocations, state.listed, k.kvm, vm.vcpus.length]).toEqual([before, 0, null, 0]);
      expect(vcpus[0]!.vcpu.running).toBe(false);
    }
  });
});
