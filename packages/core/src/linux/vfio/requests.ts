import type { Eventfd } from "../eventfd.ts";

/** Requests of a VFIO device's file descriptor. */
export type VfioRequest =
  | {
      readonly request: "VFIO_DEVICE_SET_IRQS";
      readonly index: "msi" | "msix";
      /** First vector. */
      readonly start: number;
      /** An eventfd for each vector from `start`; null for none. An empty list with `start` 0 disables all. */
      readonly eventfds: readonly (Eventfd | null)[];
    }
  /** How the kernel asks for the device back: VFIO_PCI_REQ_IRQ_INDEX. */
  | { readonly request: "VFIO_DEVICE_SET_IRQS"; readonly index: "req"; readonly eventfd: Eventfd | null }
  | { readonly request: "VFIO_DEVICE_RESET" };
