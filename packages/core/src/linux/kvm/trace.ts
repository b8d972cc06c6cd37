import type { HardwareEvent } from "../../hardware/event.ts";

/** What ftrace prints of `kvm_pi_irte_update`. */
export function piIrteUpdateLine({
  irq,
  id,
  gsi,
  vector,
}: Extract<HardwareEvent, { kind: "routed" }>): string {
  const state = id < 0 ? "disabled" : "enabled and being updated";
  return `PI is ${state} for irq ${irq}, vcpu ${id}, gsi: 0x${gsi.toString(16)}, gvec: 0x${vector.toString(16)}`;
}
