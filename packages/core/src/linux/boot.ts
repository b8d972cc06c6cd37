import { setSystemVector } from "./irq/system-vector.ts";
import { initVectorDomain } from "./irq/vector.ts";
import { vectors } from "./irq/vectors.ts";
import { kernelFunction } from "./kernel-function.ts";
import type { Kernel } from "./kernel.ts";
import { enableIrX2apic } from "./remapping.ts";

/** A CPU that is told to reschedule has left its guest by taking the interrupt; what runs next is for others to say. */
function initReschedule(k: Kernel): void {
  const symbol = k.runs({ from: "5.8" }) ? "sysvec_reschedule_ipi" : "sysvec_reschedule_interrupt";
  setSystemVector(k, vectors.RESCHEDULE, symbol, () => {});
}

/** What of a boot concerns interrupts, in its order. */
export const bootKernel = kernelFunction("start_kernel", (k: Kernel): void => {
  initVectorDomain(k);
  initReschedule(k);
  enableIrX2apic(k);
});
