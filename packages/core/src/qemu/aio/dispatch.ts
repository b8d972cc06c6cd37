import type { Eventfd } from "../../linux/eventfd.ts";
import { eventNotifierTestAndClear } from "../event-notifier.ts";
import { inlined, qemuFunction } from "../qemu-function.ts";
import type { Vmm } from "../vmm.ts";
import { aioBhPoll } from "./bottom-half.ts";
import type { AioContext, AioHandler, IoHandler } from "./context.ts";

/** Waits for a file descriptor with a handler, or with null no longer. */
export const aioSetFdHandler = qemuFunction(
  "aio_set_fd_handler",
  (vmm: Vmm, context: AioContext, eventfd: Eventfd, read: IoHandler | null): void => {
    for (const handler of context.handlers) if (handler.eventfd === eventfd) handler.deleted = true;
    context.handlers = context.handlers.filter(({ deleted }) => !deleted);
    eventfd.onReadable = read === null ? null : () => vmm.onWork?.();
    if (read !== null) context.handlers.push({ eventfd, read, ready: false, deleted: false });
  },
);

/** The file descriptors of devices, outside the block layer. */
export const qemuSetFdHandler = qemuFunction(
  "qemu_set_fd_handler",
  (vmm: Vmm, eventfd: Eventfd, read: IoHandler | null): void =>
    aioSetFdHandler(vmm, vmm.ioHandlers, eventfd, read),
);

/** The context's own notifier has done its work when the loop has woken. */
export function initContext(vmm: Vmm, context: AioContext): void {
  const { notifier } = context;
  aioSetFdHandler(vmm, context, notifier.eventfd, () => void eventNotifierTestAndClear(vmm, notifier));
}

export const aioCtxPrepare = qemuFunction("aio_ctx_prepare", (_vmm: Vmm, context: AioContext): boolean => {
  context.notifyMe = true;
  return context.bottomHalves.some(({ scheduled, deleted }) => scheduled && !deleted);
});

/** @returns whether there is something to dispatch. */
export const aioCtxCheck = qemuFunction("aio_ctx_check", (_vmm: Vmm, context: AioContext): boolean => {
  context.notifyMe = false;
  return (
    context.bottomHalves.some(({ scheduled, deleted }) => scheduled && !deleted) ||
    context.handlers.some(({ ready }) => ready)
  );
});

const aioDispatchHandler = qemuFunction(
  "aio_dispatch_handler",
  (vmm: Vmm, handler: AioHandler): boolean => {
    if (!handler.ready || handler.deleted) return false;
    handler.ready = false;
    handler.read(vmm);
    return true;
  },
  inlined,
);

const aioDispatchHandlers = qemuFunction(
  "aio_dispatch_handlers",
  (vmm: Vmm, context: AioContext): boolean => {
    let progress = false;
    for (const handler of context.handlers) progress = aioDispatchHandler(vmm, handler) || progress;
    return progress;
  },
);

export const aioDispatch = qemuFunction("aio_dispatch", (vmm: Vmm, context: AioContext): void => {
  aioBhPoll(vmm, context);
  aioDispatchHandlers(vmm, context);
});

export const aioCtxDispatch = qemuFunction("aio_ctx_dispatch", (vmm: Vmm, context: AioContext): void =>
  aioDispatch(vmm, context),
);
