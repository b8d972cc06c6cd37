import { PostedDescriptor } from "../hardware/posting/descriptor.ts";
import { postedDescriptor } from "../spec/vtd/irte.ts";
import type { Cpu } from "./cpu.ts";
import { destinationField } from "./intel-ir/remapping-state.ts";
import type { IrqData } from "./irq/descriptor.ts";
import { callIrqHandler } from "./irq/entry.ts";
import { setSystemVector } from "./irq/system-vector.ts";
import { vectors } from "./irq/vectors.ts";
import { kernelFunction } from "./kernel-function.ts";
import type { Kernel } from "./kernel.ts";

const descriptorBytes = postedDescriptor.width / 8;

/** MAX_POSTED_MSI_COALESCING_LOOP: harvests of one notification, the last of them after ON is cleared. */
const harvests = 3;

/**
 * Posted MSI (`intremap=posted_msi`): every CPU has a posted-interrupt descriptor of its own, devices' entries post
 * to it, and one notification serves all that is posted until its handler is through.
 */
export class PostedMsi {
  /** `posted_msi_pi_desc`, by Linux CPU number. */
  readonly descriptors: readonly PostedDescriptor[];
  /** Device interrupts that notifications have brought. */
  readonly dispatched: number[];
  /** `posted_msi_handler_active`: the notification's handler ends the interrupt, for all that it dispatches. */
  readonly active: boolean[];

  constructor(k: Kernel, base: number) {
    this.descriptors = k.cpus.map((_, cpu) => new PostedDescriptor(k.memory, base + cpu * descriptorBytes));
    this.dispatched = k.cpus.map(() => 0);
    this.active = k.cpus.map(() => false);
  }

  /** `pi_pending_this_cpu`: a vector is posted to a CPU that has not looked yet. */
  pending(cpu: number, vector: number): boolean {
    return ((this.descriptors[cpu]!.read().pir >> BigInt(vector)) & 1n) === 1n;
  }
}

/** Words of 32 vectors in PIR. */
const pirParts = 8;

/** `handle_pending_pir`: takes what is posted, and runs its handlers. @returns whether there was anything. */
function handlePendingPir(k: Kernel, state: PostedMsi, cpu: number): boolean {
  const descriptor = state.descriptors[cpu]!;
  const posted = Array.from({ length: pirParts }, (_, part) => descriptor.exchangePir(part));
  if (posted.every((part) => part === 0)) return false;
  for (let vector: number = vectors.FIRST_EXTERNAL; vector < 256; vector++) {
    if ((posted[vector >>> 5]! & (1 << vector)) === 0) continue;
    state.dispatched[cpu]!++;
    callIrqHandler(k, vector);
  }
  return true;
}

function handleNotification(k: Kernel, cpu: Cpu): void {
  const state = k.postedMsi!;
  const { number } = cpu;
  state.active[number] = true;
  for (let harvest = 1; harvest < harvests; harvest++) if (!handlePendingPir(k, state, number)) break;
  // What is posted before ON is cleared has sent no notification, and is taken here; what comes after sends one.
  state.descriptors[number]!.clearOn();
  handlePendingPir(k, state, number);
  cpu.apic.eoi();
  state.active[number] = false;
}

const intelPostedMsiInit = kernelFunction("intel_posted_msi_init", (k: Kernel, cpu: Cpu): void => {
  const destination = destinationField(k.x2apic, cpu.apicId);
  k.postedMsi!.descriptors[cpu.number]!.setNotification(0, vectors.POSTED_MSI_NOTIFICATION, destination);
});

/** Gives every CPU its descriptor, and the notification its vector. */
export function initPostedMsi(k: Kernel): void {
  const base = k.pages.allocate(k.cpus.length * descriptorBytes);
  if (base < 0) throw new RangeError("posted MSI: no memory for the descriptors of the CPUs");
  k.postedMsi = new PostedMsi(k, base);
  for (const cpu of k.cpus) intelPostedMsiInit(k, cpu);
  const vector = vectors.POSTED_MSI_NOTIFICATION;
  setSystemVector(k, vector, "sysvec_posted_msi_notification", handleNotification, { ownEoi: true });
}

/** An interrupt that was sent again to its own vector came without a notification, and is ended like any other. */
export const intelAckPostedMsiIrq = kernelFunction(
  "intel_ack_posted_msi_irq",
  (k: Kernel, _data: IrqData): void => {
    if (k.postedMsi?.active[k.cpu.number] !== true) k.cpu.apic.eoi();
  },
);
