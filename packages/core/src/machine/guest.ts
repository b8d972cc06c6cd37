import { Calls } from "../hardware/call-stack.ts";
import type { Memory } from "../hardware/memory.ts";
import type { Cpu } from "../linux/cpu.ts";
import type { Firmware } from "../linux/firmware.ts";
import { interrupt, setSystemVector } from "../linux/irq/entry.ts";
import { vectors } from "../linux/irq/vectors.ts";
import { initVectorDomain } from "../linux/irq/vector.ts";
import { Kernel, type Release } from "../linux/kernel.ts";
import type { Vcpu } from "../linux/kvm/vcpu.ts";
import { enableIrX2apic } from "../linux/remapping.ts";

const guestFirmware: Firmware = {
  ioapics: [{ id: 0, version: 0x20 }],
  hpets: [],
  x2apic: true,
  cx16: true,
  hypervisor: true,
};

/**
 * Boots a Linux guest on the virtual processors of a VM: the same kernel as the host's, on the APICs that KVM gives it,
 * without a remapping unit. Its calls are nobody's business but its own.
 */
export function bootGuest(
  release: Release,
  vcpus: readonly Vcpu[],
  memory: Memory,
  ram: { readonly from: number; readonly to: number },
): Kernel {
  const cpus = vcpus.map((vcpu): Cpu => ({
    number: vcpu.id,
    apicId: vcpu.apicId,
    apic: vcpu.processor!.apic,
    online: true,
  }));
  const calls = new Calls({ kernel: release, user: "0" });
  const k = new Kernel({ release, memory, ram, calls, cpus, firmware: guestFirmware });
  initVectorDomain(k);
  setSystemVector(k, vectors.RESCHEDULE, "sysvec_reschedule_ipi", () => {});
  enableIrX2apic(k);
  for (const [i, vcpu] of vcpus.entries()) {
    const cpu = cpus[i]!;
    vcpu.guest = { interrupt: (vector) => interrupt(k, cpu, vector) };
  }
  return k;
}
