/** Why a guest was left, under the names that both vendors' documents share. */
export type ExitReason =
  | "externalInterrupt"
  | "interruptWindow"
  | "hlt"
  /** A write to the APIC's page that hardware does not emulate. */
  | "apicWrite"
  /** The same of an APIC in x2APIC mode, which is a WRMSR. */
  | "msrWrite"
  /** An EOI that the I/O APIC has to know of. */
  | "virtualizedEoi"
  /** An access to memory that is a device's, and the VMM's to emulate: EPT misconfiguration, nested page fault. */
  | "mmio"
  /** AVIC: an IPI that hardware could not deliver whole. */
  | "incompleteIpi";

/** What happened to one vCPU. */
export class VcpuCounts {
  entries = 0;
  readonly exits: Record<ExitReason, number> = {
    externalInterrupt: 0,
    interruptWindow: 0,
    hlt: 0,
    apicWrite: 0,
    msrWrite: 0,
    virtualizedEoi: 0,
    mmio: 0,
    incompleteIpi: 0,
  };
  /** Notifications or doorbells that its processor saw to in guest mode. */
  notifications = 0;
  /** Interrupts that the guest took. */
  interrupts = 0;
  /** Times that it was woken from its sleep. */
  wakeUps = 0;

  get allExits(): number {
    return Object.values(this.exits).reduce((sum, count) => sum + count, 0);
  }
}
