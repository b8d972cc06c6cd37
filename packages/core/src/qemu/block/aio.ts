import { Thread } from "../../hardware/call-stack.ts";
import { errno } from "../../linux/errno.ts";
import { eventfdSignal } from "../../linux/eventfd.ts";
import { aioBhScheduleOneshot } from "../aio/bottom-half.ts";
import { aioSetFdHandler } from "../aio/dispatch.ts";
import { EventNotifier, eventNotifierTestAndClear } from "../event-notifier.ts";
import { qemuFunction } from "../qemu-function.ts";
import type { Vmm } from "../vmm.ts";
import type { BlockBackend } from "./backend.ts";

/**
 * How requests end. `bottomHalf`: the machine's time stands still while the outside answers, so that the coroutine of a
 * request ends before `blk_aio_prwv` returns, and QEMU completes it from a bottom half. `coroutine`: it yields, an event
 * of io_uring wakes it, and it completes the request on its own stack.
 */
export type Completion = "bottomHalf" | "coroutine";

/** Told of a request's end: 0, or a negative errno. */
export type CompletionFunction = (vmm: Vmm, result: number) => void;

/** `BlockBackend` of QEMU: a disk as device models use it. */
export class Disk {
  readonly backend: BlockBackend;
  readonly completion: Completion;
  /** Requests whose end nobody has been told of. */
  inFlight = 0;
  /** The completion queue of io_uring, and its event. */
  readonly completed: ControlBlock[] = [];
  readonly ring = new EventNotifier("io_uring");

  constructor(vmm: Vmm, backend: BlockBackend, completion: Completion = "bottomHalf") {
    this.backend = backend;
    this.completion = completion;
    aioSetFdHandler(vmm, vmm.aio, this.ring.eventfd, () => qemuLuringCompletionCb(vmm, this));
  }

  close(vmm: Vmm): void {
    aioSetFdHandler(vmm, vmm.aio, this.ring.eventfd, null);
  }
}

/** `BlkAioEmAIOCB`: one request. */
class ControlBlock {
  readonly disk: Disk;
  readonly entry: Entry;
  readonly perform: (backend: BlockBackend) => Promise<void>;
  readonly callback: CompletionFunction;
  /** Null is NOT_DONE. */
  result: number | null = null;
  /** `blk_aio_prwv` has returned: the callback may be called. */
  hasReturned = false;
  /** The stack of the request's coroutine. */
  readonly coroutine = new Thread("coroutine");

  constructor(
    disk: Disk,
    entry: Entry,
    perform: (backend: BlockBackend) => Promise<void>,
    callback: CompletionFunction,
  ) {
    this.disk = disk;
    this.entry = entry;
    this.perform = perform;
    this.callback = callback;
  }
}

/** What a request's coroutine runs. */
type Entry = (vmm: Vmm, acb: ControlBlock) => void;

const blkAioComplete = qemuFunction(
  "blk_aio_complete",
  (vmm: Vmm, acb: ControlBlock): void => {
    if (!acb.hasReturned || acb.result === null) return;
    acb.callback(vmm, acb.result);
    acb.disk.inFlight--;
  },
  { split: true },
);

const blkAioCompleteBh = qemuFunction("blk_aio_complete_bh", (vmm: Vmm, acb: ControlBlock): void =>
  blkAioComplete(vmm, acb),
);

/** Until the outside has answered the coroutine goes no further: it asks, or ends. */
function advance(vmm: Vmm, acb: ControlBlock): void {
  if (acb.result !== null) {
    blkAioComplete(vmm, acb);
    return;
  }
  vmm.ask(
    acb.perform(acb.disk.backend),
    () => answered(vmm, acb, 0),
    () => answered(vmm, acb, -errno.EIO),
  );
}

const blkAioReadEntry = qemuFunction("blk_aio_read_entry", advance);
const blkAioWriteEntry = qemuFunction("blk_aio_write_entry", advance);
const blkAioFlushEntry = qemuFunction("blk_aio_flush_entry", advance);

const coroutineTrampoline = qemuFunction("coroutine_trampoline", (vmm: Vmm, acb: ControlBlock): void =>
  acb.entry(vmm, acb),
);

const qemuAioCoroutineEnter = qemuFunction("qemu_aio_coroutine_enter", (vmm: Vmm, acb: ControlBlock): void =>
  vmm.calls.run(acb.coroutine, () => coroutineTrampoline(vmm, acb)),
);

const aioCoWake = qemuFunction("aio_co_wake", qemuAioCoroutineEnter);

const luringProcessCompletions = qemuFunction("luring_process_completions", (vmm: Vmm, disk: Disk): void => {
  for (const acb of disk.completed.splice(0)) aioCoWake(vmm, acb);
});

const qemuLuringCompletionCb = qemuFunction("qemu_luring_completion_cb", (vmm: Vmm, disk: Disk): void => {
  eventNotifierTestAndClear(vmm, disk.ring);
  luringProcessCompletions(vmm, disk);
});

/** The outside has answered. */
function answered(vmm: Vmm, acb: ControlBlock, result: number): void {
  acb.result = result;
  const { disk } = acb;
  if (disk.completion === "coroutine") {
    disk.completed.push(acb);
    eventfdSignal(vmm.k, disk.ring.eventfd);
    return;
  }
  vmm.calls.run(vmm.mainThread, () => {
    qemuAioCoroutineEnter(vmm, acb);
    afterCoroutine(vmm, acb);
  });
}

/** The end of `blk_aio_prwv`: a request that is done already is completed by the loop. */
function afterCoroutine(vmm: Vmm, acb: ControlBlock): void {
  acb.hasReturned = true;
  if (acb.result !== null) aioBhScheduleOneshot(vmm, vmm.aio, () => blkAioCompleteBh(vmm, acb));
}

const blkAioPrwv = qemuFunction("blk_aio_prwv", (vmm: Vmm, acb: ControlBlock): void => {
  acb.disk.inFlight++;
  qemuAioCoroutineEnter(vmm, acb);
  if (acb.disk.completion === "coroutine") afterCoroutine(vmm, acb);
});

/** Reads; `into` takes the bytes before `callback` is called. */
export const blkAioPreadv = qemuFunction(
  "blk_aio_preadv",
  (
    vmm: Vmm,
    disk: Disk,
    offset: number,
    length: number,
    into: (bytes: Uint8Array) => void,
    callback: CompletionFunction,
  ): void => {
    const perform = (backend: BlockBackend): Promise<void> => backend.read(offset, length).then(into);
    blkAioPrwv(vmm, new ControlBlock(disk, blkAioReadEntry, perform, callback));
  },
);

export const blkAioPwritev = qemuFunction(
  "blk_aio_pwritev",
  (vmm: Vmm, disk: Disk, offset: number, bytes: Uint8Array, callback: CompletionFunction): void => {
    const perform = (backend: BlockBackend): Promise<void> => backend.write(offset, bytes);
    blkAioPrwv(vmm, new ControlBlock(disk, blkAioWriteEntry, perform, callback));
  },
);

export const blkAioFlush = qemuFunction(
  "blk_aio_flush",
  (vmm: Vmm, disk: Disk, callback: CompletionFunction): void => {
    blkAioPrwv(vmm, new ControlBlock(disk, blkAioFlushEntry, (backend) => backend.flush(), callback));
  },
);
