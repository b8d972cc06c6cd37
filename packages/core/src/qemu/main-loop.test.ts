import { expect, test } from "vitest";
import { eventfdSignal } from "../linux/eventfd.ts";
import { aioBhScheduleOneshot, qemuBhDelete, qemuBhSchedule } from "./aio/bottom-half.ts";
import { BottomHalf } from "./aio/context.ts";
import { qemuSetFdHandler } from "./aio/dispatch.ts";
import { EventNotifier, eventNotifierSet, eventNotifierTestAndClear } from "./event-notifier.ts";
import { runMainLoop, runUntilIdle } from "./main-loop.ts";
import { virtualMachine } from "./testbed.ts";

test("a loop with nothing ready takes no turn", () => {
  const { vmm } = virtualMachine();
  expect(runMainLoop(vmm)).toBe(0);
});

test("bottom halves run the newest first, once for each poll, and those scheduled meanwhile in the next turn", () => {
  const { vmm } = virtualMachine();
  const order: string[] = [];
  const again = new BottomHalf(vmm.aio, () => void order.push("again"));
  aioBhScheduleOneshot(vmm, vmm.aio, (vmm) => {
    order.push("first");
    qemuBhSchedule(vmm, again);
  });
  aioBhScheduleOneshot(vmm, vmm.aio, () => void order.push("second"));
  qemuBhSchedule(vmm, again);
  qemuBhSchedule(vmm, again);
  expect(runMainLoop(vmm, 1)).toBe(1);
  expect(order).toEqual(["again", "second", "first"]);
  runMainLoop(vmm);
  expect(order).toEqual(["again", "second", "first", "again"]);
});

test("a bottom half that was deleted is not called", () => {
  const { vmm } = virtualMachine();
  const bh = new BottomHalf(vmm.aio, () => expect.unreachable());
  qemuBhSchedule(vmm, bh);
  qemuBhDelete(vmm, bh);
  expect(runMainLoop(vmm)).toBe(0);
  aioBhScheduleOneshot(vmm, vmm.aio, () => {});
  runMainLoop(vmm);
  expect(bh.pending).toBe(false);
});

test("a sleeping loop is woken by a bottom half and by a file descriptor", () => {
  const { vmm } = virtualMachine();
  let woken = 0;
  vmm.onWork = () => void woken++;
  runMainLoop(vmm);
  aioBhScheduleOneshot(vmm, vmm.aio, () => {});
  expect(woken).toBe(1);
  const notifier = new EventNotifier("device");
  qemuSetFdHandler(vmm, notifier.eventfd, () => {});
  eventfdSignal(vmm.k, notifier.eventfd);
  expect(woken).toBe(2);
});

test("a handler runs when its file descriptor is readable, as often as that is, and no longer once it is taken back", () => {
  const { vmm } = virtualMachine();
  const notifier = new EventNotifier("device");
  let ran = 0;
  qemuSetFdHandler(vmm, notifier.eventfd, (vmm) => {
    expect(eventNotifierTestAndClear(vmm, notifier)).toBe(true);
    ran++;
  });
  runMainLoop(vmm);
  expect(ran).toBe(0);
  eventNotifierSet(vmm, notifier);
  eventNotifierSet(vmm, notifier);
  runMainLoop(vmm);
  expect(ran).toBe(1);
  qemuSetFdHandler(vmm, notifier.eventfd, null);
  eventNotifierSet(vmm, notifier);
  runMainLoop(vmm);
  expect(ran).toBe(1);
});

test("a handler that another takes back in the same turn does not run", () => {
  const { vmm } = virtualMachine();
  const [one, other] = [new EventNotifier("one"), new EventNotifier("other")];
  qemuSetFdHandler(vmm, one.eventfd, (vmm) => {
    eventNotifierTestAndClear(vmm, one);
    qemuSetFdHandler(vmm, other.eventfd, null);
  });
  qemuSetFdHandler(vmm, other.eventfd, () => expect.unreachable());
  eventNotifierSet(vmm, one);
  eventNotifierSet(vmm, other);
  runMainLoop(vmm);
});

test("work that never ends is given up after so many turns", async () => {
  const { vmm } = virtualMachine();
  const notifier = new EventNotifier("storm");
  qemuSetFdHandler(vmm, notifier.eventfd, () => {});
  eventNotifierSet(vmm, notifier);
  expect(runMainLoop(vmm, 20)).toBe(20);
  await expect(runUntilIdle(vmm, 20)).rejects.toThrow(RangeError);
});

test("what the outside answers late is waited for", async () => {
  const { vmm } = virtualMachine();
  let answer = 0;
  vmm.ask(
    new Promise<number>((resolve) => void setTimeout(() => resolve(7), 5)),
    (value) => void (answer = value),
    () => {},
  );
  await runUntilIdle(vmm);
  expect([answer, vmm.outside.size]).toEqual([7, 0]);
});
