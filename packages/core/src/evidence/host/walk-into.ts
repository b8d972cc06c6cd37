import { InputError } from "../input-error.ts";
import { walkKernelLog } from "../kernel/kernel-log.ts";
import type { Kernel } from "../kernel/kernel.ts";
import { walkKernel } from "../kernel/walk.ts";
import { walkKvm } from "../kernel/walk-kvm.ts";
import type { HostDraft } from "./draft.ts";

/** Adds what a kernel's memory says; what cannot be walked becomes missing, and the rest stays. */
export function walkInto(kernel: Kernel, draft: HostDraft, progress: (text: () => string) => void): void {
  orMissing(draft, "the kernel's tables of interrupts", () => {
    walkKernel(kernel, draft, (done, total) => {
      progress(() => `walking the kernel's tables: ${done} of ${total} parts`);
    });
  });
  orMissing(draft, "the virtual machines of KVM", () => walkKvm(kernel, draft));
  orMissing(draft, "the kernel log in memory", () => walkKernelLog(kernel, draft));
}

/** Does work that may fail: an InputError of it is taken down as missing. */
export function orMissing(
  draft: HostDraft,
  what: string,
  work: () => void,
  needs: string | null = null,
): void {
  try {
    work();
  } catch (error) {
    if (!(error instanceof InputError)) throw error;
    draft.missing.push({ what, why: error.message, needs });
  }
}
