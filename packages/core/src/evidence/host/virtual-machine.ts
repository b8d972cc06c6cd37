import type { Message } from "./device.ts";
import type { Fact } from "./fact.ts";

/** A posted-interrupt descriptor in memory. */
export interface PostedDescriptor {
  /** Physical address. */
  readonly address: bigint;
  /** 512 bits. */
  readonly value?: Fact<bigint>;
  readonly owner: Fact<
    | { readonly kind: "vcpu"; readonly machine: string; readonly vcpu: number }
    /** Posted MSI of the host: one for each processor. */
    | { readonly kind: "cpu"; readonly cpu: number }
  >;
}

/** A virtual processor. */
export interface Vcpu {
  readonly id: number;
  /** Of its virtual local APIC. */
  readonly apicId?: Fact<number>;
  /** Where it runs or last ran; -1 for nowhere. */
  readonly cpu?: Fact<number>;
  /** Of the thread that runs it. */
  readonly thread?: Fact<number>;
  /** IA32_APIC_BASE of the guest: bits 11 and 10 enable its APIC and x2APIC mode. */
  readonly apicBase?: Fact<bigint>;
  /** LDR and DFR as they stand in its APIC page, 32 bits. */
  readonly logicalDestination?: Fact<number>;
  readonly destinationFormat?: Fact<number>;
  /** vcpu->mode: inside or outside the guest, or about to leave it. */
  readonly mode?: Fact<"outside" | "inside" | "exiting" | "reading-tables">;
  readonly apicvActive?: Fact<boolean>;
  /** VMX: physical address of its posted-interrupt descriptor. SVM: of its virtual APIC backing page. */
  readonly descriptor?: Fact<bigint>;
  /** VMX: the processor on whose wakeup list it waits; -1 for none. */
  readonly waitsOn?: Fact<number>;
  /** SVM: its entry in the AVIC physical id table, 64 bits. */
  readonly avicEntry?: Fact<bigint>;
  /** SVM: the entries of remapping tables that post to it, as KVM keeps them. */
  readonly avicPostings?: Fact<readonly AvicPosting[]>;
}

/** An entry of an AMD-Vi remapping table that KVM has posting to a virtual processor. */
export interface AvicPosting {
  /** Whose table, and which of its entries. */
  readonly requester: number;
  readonly index: number;
  /** 32 bits. */
  readonly gaTag: number;
}

/** An interrupt that a host irq is bound to through irqbypass. */
export interface Irqfd {
  readonly gsi: number;
  /** The host's irq; null without a producer. */
  readonly irq: number | null;
  /** The guest's message; null for a route that is no MSI. */
  readonly message: Message | null;
  /** The virtual processor that it posts to, null for none; only kernels since 6.17 keep it. */
  readonly vcpu?: number | null;
}

/** A host irq that irqbypass offers to virtual machines: one that VFIO signals an eventfd for. */
export interface BypassProducer {
  readonly irq: number;
  /** Whether an irqfd with the same eventfd is registered. */
  readonly connected: boolean;
}

/** A virtual machine of KVM. */
export interface VirtualMachine {
  /** Process id as text, or the kernel address of its structure. */
  readonly name: string;
  readonly pid?: Fact<number>;
  /** Of the process, at most 15 characters. */
  readonly command?: Fact<string>;
  readonly vcpus: readonly Vcpu[];
  readonly irqfds?: Fact<readonly Irqfd[]>;
  /** Bits of apicv_inhibit_reasons. */
  readonly inhibited?: Fact<bigint>;
  /** Where its interrupt controllers are: `kernel` all, `split` the local APICs only, `none` none of them. */
  readonly irqchip?: Fact<"none" | "kernel" | "split">;
  /** Devices assigned to it (before 6.17), or irqs that could bypass to it: without one KVM keeps no descriptor ready. */
  readonly bypassable?: Fact<number>;
  /** AVIC: the id in GATags. */
  readonly avicId?: Fact<number>;
}
