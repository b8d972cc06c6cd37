import { vcpuHalt, vcpuSchedIn, vcpuSchedOut } from "../../linux/kvm/run.ts";
import type { Vcpu } from "../../linux/kvm/vcpu.ts";
import { ActionError } from "../action-error.ts";
import { costs } from "../cost.ts";
import type { VcpuName } from "../scenario/scenario.ts";
import { type Of, type Scene, type Told, told } from "./scene.ts";

function named({ machine }: Scene, { vm, vcpu }: VcpuName): { vcpu: Vcpu; name: string } {
  return { vcpu: machine.vm(vm).vcpu(vcpu), name: `${vm}/${vcpu}` };
}

export function migrate(scene: Scene, { vcpu: which, to }: Of<"migrate">): Told {
  const { vcpu, name } = named(scene, which);
  const from = vcpu.cpu?.number;
  if (to !== from || !vcpu.loaded) scene.machine.processors.checkFree(to);
  if (vcpu.loaded) takeCpu(scene, vcpu);
  giveCpu(scene, vcpu, to);
  return told(`${name} moves from CPU ${from} to CPU ${to}`);
}

export function preempt(scene: Scene, { vcpu: which }: Of<"preempt">): Told {
  const { vcpu, name } = named(scene, which);
  if (!vcpu.loaded) throw new ActionError(`${name} has no CPU to lose`);
  takeCpu(scene, vcpu);
  return told(`${name} is preempted`);
}

export function resume(scene: Scene, { vcpu: which }: Of<"resume-vcpu">): Told {
  const { vcpu, name } = named(scene, which);
  if (vcpu.loaded) throw new ActionError(`${name} has its CPU`);
  scene.machine.processors.checkFree(vcpu.cpu!.number);
  giveCpu(scene, vcpu, vcpu.cpu!.number);
  return told(`${name} gets CPU ${vcpu.cpu!.number} again`);
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
  return told(`${name} executes HLT`, runsOn ? "an interrupt was there: it runs on" : "its thread sleeps");
}
