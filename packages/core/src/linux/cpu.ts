/** A processor's own APIC, as the kernel on it uses it: real for a host, virtual for a guest. */
export interface CpuApic {
  /** Ends the service of the highest vector in service. */
  eoi(): void;
  /** A fixed, edge-triggered interrupt to one processor. */
  sendIpi(apicId: number, vector: number): void;
  /** Requests a vector of its own processor that is still held in IRR: whether an interrupt waits there. */
  requested(vector: number): boolean;
  /** Turns x2APIC mode on. */
  enableX2apic(): void;
}

/** A processor as the kernel that runs on it knows it. */
export interface Cpu {
  /** Linux CPU number. */
  readonly number: number;
  readonly apicId: number;
  readonly apic: CpuApic;
  online: boolean;
}
