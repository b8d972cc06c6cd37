import { hex } from "../../spec/codec.ts";
import { littleEndian } from "../byte-source.ts";
import type { Draft, HostDraft } from "../host/draft.ts";
import { type Origin, fact } from "../host/fact.ts";
import type { Vcpu } from "../host/virtual-machine.ts";
import { InputError } from "../input-error.ts";
import { Allowance } from "./allowance.ts";
import type { Kernel } from "./kernel.ts";
import { KernelStruct } from "./kernel-struct.ts";
import { listOf } from "./lists.ts";
import { perCpu, processorsOf } from "./per-cpu.ts";

/** Bytes of a posted-interrupt descriptor (VT-d 9.11). */
const descriptorBytes = 64;
const waitingLimit = 1 << 16;
/** kvm->arch.vm_type, KVM_X86_TDX_VM; such a machine's vCPUs are another structure, with the same descriptor. */
const tdx = 5;

/** In struct vcpu_vmx itself, and since 6.16 in the struct vcpu_vt in it. */
const descriptorNames = ["pi_desc", "vt.pi_desc"] as const;
/** `pi_wakeup_list` since 5.17, before it a list of kvm_vcpu; moved together with the descriptor. */
const waitingNames = ["pi_wakeup_list", "vt.pi_wakeup_list", "vcpu.blocked_vcpu_list"] as const;

/** A virtual processor, its machine and that one's name. */
export interface OwnedVcpu {
  readonly vm: KernelStruct;
  readonly vcpu: KernelStruct;
  readonly machine: string;
}

/** Adds the posted-interrupt descriptor of a virtual processor of VMX, and where it waits to be woken. */
export function vmxVcpu(
  walk: { readonly draft: HostDraft; readonly waiting: ReadonlyMap<bigint, number> | undefined },
  { vm, vcpu, machine }: OwnedVcpu,
  facts: Draft<Vcpu>,
  place: Origin,
): void {
  const isTdx = vm.has("arch.vm_type") && vm.number("arch.vm_type") === tdx;
  // A vCPU is the first member of what contains it.
  const container = new KernelStruct(vcpu.kernel, isTdx ? "vcpu_tdx" : "vcpu_vmx", vcpu.address, "kvm_intel");
  if (walk.waiting !== undefined && container.has(...waitingNames)) {
    facts.waitsOn = fact(walk.waiting.get(container.addressOf(...waitingNames)) ?? -1, place);
  }
  const owner = { kind: "vcpu", machine, vcpu: facts.id } as const;
  const address = addDescriptor(
    walk.draft,
    vcpu.kernel,
    container.addressOf(...descriptorNames),
    owner,
    place,
  );
  facts.descriptor = fact(address, place);
}

/**
 * The processor on whose list each halted virtual one waits to be woken, by the address of its list entry.
 * @returns undefined when the kernel's KVM has no such lists.
 */
export function wakeupLists(kernel: Kernel): Map<bigint, number> | undefined {
  // blocked_vcpu_on_cpu before 5.17.
  const lists = ["wakeup_vcpus_on_cpu", "blocked_vcpu_on_cpu"]
    .map((name) => kernel.symbols.address(name, "kvm_intel") ?? kernel.symbols.address(name))
    .find((address) => address !== undefined);
  if (lists === undefined) return undefined;
  const allowance = new Allowance("waiting virtual processors", waitingLimit);
  const waiting = new Map<bigint, number>();
  for (const cpu of processorsOf(kernel, "possible")) {
    for (const { address } of listOf(kernel, perCpu(kernel, cpu, lists), "list_head", "next")) {
      allowance.take();
      waiting.set(address, cpu);
    }
  }
  return waiting;
}

/** Adds the descriptors to which the host's own MSIs are posted (`intremap=posted_msi`, since 6.10), one a processor. */
export function hostDescriptors(kernel: Kernel, draft: HostDraft): void {
  const variable = kernel.symbols.address("posted_msi_pi_desc");
  if (variable === undefined) return;
  const place = { source: "kernel memory", place: "posted_msi_pi_desc" };
  for (const cpu of processorsOf(kernel, "possible")) {
    addDescriptor(draft, kernel, perCpu(kernel, cpu, variable), { kind: "cpu", cpu }, place);
  }
}

/** @returns its physical address. */
function addDescriptor(
  draft: HostDraft,
  kernel: Kernel,
  virtual: bigint,
  owner: Parameters<HostDraft["descriptor"]>[1]["value"],
  place: Origin,
): bigint {
  const value = littleEndian(kernel.memory.read(virtual, descriptorBytes));
  const address = kernel.physical(virtual);
  if (address === undefined) {
    throw new InputError(`${kernel.memory.name}: no physical address is known of ${hex(virtual)}`);
  }
  draft.descriptor(address, fact(owner, place)).value ??= fact(value, place);
  return address;
}
