import { describe, expect, test } from "vitest";
import { Thread } from "../../hardware/call-stack.ts";
import { interrupt } from "../irq/entry.ts";
import { irqSetAffinity } from "../irq/manage.ts";
import { kvmCreateVcpu, kvmCreateVm } from "../kvm/create.ts";
import { kvmVmFile } from "../kvm/file.ts";
import type { KvmRequest } from "../kvm/requests.ts";
import { vcpuHalt, vcpuRun, vcpuSchedIn, vcpuSchedOut, vcpuTakesInterrupt } from "../kvm/run.ts";
import type { Vcpu } from "../kvm/vcpu.ts";
import { vmxX86Ops } from "../kvm/vmx/ops.ts";
import { close, ioctl } from "../syscall.ts";
import { eventfds, opened, passthrough, setMsix } from "../vfio/testbed.ts";
import { StepTable } from "./step.ts";
import type { VmxStepId } from "./vmx-step-ids.ts";
import { vmxPosting } from "./vmx-table.ts";

const vector = 0x41;

/** A host with a device, and a VM with a vCPU that its interrupt can be posted to. */
function machine(table = vmxPosting, commandLine = "") {
  const { k, fn, device, cpus } = passthrough(1, { cpus: 3, vmxPosting: table, commandLine });
  const vm = kvmCreateVm(k, { name: "guest", ops: vmxX86Ops })!;
  const vcpu = kvmCreateVcpu(k, vm, 0, new Thread("CPU 0/KVM")) as Vcpu;
  const taken: number[] = [];
  vcpu.guest = {
    interrupt: (each) => {
      taken.push(each);
      vcpu.processor!.apic.eoi();
    },
  };
  const woken: Vcpu[] = [];
  k.kvm!.onWakeUp = (each) => woken.push(each);
  const file = kvmVmFile(vm);
  const request = (asked: KvmRequest) => ioctl(k, file, asked);
  const [eventfd] = eventfds(1);
  request({
    request: "KVM_SET_GSI_ROUTING",
    routes: [{ gsi: 0, addressLow: 0xfee00000 | 0, addressHigh: 0, data: vector }],
  });
  const irqfd = (deassign: boolean) => request({ request: "KVM_IRQFD", eventfd: eventfd!, gsi: 0, deassign });
  const vfio = opened(k, device);
  /** CPUs take what is pending, as long as something is. */
  const settle = (): void => {
    for (let cpu = waiting(); cpu !== undefined; cpu = waiting()) {
      if (vcpu.inGuest && vcpu.cpu === cpu) vcpuTakesInterrupt(k, vcpu, cpu);
      else interrupt(k, cpu, cpu.localApic.acknowledge());
    }
  };
  const waiting = () => cpus.find(({ localApic }) => localApic.pending() >= 0);
  return {
    taken,
    vcpu,
    eventfd: eventfd!,
    /** The device's interrupt is pointed at the vCPU. */
    assign: () => {
      irqfd(false);
      setMsix(k, vfio, 0, [eventfd!]);
      settle();
    },
    /** It is the host's again. */
    release: () => irqfd(true),
    signal: () => {
      fn.signal(0);
      settle();
    },
    run: (cpu: number) => vcpuRun(k, vcpu, cpus[cpu]!),
    halt: () => {
      vcpuHalt(k, vcpu);
      settle();
    },
    preempt: () => vcpuSchedOut(k, vcpu),
    resume: (cpu: number) => {
      vcpuSchedIn(k, vcpu, cpus[cpu]!);
      settle();
    },
    /** Only a thread that was woken gets a CPU. */
    resumeIfWoken(cpu: number) {
      if (woken.length > 0) this.resume(cpu);
      woken.length = 0;
    },
    hostIrq: () => [...k.irqBypass.producers.values()][0]!.irq,
    moveOnHost(cpu: number) {
      irqSetAffinity(k, this.hostIrq(), [cpu]);
    },
    /** How often the host's handler ran. */
    handled() {
      const { counts } = k.irqs.descriptors.get(this.hostIrq())!;
      return counts.reduce((sum, count) => sum + count, 0);
    },
    /** Something happens when a function is called. */
    at: (symbol: string, act: () => void) => {
      k.calls.listener = { entered: ({ name }) => name === symbol && act(), left: () => {} };
    },
    /** Software posts. */
    post: () => {
      vm.ops.deliverInterrupt(k, vcpu, vector);
      settle();
    },
    close: () => {
      close(k, file);
      close(k, vfio);
    },
  };
}

type Machine = ReturnType<typeof machine>;

function running(m: Machine): void {
  m.run(1);
  m.assign();
}

interface Seen {
  readonly play: (m: Machine) => unknown;
  /** What is seen with all steps, and without one. */
  readonly right: unknown;
  readonly wrong: unknown;
}

const plays: Partial<Record<VmxStepId, Seen>> = {
  "posted-guard": {
    play(m) {
      running(m);
      m.moveOnHost(2);
      m.signal();
      return m.handled();
    },
    right: 0,
    wrong: 1,
  },
  "kick-on-assign": {
    play(m) {
      m.run(1);
      m.halt();
      m.assign();
      m.resumeIfWoken(1);
      m.signal();
      m.resumeIfWoken(1);
      return m.taken;
    },
    right: [vector],
    wrong: [],
  },
  "recompute-on": {
    play(m) {
      running(m);
      m.preempt();
      m.signal();
      m.resume(1);
      return m.taken;
    },
    right: [vector],
    wrong: [],
  },
  "sync-pir-on-entry": {
    play(m) {
      running(m);
      m.preempt();
      m.signal();
      m.resume(1);
      return m.taken;
    },
    right: [vector],
    wrong: [],
  },
  "ndst-update": {
    play(m) {
      running(m);
      m.preempt();
      m.resume(2);
      m.signal();
      return m.taken;
    },
    right: [vector],
    wrong: [],
  },
  "self-ipi-at-block": {
    play(m) {
      running(m);
      m.at("vmx_vcpu_pi_put", m.signal);
      m.halt();
      m.resumeIfWoken(1);
      return m.taken;
    },
    right: [vector],
    wrong: [],
  },
  "wakeup-list-once": {
    play(m) {
      running(m);
      m.halt();
      m.signal();
      m.resume(1);
      m.halt();
      return m.vcpu.listed;
    },
    right: 1,
    wrong: 2,
  },
  "irte-invalidate": {
    play(m) {
      running(m);
      m.signal();
      m.release();
      m.signal();
      return [m.taken.length, m.eventfd.count];
    },
    right: [1, 1],
    wrong: [2, 0],
  },
};

describe("on a machine", () => {
  test.each([...vmxPosting.removable])("%s is needed", (id) => {
    const { play, right, wrong } = plays[id]!;
    expect(play(machine())).toEqual(right);
    expect(play(machine(vmxPosting.without(id)))).toEqual(wrong);
  });

  test("the kernel's functions do every step but those of hardware, and of the entry of an interrupt", () => {
    const did = new Set<VmxStepId>();
    const steps = vmxPosting.ids.map((id) => {
      const step = vmxPosting.steps[vmxPosting.at[id]]!;
      return [
        id,
        { ...step, act: (...args: Parameters<typeof step.act>) => (did.add(id), step.act(...args)) },
      ];
    });
    const table = new StepTable(vmxPosting.ids, Object.fromEntries(steps));
    for (const { play } of Object.values(plays)) play(machine(table));
    const m = machine(table, "intremap=posted_msi");
    running(m);
    m.post();
    m.close();
    expect(vmxPosting.ids.filter((id) => !did.has(id))).toEqual([
      "device-request",
      "device-post",
      "device-notify",
      "processor-acknowledge",
      "processor-clear-on",
      "processor-harvest",
      "host-notification",
      "wakeup-acknowledge",
    ]);
  });
});
