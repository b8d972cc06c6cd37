import type { Cpu } from "../cpu.ts";
import { kernelFunction } from "../kernel-function.ts";
import type { Kernel } from "../kernel.ts";

/** A vector with an IDT entry of its own. */
export interface SystemVector {
  /** The entry as the IDT has it, and all that it calls, the end of the interrupt included. */
  readonly enter: (k: Kernel, cpu: Cpu) => void;
  /** How often each CPU took it, by Linux CPU number. */
  readonly counts: number[];
}

/**
 * Gives a vector a handler of the system's own: `asm_sysvec_…` calls `sysvec_…`, which ends the interrupt before the
 * handler's work, unless `ownEoi` leaves that to the handler.
 * @param symbol as since 5.8, `sysvec_…`; in releases before, `smp_…` and its entry follow from it.
 */
export function setSystemVector(
  k: Kernel,
  vector: number,
  symbol: string,
  handler: (k: Kernel, cpu: Cpu) => void,
  { ownEoi = false }: { readonly ownEoi?: boolean } = {},
): void {
  const old = k.runs({ below: "5.8" });
  const inner = kernelFunction(
    old ? symbol.replace("sysvec_", "smp_") : symbol,
    (kernel: Kernel, cpu: Cpu): void => {
      if (!ownEoi) cpu.apic.eoi();
      handler(kernel, cpu);
    },
  );
  const entry = old ? symbol.replace("sysvec_", "") : `asm_${symbol}`;
  k.irqs.systemVectors[vector] = { enter: kernelFunction(entry, inner, { idtEntry: true }), counts: [] };
}
