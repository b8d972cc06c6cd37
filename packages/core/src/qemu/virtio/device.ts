import type { Vmm } from "../vmm.ts";
import type { QueueFault, VirtQueue } from "./queue.ts";

/** What a guest can get wrong in a request, on top of {@link QueueFault}. */
export type DeviceFault = QueueFault | "request without header" | "request without status";

/** How a device reaches its guest: over PCI. */
export interface VirtioTransport {
  /** Raises a vector of its function. */
  notify(vmm: Vmm, vector: number): void;
}

/** `VirtIODevice`: what all kinds of device have in common. */
export class VirtioDevice {
  readonly queues: readonly VirtQueue[];
  /** Features that it offers. */
  readonly offered: bigint;
  /** Device-specific configuration. */
  readonly config: Uint8Array;
  features = 0n;
  status = 0;
  /** Read and cleared by the guest: bit 0 a queue, bit 1 the configuration. */
  isr = 0;
  configVector = 0xffff;
  /** What it stopped over; only a reset brings it back. */
  fault: DeviceFault | null = null;
  transport: VirtioTransport | null = null;
  /** Counts resets: a request from before the last one is not answered. */
  epoch = 0;
  /** A queue has work: the model's `handle_output`. */
  readonly handleOutput: (vmm: Vmm, queue: VirtQueue) => void;

  constructor(options: {
    readonly queues: readonly VirtQueue[];
    readonly offered: bigint;
    readonly config: Uint8Array;
    readonly handleOutput: (vmm: Vmm, queue: VirtQueue) => void;
  }) {
    this.queues = options.queues;
    this.offered = options.offered;
    this.config = options.config;
    this.handleOutput = options.handleOutput;
  }
}
