import type { FollowedInterrupt } from "@intremap/core";
import { signal } from "@preact/signals";

/** What one view hands to another and an address cannot hold. */
export interface Handed {
  /** An interrupt of the host that is open, followed. */
  readonly kind: "follow";
  /** What was asked: `0000:01:00.0`, `irq 35`, `dmar0:22`. */
  readonly subject: string;
  readonly source: string;
  readonly interrupt: FollowedInterrupt;
}

export const handed = signal<Handed | null>(null);
