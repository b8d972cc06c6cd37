import { amdRemapping } from "../linux/amd-ir/remapping.ts";
import { intelRemapping } from "../linux/intel-ir/remapping-state.ts";
import type { Machine } from "./machine.ts";

/** What is still allocated on a machine whose every owner has given everything back: a sentence each. */
export function leaksOf({ kernel: k, vms, processors, hardware }: Machine): string[] {
  const leaks: string[] = [];
  const none = (what: string, count: number): void => {
    if (count !== 0) leaks.push(`${count} ${what} left`);
  };
  none("virtual machines", vms.size);
  none("VFIO devices", k.vfioDevices.size);
  none("irqbypass producers", k.irqBypass.producers.size);
  none("irqbypass consumers", k.irqBypass.consumers.size);
  none("KVM's VMs", k.kvm?.running ?? 0);
  none("vCPUs on a CPU", hardware.cpus.filter(({ number }) => processors.runningOn(number) !== null).length);
  const entries =
    k.remapping?.vendor === "intel"
      ? intelRemapping(k).entries
      : k.remapping?.vendor === "amd"
        ? amdRemapping(k).allocatedEntries
        : 0;
  none("table entries", entries);
  return leaks;
}
