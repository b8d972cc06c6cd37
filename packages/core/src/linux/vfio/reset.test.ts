import { expect, test } from "vitest";
import { configOffset } from "../../spec/pci/config-header.ts";
import { errno } from "../errno.ts";
import type { Eventfd } from "../eventfd.ts";
import { stacksAt } from "../testbed.ts";
import { ioctl } from "../syscall.ts";
import { settle } from "../testbed.ts";
import { eventfds, opened, passthrough, setMsix } from "./testbed.ts";

const reset = { request: "VFIO_DEVICE_RESET" };

test("a reset leaves a device its addresses and its interrupts", () => {
  const { k, device, fn, cpus } = passthrough(2);
  const file = opened(k, device);
  const triggers = eventfds(2);
  setMsix(k, file, 0, triggers);
  fn.writeConfig(configOffset.bar0, 4, 0xfe000000);
  expect(ioctl(k, file, reset)).toBe(0);
  expect(fn.readConfig(configOffset.bar0, 4)).toBe(0xfe000000);
  fn.signal(1);
  settle(k, cpus);
  expect(triggers.map(({ count }) => count)).toEqual([0, 1]);
});

test("a reset that nobody knew of is made good when the vector is set again", () => {
  const { k, device, fn, cpus } = passthrough(1);
  const file = opened(k, device);
  const [first, second] = eventfds(2) as [Eventfd, Eventfd];
  setMsix(k, file, 0, [first]);
  for (let word = 0; word < 3; word++) fn.writeBar(0, 4 * word, 4, 0);
  setMsix(k, file, 0, [second]);
  fn.signal(0);
  settle(k, cpus);
  expect(second.count).toBe(1);
});

test("a device without interrupts can be reset too", () => {
  const { k, device } = passthrough(1);
  expect(ioctl(k, opened(k, device), reset)).toBe(0);
});

test("what cannot be reset, or is gone, is not", () => {
  const { k, device } = passthrough(1);
  const file = opened(k, device);
  device.removed = true;
  expect(ioctl(k, file, reset)).toBe(-errno.ENOTTY);
  Object.assign(device.access, { reset: undefined });
  expect(ioctl(k, file, reset)).toBe(-errno.EINVAL);
});

test.each([
  ["7.0", "pci_try_reset_function vfio_pci_ioctl_reset vfio_pci_core_ioctl"],
  ["5.4", "pci_try_reset_function vfio_pci_ioctl do_vfs_ioctl"],
] as const)("the stack of %s has the functions that there were", (release, inner) => {
  const { k, device } = passthrough(1, { release });
  const file = opened(k, device);
  const [stack] = stacksAt(k, "pci_try_reset_function", () => ioctl(k, file, reset));
  expect(stack!.frames.startsWith(inner)).toBe(true);
});
