import type { Kernel } from "../../kernel.ts";
import type { Vcpu } from "../vcpu.ts";

/** How many bits of a tag number the vCPU: what the physical APIC id table of the release can hold. */
function vcpuBits(k: Kernel): number {
  if (k.runs({ from: "6.17" })) return 12;
  return k.runs({ from: "6.0" }) ? 9 : 8;
}

/** Since 6.17 vCPUs are numbered as they were created, before that by their APIC ids. */
function numberOf(k: Kernel, vcpu: Vcpu): number {
  return k.runs({ from: "6.17" }) ? vcpu.id : vcpu.apicId;
}

/** `AVIC_GATAG`: what the remapping unit logs of an interrupt whose vCPU does not run. */
export function gaTagOf(k: Kernel, vcpu: Vcpu): number {
  const vcpus = 2 ** vcpuBits(k);
  return (vcpu.vm.id * vcpus + (numberOf(k, vcpu) % vcpus)) % 2 ** 32;
}

/** The vCPU that a tag names; undefined when it is gone. */
export function vcpuOfGaTag(k: Kernel, gaTag: number): Vcpu | undefined {
  const vcpus = 2 ** vcpuBits(k);
  const vm = k.kvm?.vms.find((one) => one?.id === Math.floor(gaTag / vcpus));
  return vm?.vcpus.find((vcpu) => numberOf(k, vcpu) === gaTag % vcpus);
}
