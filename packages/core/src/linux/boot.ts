import { initVectorDomain } from "./irq/vector.ts";
import { kernelFunction } from "./kernel-function.ts";
import type { Kernel } from "./kernel.ts";
import { enableIrX2apic } from "./remapping.ts";

/** What of a boot concerns interrupts, in its order. */
export const bootKernel = kernelFunction("start_kernel", (k: Kernel): void => {
  initVectorDomain(k);
  enableIrX2apic(k);
});
