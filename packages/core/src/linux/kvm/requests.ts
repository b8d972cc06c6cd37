import type { Eventfd } from "../eventfd.ts";

/** An entry of the routing table: KVM_IRQ_ROUTING_MSI. Address bits 31:0 and 63:32, and data, int32. */
export interface MsiRoute {
  readonly gsi: number;
  readonly addressLow: number;
  readonly addressHigh: number;
  readonly data: number;
}

/** Requests of a VM's file descriptor. */
export type KvmRequest =
  | {
      readonly request: "KVM_SIGNAL_MSI";
      readonly addressLow: number;
      readonly addressHigh: number;
      readonly data: number;
    }
  /** The whole table anew. */
  | { readonly request: "KVM_SET_GSI_ROUTING"; readonly routes: readonly MsiRoute[] }
  | {
      readonly request: "KVM_IRQFD";
      readonly eventfd: Eventfd;
      readonly gsi: number;
      readonly deassign?: boolean;
    };
