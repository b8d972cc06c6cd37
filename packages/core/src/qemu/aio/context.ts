import type { Eventfd } from "../../linux/eventfd.ts";
import { EventNotifier } from "../event-notifier.ts";
import type { Vmm } from "../vmm.ts";

/** Runs when its file descriptor can be read. */
export type IoHandler = (vmm: Vmm) => void;

/** `QEMUBH`: something to do from the event loop, soon. */
export class BottomHalf {
  readonly context: AioContext;
  readonly callback: (vmm: Vmm) => void;
  /** Forgotten once it has run. */
  readonly oneshot: boolean;
  /** BH_PENDING: it stands in its context's list. */
  pending = false;
  /** BH_SCHEDULED: it is to be called. */
  scheduled = false;
  /** BH_DELETED */
  deleted = false;

  constructor(context: AioContext, callback: (vmm: Vmm) => void, oneshot = false) {
    this.context = context;
    this.callback = callback;
    this.oneshot = oneshot;
  }
}

/** `AioHandler`: who waits for a file descriptor. */
export interface AioHandler {
  readonly eventfd: Eventfd;
  readonly read: IoHandler;
  /** `pfd.revents`: the last poll found it readable, and nobody has dispatched it since. */
  ready: boolean;
  /** Removed while handlers were being run. */
  deleted: boolean;
}

/** `AioContext`: an event loop's file descriptors and bottom halves, as one source of a glib main loop. */
export class AioContext {
  readonly name: string;
  /** Wakes the loop when a bottom half is scheduled. */
  readonly notifier: EventNotifier;
  /** Scheduled and not yet polled, the newest first. */
  bottomHalves: BottomHalf[] = [];
  handlers: AioHandler[] = [];
  /** Somebody waits in poll: a notification must reach the file descriptor. */
  notifyMe = false;

  constructor(name: string) {
    this.name = name;
    this.notifier = new EventNotifier(`${name} notifier`);
  }
}
