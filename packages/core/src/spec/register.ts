import type { Layout } from "./layout.ts";

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
