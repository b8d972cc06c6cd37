import { expect, test } from "vitest";
import { bootKernel } from "./boot.ts";
import { host, settle } from "./testbed.ts";

test.each(["5.4", "6.12", "7.0"] as const)("a reschedule interrupt of Linux %s is expected", (release) => {
  const { k, cpus } = host({ release });
  bootKernel(k);
  const before = k.log.lines.length;
  cpus[0]!.apic.sendIpi(cpus[2]!.apicId, 0xfd);
  expect(settle(k, cpus)).toBe(1);
  expect(k.log.lines.slice(before)).toEqual([]);
  expect(k.irqs.systemVectors[0xfd]!.counts[2]).toBe(1);
});
