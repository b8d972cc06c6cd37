import type { Kernel } from "../kernel.ts";
import type { IrqData } from "./descriptor.ts";

/** `enum irq_domain_bus_token`, as far as it ends the names of domains. */
export const busToken = {
  any: 0,
  wired: 1,
  pciMsi: 3,
  pciDeviceMsi: 11,
  pciDeviceMsix: 12,
  dmar: 13,
  amdvi: 14,
} as const;

export type BusToken = (typeof busToken)[keyof typeof busToken];

/** Who asks for interrupts: `struct irq_alloc_info`. */
export type AllocInfo =
  | {
      readonly kind: "msi" | "msix";
      /** Requester id as the kernel knows the function, with the ids under which its requests may arrive. */
      readonly device: RequesterTopology;
      readonly segment: number;
      /** hwirq at the MSI level: index of the first vector. */
      hwirq: number;
    }
  | {
      readonly kind: "ioapic";
      readonly id: number;
      readonly pin: number;
      readonly level: boolean;
      readonly activeLow?: boolean;
    }
  | { readonly kind: "hpet"; readonly id: number; readonly comparator: number }
  | { readonly kind: "vector" };

/** A function's requester id and those that bridges may put in its place. */
export interface RequesterTopology {
  /** Bus:device.function, 16 bits. */
  readonly requester: number;
  /** DMA aliases as `pci_for_each_dma_alias` visits them, the function's own id first. */
  readonly aliases: readonly number[];
  /** The last alias is the id of a bridge itself, and not one that a bridge to conventional PCI makes up for its bus. */
  readonly bridgeOwnId?: boolean;
}

/** `struct irq_domain_ops`. Failures are negative errnos. */
export interface IrqDomainOps {
  /** Whether this domain remaps the interrupts of that requester. */
  select?(k: Kernel, domain: IrqDomain, info: AllocInfo): boolean;
  alloc(k: Kernel, domain: IrqDomain, virq: number, count: number, info: AllocInfo): number;
  free(k: Kernel, domain: IrqDomain, virq: number, count: number): void;
  /** @param reserve a vector need not be there yet: the interrupt has not been requested. */
  activate?(k: Kernel, domain: IrqDomain, data: IrqData, reserve: boolean): number;
  deactivate?(k: Kernel, domain: IrqDomain, data: IrqData): void;
}

export interface IrqDomainOptions {
  /** Without the bus token, which debugfs shows behind it. */
  readonly name: string;
  readonly ops: IrqDomainOps;
  readonly parent?: IrqDomain;
  readonly token?: BusToken;
  /** IRQ_DOMAIN_FLAG_ISOLATED_MSI: a device cannot reach vectors beyond its own. */
  readonly isolatedMsi?: boolean;
  /** `host_data`: what its driver keeps for the domain. */
  readonly hostData?: unknown;
}

/** `struct irq_domain`: one level of the hierarchy VECTOR → INTEL-IR / AMD-IR → PCI-MSI(X). */
export class IrqDomain {
  readonly name: string;
  readonly ops: IrqDomainOps;
  readonly parent: IrqDomain | null;
  readonly token: BusToken;
  readonly isolatedMsi: boolean;
  readonly hostData: unknown;
  /** How many interrupts are mapped at this level: none when the machine has been taken apart. */
  mapped = 0;

  constructor(options: IrqDomainOptions) {
    this.name = options.name;
    this.ops = options.ops;
    this.parent = options.parent ?? null;
    this.token = options.token ?? busToken.any;
    this.isolatedMsi = options.isolatedMsi ?? false;
    this.hostData = options.hostData;
  }
}
