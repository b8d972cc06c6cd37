import * as fc from "fast-check";
import { expect, test } from "vitest";
import { Clock } from "./clock.ts";
import { costList, costs, cyclesPerNanosecond } from "./cost.ts";

test("work moves the clock on by its cycles, and is counted by who does it", () => {
  const clock = new Clock();
  clock.charge(costs.vmExit);
  clock.charge(costs.guestInterrupt, 2);
  clock.charge(costs.iommuFetch);
  const { vmExit, guestInterrupt, iommuFetch } = costs;
  expect(clock.now).toBe(
    (vmExit.cycles + 2 * guestInterrupt.cycles + iommuFetch.cycles) / cyclesPerNanosecond,
  );
  expect(clock.cycles()).toBe(vmExit.cycles);
  expect(clock.cycles("guest")).toBe(2 * guestInterrupt.cycles);
  expect(clock.cycles("hardware")).toBe(iommuFetch.cycles);
});

test("the largest share comes first, with its source", () => {
  const clock = new Clock();
  expect(clock.shares()).toEqual([]);
  clock.charge(costs.syscall, 3);
  clock.charge(costs.vmExit);
  expect(clock.shares()).toEqual([
    { name: "VM exit and entry", owner: "host", times: 1, cycles: 2000, source: costs.vmExit.source },
    { name: "system call", owner: "host", times: 3, cycles: 600, source: costs.syscall.source },
  ]);
});

test("time never goes back, and waiting costs nothing", () => {
  fc.assert(
    fc.property(
      fc.array(fc.oneof(fc.constantFrom(...costList), fc.integer({ min: -1000, max: 1000 }))),
      (steps) => {
        const clock = new Clock();
        let before = 0;
        for (const step of steps) {
          if (typeof step === "number") clock.wait(step);
          else clock.charge(step);
          expect(clock.now).toBeGreaterThanOrEqual(before);
          before = clock.now;
        }
        const charged = steps.filter((step) => typeof step === "object");
        expect(clock.shares().reduce((sum, { times }) => sum + times, 0)).toBe(charged.length);
      },
    ),
  );
});

test("each cost stands at its index, and says where its figure comes from", () => {
  for (const [index, cost] of costList.entries()) {
    expect(cost.index).toBe(index);
    expect(cost.cycles).toBeGreaterThan(0);
    expect(cost.source).toMatch(cost.estimated ? /^estimated: ./ : /^measured [\d,]+ .*\(.+\)$/);
  }
  expect(new Set(costList.map(({ name }) => name)).size).toBe(costList.length);
});
