import type { HostDraft } from "../host/draft.ts";
import type { Kernel } from "./kernel.ts";
import { keepPages } from "./paged-kernel.ts";
import { walkAmdvi } from "./walk-amdvi.ts";
import { KernelWalk } from "./walk-context.ts";
import { walkFirmware } from "./walk-firmware.ts";
import { walkInterrupts } from "./walk-irq.ts";
import { walkPci } from "./walk-pci.ts";
import { walkProcessors } from "./walk-processor.ts";
import { walkSystem } from "./walk-system.ts";
import { walkVtd } from "./walk-vtd.ts";

/** What is read, in the order in which one part stands on those before it, and what a failed part leaves unknown. */
const parts: readonly (readonly [what: string, walk: (walk: KernelWalk) => void])[] = [
  ["the host as a whole", walkSystem],
  ["processors", walkProcessors],
  ["ACPI tables", walkFirmware],
  ["VT-d units", walkVtd],
  ["AMD-Vi units", walkAmdvi],
  ["PCI functions", walkPci],
  ["Linux interrupts", walkInterrupts],
];

/**
 * Adds what a kernel's memory says of its host's interrupts. A part that cannot be read is named in `missing`, and the
 * others are read.
 * @param progress told after each part, how many of how many are done.
 */
export function walkKernel(
  kernel: Kernel,
  draft: HostDraft,
  progress?: (done: number, total: number) => void,
): void {
  const walk = new KernelWalk(keepPages(kernel), draft);
  for (const [i, [what, part]] of parts.entries()) {
    walk.attempt(what, () => part(walk));
    progress?.(i + 1, parts.length);
  }
}
