import { vcpuHalt, vcpuSchedIn, vcpuSchedOut } from "../../linux/kvm/run.ts";
import { PostedDescriptor } from "../../hardware/posting/descriptor.ts";
import { vmxProtocol } from "../../linux/kvm/vmx/protocol.ts";
import { vectors } from "../../linux/irq/vectors.ts";
import type { Vcpu } from "../../linux/kvm/vcpu.ts";
import { ActionError } from "../action-error.ts";
import { costs } from "../cost.ts";
import type { VcpuName } from "../scenario/scenario.ts";
import { type Of, type Scene, type Told, count, hex, plural, told } from "./scene.ts";

/** The vCPU's descriptor, where it has one. */
function descriptorOf({ machine }: Scene, { vm, slot }: Vcpu): string[] {
  if (!vm.apicv || vm.ops.vendor !== "intel") return [];
  const { memory } = machine.hardware;
  const address = vmxProtocol(machine.kernel).descriptorOf(slot);
  const { nv, sn, on, ndst, pir } = new PostedDescriptor(memory, address).read();
  const posted = pir.toString(2).replaceAll("0", "").length;
  const requested = posted === 0 ? "PIR empty" : `PIR holds ${plural(posted, "vector")}`;
  return [
    `descriptor: NV ${nv.toString(16).toUpperCase()}h, SN ${sn}, ON ${on}, NDST ${hex(ndst >>> 0)}, ${requested}`,
  ];
}

function named({ machine }: Scene, { vm, vcpu }: VcpuName): { vcpu: Vcpu; name: string } {
  return { vcpu: machine.vm(vm).vcpu(vcpu), name: `${vm}/${vcpu}` };
}

export function migrate(scene: Scene, { vcpu: which, to }: Of<"migrate">): Told {
  const { vcpu, name } = named(scene, which);
  const from = vcpu.cpu?.number;
  if (to !== from || !vcpu.loaded) scene.machine.processors.checkFree(to);
  if (vcpu.loaded) takeCpu(scene, vcpu);
  giveCpu(scene, vcpu, to);
  return told(`${name} moves from CPU ${from} to CPU ${to}`, ...descriptorOf(scene, vcpu));
}

export function preempt(scene: Scene, { vcpu: which }: Of<"preempt">): Told {
  const { vcpu, name } = named(scene, which);
  if (!vcpu.loaded) throw new ActionError(`${name} has no CPU to lose`);
  takeCpu(scene, vcpu);
  return told(`${name} is preempted`, ...descriptorOf(scene, vcpu));
}

export function resume(scene: Scene, { vcpu: which }: Of<"resume-vcpu">): Told {
  const { vcpu, name } = named(scene, which);
  if (vcpu.loaded) throw new ActionError(`${name} has its CPU`);
  scene.machine.processors.checkFree(vcpu.cpu!.number);
  giveCpu(scene, vcpu, vcpu.cpu!.number);
  return told(`${name} gets CPU ${vcpu.cpu!.number} again`, ...descriptorOf(scene, vcpu));
}

function takeCpu(scene: Scene, vcpu: Vcpu): void {
  const { clock, kernel, processors } = scene.machine;
  clock.charge(costs.vmExit);
  clock.charge(costs.contextSwitch);
  vcpuSchedOut(kernel, vcpu);
  processors.place(vcpu, null);
  scene.machine.settle();
}

function giveCpu(scene: Scene, vcpu: Vcpu, number: number): void {
  const { clock, kernel, processors } = scene.machine;
  clock.charge(costs.contextSwitch);
  vcpuSchedIn(kernel, vcpu, kernel.cpus[number]!);
  if (vcpu.loaded) processors.place(vcpu, number);
  scene.machine.settle();
}

export function halt(scene: Scene, { vcpu: which }: Of<"halt">): Told {
  const { vcpu, name } = named(scene, which);
  const { clock, kernel, processors } = scene.machine;
  if (!vcpu.inGuest) throw new ActionError(`${name} does not run`);
  clock.charge(costs.vmExit);
  const runsOn = vcpuHalt(kernel, vcpu);
  if (!runsOn) processors.place(vcpu, null);
  scene.machine.settle();
  return told(
    `${name} executes HLT`,
    runsOn ? "an interrupt was there: it runs on" : "its thread sleeps",
    ...descriptorOf(scene, vcpu),
  );
}

export function ipi({ machine }: Scene, { vcpu: { vm, vcpu: from }, to, times }: Of<"ipi">): Told {
  const { guest, kvm } = machine.vm(vm);
  const sender = kvm.vcpus[from]!;
  if (!sender.inGuest) throw new ActionError(`${vm}/${from} does not run`);
  const { apic } = guest.cpus[from]!;
  const exits = sender.counts.allExits;
  for (let i = 0; i < times; i++) {
    apic.sendIpi(guest.cpus[to]!.apicId, vectors.RESCHEDULE);
    machine.settle();
  }
  machine.clock.charge(costs.vmExit, sender.counts.allExits - exits);
  return told(`${vm}/${from} sends an IPI to ${vm}/${to}${times > 1 ? `, ${count(times)} times` : ""}`);
}
