import { describe, expect, test } from "vitest";
import { toWords } from "../../spec/codec.ts";
import { readEntry } from "../intel-ir/live-entry.ts";
import { intelRemapping } from "../intel-ir/remapping-state.ts";
import { Eventfd } from "../eventfd.ts";
import { kvmVmFile } from "../kvm/file.ts";
import { fakeVm } from "../kvm/testbed.ts";
import { close, ioctl } from "../syscall.ts";
import { eventfds, leftovers, nothingLeft, opened, passthrough, setMsix } from "./testbed.ts";
import { vfioPciRemove } from "./removal.ts";

describe("a device that is to go", () => {
  test("goes at once while nobody has it open", () => {
    const { k, device } = passthrough(1);
    expect(vfioPciRemove(k, device, 0)).toBe(true);
    expect(k.devices).not.toContain(device);
  });

  test("stays until userspace lets go, which is asked through its eventfd", () => {
    const { k, device } = passthrough(2);
    const file = opened(k, device);
    const asked = new Eventfd("request");
    ioctl(k, file, { request: "VFIO_DEVICE_SET_IRQS", index: "req", eventfd: asked } as { request: string });
    expect([0, 1, 10].map((times) => vfioPciRemove(k, device, times))).toEqual([false, false, false]);
    expect(asked.count).toBe(3);
    expect(k.log.lines.map(({ text }) => text).filter((text) => text.includes("Relaying"))).toEqual([
      "vfio-pci 0000:03:00.0: Relaying device request to user (#0)",
      "vfio-pci 0000:03:00.0: Relaying device request to user (#10)",
    ]);
    close(k, file);
    expect(k.devices).not.toContain(device);
  });

  test("goes within the request when userspace heeds it there and then", () => {
    const { k, device } = passthrough(2);
    const file = opened(k, device);
    setMsix(k, file, 0, eventfds(2));
    const asked = new Eventfd("request");
    asked.onReadable = () => close(k, file);
    ioctl(k, file, { request: "VFIO_DEVICE_SET_IRQS", index: "req", eventfd: asked } as { request: string });
    expect(vfioPciRemove(k, device, 0)).toBe(true);
    expect(leftovers(k)).toEqual(nothingLeft);
  });

  test.each(["7.0", "5.4"] as const)("of %s that has no way to ask says so once", (release) => {
    const { k, device } = passthrough(1, { release });
    opened(k, device);
    for (const times of [0, 1]) vfioPciRemove(k, device, times);
    expect(k.log.lines.filter(({ text }) => text.includes("No device request channel"))).toEqual([
      {
        level: "warn",
        text: "vfio-pci 0000:03:00.0: No device request channel registered, blocked until released by user",
      },
    ]);
  });
});

test("a device that is pulled while its interrupts are posted leaves nothing behind", () => {
  const { k, device, fn } = passthrough(4);
  const { vm, targets } = fakeVm();
  const vmFile = kvmVmFile(vm);
  const file = opened(k, device);
  const triggers = eventfds(4);
  const routes = triggers.map((_, gsi) => ({
    gsi,
    addressLow: 0xfee00000 | (gsi << 12) | 0,
    addressHigh: 0,
    data: 0x40 + gsi,
  }));
  ioctl(k, vmFile, { request: "KVM_SET_GSI_ROUTING", routes } as { request: string });
  for (const [gsi, eventfd] of triggers.entries())
    ioctl(k, vmFile, { request: "KVM_IRQFD", eventfd, gsi } as { request: string });
  setMsix(k, file, 0, triggers);
  expect([...targets.values()].map((target) => target?.vcpu)).toEqual([0, 1, 2, 3]);
  expect(vm.possibleBypassIrqs).toBe(4);

  device.removed = true;
  expect(vfioPciRemove(k, device, 0)).toBe(false);
  close(k, file);
  expect([...targets.values()]).toEqual([null, null, null, null]);
  expect(leftovers(k)).toEqual({ ...nothingLeft, consumers: 4 });
  expect(vm.possibleBypassIrqs).toBe(0);
  close(k, vmFile);
  expect(leftovers(k)).toEqual(nothingLeft);
  const [iommu] = intelRemapping(k).units;
  for (let index = 0; index < 16; index++) {
    expect([index, toWords(readEntry(k, iommu!, index), 128)[0]! & 1]).toEqual([index, 0]);
  }
  expect(fn.msix?.enabled).toBe(true);
});
