import type { HostState } from "../../../evidence/host/state.ts";

/** Whether the virtual machines of a host are known, be it that it has none. */
export function knowsMachines({ machines, descriptors, system, missing }: HostState): boolean {
  if (machines.length > 0 || descriptors.length > 0) return true;
  const modules = system.modules?.value;
  if (modules !== undefined && !["kvm", "kvm_intel", "kvm_amd"].some((name) => modules.has(name)))
    return true;
  // Who walked the kernel's memory walked its list of machines, or says why not.
  return (
    system.variables !== undefined &&
    !missing.some(({ what }) => /virtual machine|posted-interrupt/i.test(what))
  );
}
