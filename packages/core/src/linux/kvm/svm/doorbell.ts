import type { Kernel } from "../../kernel.ts";
import { vcpuSetInterruptible } from "../run.ts";
import { SvmProcessor } from "./processor.ts";

/**
 * A doorbell arrives at the CPU with this APIC id: the guest that runs there takes what its backing page holds, without
 * an exit. In the host it does nothing. Remapping units, processors and KVM itself ring it.
 */
export function avicDoorbell(k: Kernel, apicId: number): void {
  const vcpu = k.kvm?.vcpus.find((one) => one?.inGuest === true && one.cpu!.apicId === apicId);
  if (!(vcpu?.processor instanceof SvmProcessor) || !vcpu.processor.doorbell()) return;
  vcpu.counts.notifications++;
  vcpuSetInterruptible(k, vcpu, vcpu.interruptible);
}
