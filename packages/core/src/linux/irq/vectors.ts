import type { Releases } from "../../hardware/call-stack.ts";

/** Vectors that have a meaning of their own, under the names of `irq_vectors.h`. */
export const vectors = {
  FIRST_EXTERNAL: 0x20,
  /** Until 6.5 the first external vector was an interrupt of its own; since then a timer does its work. */
  IRQ_MOVE_CLEANUP: 0x20,
  SYSCALL: 0x80,
  POSTED_MSI_NOTIFICATION: 0xeb,
  LOCAL_TIMER: 0xec,
  HYPERV_REENLIGHTENMENT: 0xee,
  /** A placeholder: no interrupt is taken with it. */
  MANAGED_IRQ_SHUTDOWN: 0xef,
  POSTED_INTR_NESTED: 0xf0,
  POSTED_INTR_WAKEUP: 0xf1,
  POSTED_INTR: 0xf2,
  HYPERVISOR_CALLBACK: 0xf3,
  DEFERRED_ERROR: 0xf4,
  IRQ_WORK: 0xf6,
  REBOOT: 0xf8,
  THRESHOLD: 0xf9,
  THERMAL: 0xfa,
  CALL_FUNCTION_SINGLE: 0xfb,
  CALL_FUNCTION: 0xfc,
  RESCHEDULE: 0xfd,
  ERROR: 0xfe,
  SPURIOUS: 0xff,
} as const;

/** Releases with an interrupt for the cleanup of moved vectors. */
export const withCleanupVector: Releases = { below: "6.6" };

/** Releases with CONFIG_X86_POSTED_MSI. */
export const withPostedMsi: Releases = { from: "6.10" };
