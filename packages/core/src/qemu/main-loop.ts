import { syscall } from "../linux/syscall.ts";
import { aioCtxCheck, aioCtxDispatch, aioCtxPrepare } from "./aio/dispatch.ts";
import type { AioContext } from "./aio/context.ts";
import { inlined, qemuFunction } from "./qemu-function.ts";
import type { Vmm } from "./vmm.ts";

/** Sources of the glib main loop, in the order in which they are dispatched. */
const sources = (vmm: Vmm): readonly AioContext[] => [vmm.aio, vmm.ioHandlers];

/** Asks every source whether it must not wait. @returns whether one of them says so. */
const glibPollfdsFill = qemuFunction(
  "glib_pollfds_fill",
  (vmm: Vmm): boolean => {
    let urgent = false;
    for (const source of sources(vmm)) urgent = aioCtxPrepare(vmm, source) || urgent;
    return urgent;
  },
  inlined,
);

/** ppoll(2) without a wait. @returns how many file descriptors are readable. */
const qemuPollNs = qemuFunction("qemu_poll_ns", (vmm: Vmm): number =>
  syscall(vmm.k, () => {
    let readable = 0;
    for (const { handlers } of sources(vmm)) {
      for (const handler of handlers) {
        handler.ready = handler.eventfd.count > 0;
        if (handler.ready) readable++;
      }
    }
    return readable;
  }),
);

const gMainContextDispatchUnlocked = qemuFunction(
  "g_main_context_dispatch_unlocked",
  (vmm: Vmm, ready: readonly AioContext[]): void => {
    for (const source of ready) aioCtxDispatch(vmm, source);
  },
);

const gMainContextDispatch = qemuFunction(
  "g_main_context_dispatch",
  (vmm: Vmm, ready: readonly AioContext[]): void => gMainContextDispatchUnlocked(vmm, ready),
);

const gMainContextCheck = qemuFunction("g_main_context_check", (vmm: Vmm): readonly AioContext[] =>
  sources(vmm).filter((source) => aioCtxCheck(vmm, source)),
);

/** @returns whether anything was ready. */
const glibPollfdsPoll = qemuFunction("glib_pollfds_poll", (vmm: Vmm): boolean => {
  const ready = gMainContextCheck(vmm);
  if (ready.length > 0) gMainContextDispatch(vmm, ready);
  return ready.length > 0;
});

const osHostMainLoopWait = qemuFunction("os_host_main_loop_wait", (vmm: Vmm): boolean => {
  glibPollfdsFill(vmm);
  qemuPollNs(vmm);
  return glibPollfdsPoll(vmm);
});

/** One turn. @returns whether anything was ready. */
const mainLoopWait = qemuFunction("main_loop_wait", (vmm: Vmm): boolean => osHostMainLoopWait(vmm));

/** The loop, until nothing is ready: there the thread would sleep, and the machine goes on with others. */
const qemuMainLoop = qemuFunction("qemu_main_loop", (vmm: Vmm, turns: number): number => {
  let taken = 0;
  while (taken < turns && mainLoopWait(vmm)) taken++;
  for (const source of sources(vmm)) source.notifyMe = true;
  return taken;
});

const qemuDefaultMain = qemuFunction("qemu_default_main", (vmm: Vmm, turns: number): number =>
  qemuMainLoop(vmm, turns),
);

const main = qemuFunction("main", (vmm: Vmm, turns: number): number => qemuDefaultMain(vmm, turns));

/**
 * Lets the main thread run until it would sleep.
 * @param turns the most that it may take: a guest that keeps it busy for ever holds up nobody else.
 * @returns how many it took.
 */
export function runMainLoop(vmm: Vmm, turns = 10_000): number {
  return vmm.calls.run(vmm.mainThread, () => main(vmm, turns));
}

/**
 * Runs the main loop, and waits for what the outside still has to answer, until neither has anything left.
 * @throws RangeError when that takes more than `turns`.
 */
export async function runUntilIdle(vmm: Vmm, turns = 10_000): Promise<void> {
  let taken = 0;
  for (;;) {
    taken += runMainLoop(vmm, turns - taken);
    if (taken >= turns) throw new RangeError(`main loop: not idle after ${turns} turns`);
    if (vmm.outside.size === 0) return;
    await Promise.race(vmm.outside);
  }
}
