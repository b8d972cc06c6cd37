import { expect, test } from "vitest";
import { requestIrq } from "../linux/irq/manage.ts";
import { PciDevice } from "../linux/pci/device.ts";
import { pciAllocIrqVectors, pciIrqVector } from "../linux/pci/msi.ts";
import { enableIrX2apic } from "../linux/remapping.ts";
import { host, withMsix } from "../linux/testbed.ts";
import { Disk } from "./block/aio.ts";
import { MemoryBackend } from "./block/backend.ts";
import { GuestVirtioBlk } from "./guest-virtio-blk.ts";
import { runUntilIdle } from "./main-loop.ts";
import { virtualMachine } from "./testbed.ts";
import { regionsOf } from "./vfio/device.ts";
import { vfioRealize } from "./vfio/pci.ts";
import { VirtioBlk } from "./virtio/blk.ts";

/** A Linux kernel that runs in the virtual machine. */
function guestKernel() {
  const { k } = host({ vendor: "none" });
  enableIrX2apic(k);
  return k;
}

test("a guest's Linux sets up the vectors of a virtio-blk function, and its message is what QEMU sends", async () => {
  const { vmm, bus, requests } = virtualMachine();
  const bytes = Uint8Array.from({ length: 4096 }, (_, i) => i & 0xff);
  const blk = new VirtioBlk(new Disk(vmm, new MemoryBackend(bytes)), { requester: 0x18 });
  bus.plug(blk.pci.fn);
  const access = bus.access(blk.pci.fn);
  const guest = guestKernel();
  const device = new PciDevice({ name: "0000:00:03.0", requester: 0x18, access });
  guest.devices.push(device);
  const driver = new GuestVirtioBlk({ access, memory: vmm.ram, workspace: 0x10_0000 });

  expect(pciAllocIrqVectors(guest, device, 2, 2, "msix")).toBe(2);
  const handler = (): "handled" => {
    driver.onInterrupt();
    return "handled";
  };
  expect(requestIrq(guest, pciIrqVector(guest, device, 0), handler, "virtio0", null)).toBe(0);
  driver.start();
  requests.length = 0;
  const request = driver.read(1, 1);
  await runUntilIdle(vmm);

  const { addressLow, addressHigh, data } = device.msi!.descriptors[0]!.message;
  expect(requests).toEqual([
    { request: "KVM_SIGNAL_MSI", addressLow: addressLow & 0xf_ffff, addressHigh, data },
  ]);
  driver.onInterrupt();
  expect(request.data).toEqual(bytes.slice(512, 1024));
});

test("a guest's Linux drives an assigned function, and VFIO is asked for a vector when its interrupt is requested", () => {
  const { vmm, bus, requests, plug } = virtualMachine();
  const { fn: real } = plug(0x300, withMsix(8));
  const asked: string[] = [];
  const file = {
    name: "vfio",
    ioctl: (_k: unknown, { request }: { readonly request: string }): number => {
      asked.push(request);
      return 0;
    },
  };
  const options = { name: "0000:03:00.0", requester: 0x20, file, access: real, regions: regionsOf(real) };
  const assigned = vfioRealize(vmm, options);
  bus.plug(assigned.fn);
  const guest = guestKernel();
  const device = new PciDevice({
    name: "0000:00:04.0",
    requester: 0x20,
    access: bus.access(assigned.fn),
  });
  guest.devices.push(device);

  expect(pciAllocIrqVectors(guest, device, 3, 3, "msix")).toBe(3);
  expect([assigned.interrupt, assigned.vectors.size]).toEqual(["msix", 0]);
  for (const index of [0, 2]) {
    requestIrq(guest, pciIrqVector(guest, device, index), () => "handled", `queue ${index}`, null);
  }
  const messages = [0, 2].map((index) => device.msi!.descriptors[index]!.message);
  expect([...assigned.vectors.keys()]).toEqual([0, 2]);
  expect(vmm.routes.entries).toEqual([
    { gsi: 24, ...messages[0] },
    { gsi: 25, ...messages[1] },
  ]);
  expect(requests.map(({ request }) => request).filter((request) => request === "KVM_IRQFD")).toHaveLength(2);
  expect(real.readBar(0, 0, 4)).toBe(0);
});
