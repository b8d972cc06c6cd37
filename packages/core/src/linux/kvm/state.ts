import { FrameWord, type Shape, type ThreadState } from "../posting/words.ts";
import type { Vcpu } from "./vcpu.ts";
import type { KvmVm, VendorProtocol } from "./vm.ts";

/** What KVM keeps for all VMs of a host. */
export class KvmState {
  readonly protocol: VendorProtocol;
  /** By index in the protocol's words. */
  readonly vms: (KvmVm | null)[];
  /** By slot. */
  readonly vcpus: (Vcpu | null)[];
  /** Told of each thread that slept and may run again: the scheduler is to give it a CPU. */
  onWakeUp: ((vcpu: Vcpu) => void) | null = null;
  /** Interrupts that irqfds brought to vCPUs, by KVM's own hand. */
  injections = 0;
  /** VMs so far, as their numbers tell. */
  created = 0;

  constructor(protocol: VendorProtocol) {
    this.protocol = protocol;
    const { shape } = protocol.state;
    this.vms = new Array<KvmVm | null>(shape.vms).fill(null);
    this.vcpus = new Array<Vcpu | null>(shape.vcpus).fill(null);
    for (let slot = 0; slot < shape.vcpus; slot++) protocol.state.resetVcpu(slot, noVm);
  }

  get state(): ThreadState {
    return this.protocol.state;
  }

  /** VMs that run. */
  get running(): number {
    return this.vms.filter((vm) => vm !== null).length;
  }

  /** The first free slot, made that of a vCPU of the VM; -1 if there is none. */
  takeSlot(vm: number): number {
    const slot = this.vcpus.indexOf(null);
    if (slot < 0) return slot;
    const { state } = this;
    state.resetVcpu(slot, vm);
    state.set(state.threadAt(slot) + FrameWord.vcpu, slot);
    return slot;
  }

  freeSlot(slot: number): void {
    this.state.resetVcpu(slot, noVm);
    this.vcpus[slot] = null;
  }
}

const noVm = -1;

/** How much one host can run at a time. */
export function hostShape(cpus: number): Shape {
  return { vcpus: 1024, cpus, vms: 128, entries: 0, others: cpus };
}
