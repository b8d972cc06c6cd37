import { Thread } from "../../hardware/call-stack.ts";
import { irqSetVcpuAffinity } from "../irq/manage.ts";
import { kernelFunction } from "../kernel-function.ts";
import type { Kernel } from "../kernel.ts";
import { vmxPosting } from "../posting/vmx-table.ts";
import { ThreadState } from "../posting/words.ts";
import { Vcpu } from "./vcpu.ts";
import { KvmVm, type KvmX86Ops } from "./vm.ts";

export interface FakeVmOptions {
  readonly vcpus?: number;
  readonly x2apic?: boolean;
  readonly vendor?: "intel" | "amd";
  /** What pointing a host interrupt at a vCPU returns; the interrupt's chips are asked unless told. */
  readonly update?: (hostIrq: number, vcpu: Vcpu | null, vector: number) => number;
}

const updateIrte = kernelFunction(
  "vmx_pi_update_irte",
  (k: Kernel, hostIrq: number, vcpu: Vcpu | null, vector: number): number =>
    irqSetVcpuAffinity(
      k,
      hostIrq,
      vcpu && { vendor: "intel", descriptor: 0x2000_0000 + 64 * vcpu.id, vector },
    ),
);

/** CPUs of the host, at most. */
const hostCpus = 8;

/** A virtual machine of a vendor that does nothing but take notes: for tests of what is common to all. */
export function fakeVm({ vcpus = 4, x2apic = true, vendor = "intel", update }: FakeVmOptions = {}) {
  const delivered: { vcpu: number; vector: number }[] = [];
  const targets = new Map<number, { vcpu: number; vector: number } | null>();
  let updates = 0;
  let starts = 0;
  const ops = {
    vendor,
    deliverInterrupt: (_k: Kernel, vcpu: Vcpu, vector: number) =>
      void delivered.push({ vcpu: vcpu.id, vector }),
    piUpdateIrte: (
      k: Kernel,
      _vm: KvmVm,
      hostIrq: number,
      _gsi: number,
      vcpu: Vcpu | null,
      vector: number,
    ) => {
      updates++;
      const result = update?.(hostIrq, vcpu, vector) ?? updateIrte(k, hostIrq, vcpu, vector);
      if (result === 0) targets.set(hostIrq, vcpu && { vcpu: vcpu.id, vector });
      return result;
    },
    piStartBypass: () => void starts++,
  } as unknown as KvmX86Ops;
  const state = new ThreadState({ vcpus: 0, cpus: 0, vms: 1, entries: 0, others: hostCpus });
  const vm = new KvmVm("guest", 1, ops, true, { protocol: { state, table: vmxPosting }, index: 0 });
  vm.x2apic = x2apic;
  for (let id = 0; id < vcpus; id++) vm.vcpus.push(new Vcpu(vm, id, id, new Thread(`CPU ${id}/KVM`)));
  return {
    vm,
    delivered,
    /** Where each host interrupt was last pointed. */
    targets,
    get updates() {
      return updates;
    },
    get starts() {
      return starts;
    },
  };
}
