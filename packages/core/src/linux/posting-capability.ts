import type { Kernel } from "./kernel.ts";

/** `irq_remapping_cap(IRQ_POSTING_CAP)`. */
export function irqPostingCapable(k: Kernel): boolean {
  return !k.parameters.disableIrqPost && k.remapping?.enabled === true && k.remapping.postingCapable;
}

/** `posted_msi_enabled`: CONFIG_X86_POSTED_MSI exists since 6.10. */
export function postedMsiEnabled(k: Kernel): boolean {
  return k.runs({ from: "6.10" }) && k.parameters.enablePostedMsi && irqPostingCapable(k);
}
