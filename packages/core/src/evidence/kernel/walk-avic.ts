import { hex } from "../../spec/codec.ts";
import type { Draft } from "../host/draft.ts";
import { type Origin, fact } from "../host/fact.ts";
import type { AvicPosting, Vcpu, VirtualMachine } from "../host/virtual-machine.ts";
import { InputError } from "../input-error.ts";
import { KernelStruct, readQuad } from "./kernel-struct.ts";
import { listOf } from "./lists.ts";

/** Adds what KVM on SVM calls a machine in GATags. */
export function avicMachine(vm: KernelStruct, machine: Draft<VirtualMachine>, place: Origin): void {
  // A machine is the first member of what contains it. Ids begin at 1; 0 is a machine made without AVIC.
  const id = new KernelStruct(vm.kernel, "kvm_svm", vm.address, "kvm_amd").u32("avic_vm_id");
  if (id !== 0) machine.avicId = fact(id, place);
}

/**
 * Adds a virtual processor's entry in the physical id table, its backing page, and the remapping table entries that post to
 * it; nothing when it was made without AVIC.
 * @param regs the address of its APIC's page of registers, which is its backing page.
 */
export function avicVcpu(
  vm: KernelStruct,
  vcpu: KernelStruct,
  regs: bigint | undefined,
  facts: Draft<Vcpu>,
  place: Origin,
): void {
  const { kernel } = vcpu;
  const svm = new KernelStruct(kernel, "vcpu_svm", vcpu.address, "kvm_amd");
  const at = entryOf(new KernelStruct(kernel, "kvm_svm", vm.address, "kvm_amd"), svm, facts.id);
  if (at === undefined) return;
  facts.avicEntry = fact(readQuad(kernel, at), place);
  if (regs !== undefined) {
    const address = kernel.physical(regs);
    if (address === undefined) {
      throw new InputError(`${kernel.memory.name}: no physical address is known of ${hex(regs)}`);
    }
    facts.descriptor = fact(address, place);
  }
  facts.avicPostings = fact(postingsOf(svm), place);
}

/** Since 6.17 the table is kept as one of numbers; before it as a page, and its entry's address beside the vCPU. */
function entryOf(machine: KernelStruct, svm: KernelStruct, id: number): bigint | undefined {
  if (svm.has("avic_physical_id_cache")) {
    const entry = svm.pointer("avic_physical_id_cache");
    return entry === 0n ? undefined : entry;
  }
  const table = machine.pointer("avic_physical_id_table");
  return table === 0n ? undefined : table + BigInt(id * 8);
}

function postingsOf(svm: KernelStruct): AvicPosting[] {
  const { kernel } = svm;
  // Never set up without an APIC of KVM's.
  if (readQuad(kernel, svm.addressOf("ir_list")) === 0n) return [];
  // A list of irqfds since 6.17; before it, of structures that stand for nothing else.
  const old = kernel.types.type("amd_svm_iommu_ir", "kvm_amd") !== undefined;
  const elements = old
    ? listOf(kernel, svm.addressOf("ir_list"), "amd_svm_iommu_ir", "node", "kvm_amd")
    : listOf(kernel, svm.addressOf("ir_list"), "kvm_kernel_irqfd", "vcpu_list", "kvm");
  const postings: AvicPosting[] = [];
  for (const element of elements) {
    const data = element.follow(old ? "data" : "irq_bypass_data", "amd_ir_data");
    if (data === undefined) continue;
    postings.push({
      requester: data.u16("irq_2_irte.devid"),
      index: data.u16("irq_2_irte.index"),
      gaTag: data.u32("ga_tag"),
    });
  }
  return postings;
}
