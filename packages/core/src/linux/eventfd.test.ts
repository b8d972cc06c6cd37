import { describe, expect, test } from "vitest";
import { errno } from "./errno.ts";
import { Eventfd, addPriorityWaiter, eventfdRead, eventfdSignal, removeWaiter } from "./eventfd.ts";
import { host } from "./testbed.ts";

function watched(release: "5.4" | "6.12" | "7.0" = "7.0") {
  const { k } = host({ release });
  const eventfd = new Eventfd("trigger");
  let seen = 0;
  eventfd.onReadable = () => void seen++;
  return { k, eventfd, seen: () => seen };
}

const takes = (): boolean => true;

describe("an eventfd", () => {
  test("counts signals until somebody reads them all at once", () => {
    const { k, eventfd } = watched();
    eventfdSignal(k, eventfd);
    eventfdSignal(k, eventfd);
    expect(eventfdRead(eventfd)).toBe(2);
    expect(eventfdRead(eventfd)).toBe(-errno.EAGAIN);
  });

  test("wakes userspace only with what the kernel's waiter leaves", () => {
    const { k, eventfd, seen } = watched();
    let taking = true;
    addPriorityWaiter(k, eventfd, () => taking);
    eventfdSignal(k, eventfd);
    expect(seen()).toBe(0);
    taking = false;
    eventfdSignal(k, eventfd);
    expect(seen()).toBe(1);
  });

  test("wakes userspace again once the kernel's waiter is gone", () => {
    const { k, eventfd, seen } = watched();
    addPriorityWaiter(k, eventfd, takes);
    removeWaiter(eventfd, takes);
    removeWaiter(eventfd, takes);
    eventfdSignal(k, eventfd);
    expect(seen()).toBe(1);
  });

  test.each([
    ["7.0", -errno.EBUSY],
    ["6.12", 0],
  ] as const)("of Linux %s answers a second priority waiter with %i", (release, expected) => {
    const { k, eventfd } = watched(release);
    expect(addPriorityWaiter(k, eventfd, takes)).toBe(0);
    expect(addPriorityWaiter(k, eventfd, takes)).toBe(expected);
  });

  test.each([
    ["7.0", "eventfd_signal_mask"],
    ["6.12", "eventfd_signal_mask"],
    ["5.4", "eventfd_signal"],
  ] as const)("of Linux %s wakes by way of %s", (release, caller) => {
    const { k, eventfd } = watched(release);
    let frames: string[] = [];
    k.calls.listener = { entered: () => {}, left: () => {} };
    addPriorityWaiter(k, eventfd, () => {
      frames = k.calls.frames("kernel");
      return true;
    });
    eventfdSignal(k, eventfd);
    expect(frames).toEqual(["__wake_up_common", caller]);
  });
});
