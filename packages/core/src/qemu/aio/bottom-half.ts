import { eventNotifierSet } from "../event-notifier.ts";
import { inlined, qemuFunction } from "../qemu-function.ts";
import type { Vmm } from "../vmm.ts";
import { type AioContext, BottomHalf } from "./context.ts";

export const aioNotify = qemuFunction("aio_notify", (vmm: Vmm, context: AioContext): void => {
  if (context.notifyMe) eventNotifierSet(vmm, context.notifier);
});

const aioBhEnqueue = qemuFunction(
  "aio_bh_enqueue",
  (vmm: Vmm, bh: BottomHalf): void => {
    if (!bh.pending) {
      bh.pending = true;
      bh.context.bottomHalves.unshift(bh);
    }
    aioNotify(vmm, bh.context);
  },
  inlined,
);

/** Called once, from the context's loop. */
export const aioBhScheduleOneshot = qemuFunction(
  "aio_bh_schedule_oneshot_full",
  (vmm: Vmm, context: AioContext, callback: (vmm: Vmm) => void): void => {
    const bh = new BottomHalf(context, callback, true);
    bh.scheduled = true;
    aioBhEnqueue(vmm, bh);
  },
);

/** Called once each time that it was scheduled since it was last called. */
export const qemuBhSchedule = qemuFunction("qemu_bh_schedule", (vmm: Vmm, bh: BottomHalf): void => {
  bh.scheduled = true;
  aioBhEnqueue(vmm, bh);
});

export const qemuBhDelete = qemuFunction("qemu_bh_delete", (vmm: Vmm, bh: BottomHalf): void => {
  bh.deleted = true;
  aioBhEnqueue(vmm, bh);
});

const aioBhCall = qemuFunction("aio_bh_call", (vmm: Vmm, bh: BottomHalf): void => bh.callback(vmm), inlined);

/**
 * Calls what was scheduled before the poll began, the newest first; what is scheduled meanwhile waits for the next.
 * @returns whether anything was called.
 */
export const aioBhPoll = qemuFunction("aio_bh_poll", (vmm: Vmm, context: AioContext): boolean => {
  const slice = context.bottomHalves;
  context.bottomHalves = [];
  let progress = false;
  for (const bh of slice) {
    const due = bh.scheduled && !bh.deleted;
    bh.pending = false;
    bh.scheduled = false;
    if (!due) continue;
    progress = true;
    aioBhCall(vmm, bh);
  }
  return progress;
});
