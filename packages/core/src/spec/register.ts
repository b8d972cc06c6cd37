import { type Layout, maskOf, reservedMask } from "./layout.ts";

/** How software may use a register. */
export type Access = "RO" | "RW" | "WO" | "RW1C";

/** A register of a unit's MMIO space. */
export interface Register {
  /** In bytes from the start of the space. */
  readonly offset: number;
  /** In bits. */
  readonly width: 32 | 64;
  readonly access: Access;
  readonly title: string;
  readonly layout?: Layout;
  /** Fields of a register that software cannot change although its access is not RO. */
  readonly fixed?: readonly string[];
}

/** Bits that software changes by writing to them, or clears by writing ones. */
export function usableBits({ width, access, layout, fixed = [] }: Register): bigint {
  if (access === "RO") return 0n;
  let mask = maskOf([width - 1, 0]);
  if (layout === undefined) return mask;
  mask &= ~reservedMask(layout);
  for (const name of fixed) for (const part of layout.fields[name]!.parts) mask &= ~maskOf(part);
  return mask;
}

/** What a register reads that software has written. */
export function afterWrite(register: Register, before: bigint, value: bigint): bigint {
  const usable = usableBits(register);
  return register.access === "RW1C" ? before & ~(value & usable) : (before & ~usable) | (value & usable);
}
