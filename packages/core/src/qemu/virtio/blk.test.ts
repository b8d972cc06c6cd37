import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { blkStatus } from "../../spec/virtio/blk.ts";
import { Disk, type Completion } from "../block/aio.ts";
import { MemoryBackend, type BlockBackend } from "../block/backend.ts";
import { GuestVirtioBlk } from "../guest-virtio-blk.ts";
import { runMainLoop, runUntilIdle } from "../main-loop.ts";
import { framesAt, virtualMachine } from "../testbed.ts";
import { VirtioBlk } from "./blk.ts";

const message = { addressLow: 0xfee01004 | 0, addressHigh: 0, data: 0x41 };

/** A guest with a disk of 64 KiB whose driver runs. */
function guest(options: { completion?: Completion; backend?: BlockBackend } = {}) {
  const machine = virtualMachine();
  const { vmm, bus, kvm } = machine;
  const bytes = Uint8Array.from({ length: 0x1_0000 }, (_, i) => (i * 7 + (i >> 9)) & 0xff);
  const backend = options.backend ?? new MemoryBackend(bytes);
  const blk = new VirtioBlk(new Disk(vmm, backend, options.completion), {
    requester: 0x18,
    serial: "disk-1",
  });
  bus.plug(blk.pci.fn);
  const access = bus.access(blk.pci.fn);
  const driver = new GuestVirtioBlk({ access, memory: vmm.ram, workspace: 0x10_0000, message });
  driver.start();
  kvm.onRequest = (request) => {
    if (request.request !== "KVM_SIGNAL_MSI") return 0;
    driver.onInterrupt();
    return 1;
  };
  return { ...machine, bytes, blk, access, driver };
}

const mainLoop = [
  "blk_aio_complete_bh",
  "aio_bh_poll",
  "aio_dispatch",
  "aio_ctx_dispatch",
  "g_main_context_dispatch_unlocked",
  "g_main_context_dispatch",
  "glib_pollfds_poll",
  "os_host_main_loop_wait",
  "main_loop_wait",
  "qemu_main_loop",
  "qemu_default_main",
  "main",
];

const delivery = [
  "kvm_irqchip_send_msi",
  "kvm_send_msi",
  "kvm_apic_mem_write",
  "memory_region_write_accessor",
  "access_with_adjusted_size",
  "memory_region_dispatch_write",
  "address_space_stl_internal",
  "address_space_stl_le",
  "virtio_blk_rw_complete",
  "blk_aio_complete",
  "blk_aio_complete",
];

describe("a completed read", () => {
  test("is delivered through the frames that an unwinder finds in QEMU", async () => {
    const { vmm, driver } = guest();
    const frames = framesAt(vmm, "kvm_irqchip_send_msi");
    driver.read(3, 1);
    await runUntilIdle(vmm);
    expect(frames).toEqual([[...delivery, ...mainLoop]]);
    expect(frames[0]).toHaveLength(23);
  });

  test("whose coroutine had to wait is delivered on the coroutine's own stack", async () => {
    const { vmm, driver } = guest({ completion: "coroutine" });
    const frames = framesAt(vmm, "kvm_irqchip_send_msi");
    const request = driver.read(3, 1);
    await runUntilIdle(vmm);
    expect(request.status).toBe(blkStatus.ok);
    expect(frames).toEqual([[...delivery, "blk_aio_read_entry", "coroutine_trampoline"]]);
  });

  test("writes the message that the guest has put into the vector, and the disk's bytes", async () => {
    const { vmm, driver, requests, bytes } = guest();
    requests.length = 0;
    const request = driver.read(5, 2);
    expect(request.status).toBeNull();
    await runUntilIdle(vmm);
    expect(requests).toEqual([{ request: "KVM_SIGNAL_MSI", addressLow: 0x1004, addressHigh: 0, data: 0x41 }]);
    expect(request).toEqual({ status: blkStatus.ok, data: bytes.slice(5 * 512, 7 * 512) });
    expect(driver.pending).toBe(0);
  });
});

test.each<Completion>(["bottomHalf", "coroutine"])(
  "any reads and writes leave guest and disk as a plain array would have it (%s)",
  async (completion) => {
    const sector = fc.integer({ min: 0, max: 130 });
    const step = fc.record({
      write: fc.boolean(),
      sector,
      count: fc.integer({ min: 1, max: 4 }),
      fill: fc.integer({ min: 0, max: 255 }),
    });
    await fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 12 }), async (steps) => {
        const { vmm, driver, blk, bytes } = guest({ completion });
        const model = bytes.slice();
        for (const { write, sector, count, fill } of steps) {
          const [from, to] = [sector * 512, (sector + count) * 512];
          const data = Uint8Array.from({ length: count * 512 }, (_, i) => (fill + i) & 0xff);
          const request = write ? driver.write(sector, data) : driver.read(sector, count);
          await runUntilIdle(vmm);
          if (to > model.length) {
            expect(request.status).toBe(blkStatus.ioError);
            continue;
          }
          expect(request.status).toBe(blkStatus.ok);
          if (write) model.set(data, from);
          else expect(Buffer.compare(request.data, model.subarray(from, to))).toBe(0);
        }
        expect(Buffer.compare(bytes, model)).toBe(0);
        expect([blk.disk.inFlight, blk.device.queues[0]!.inUse, vmm.outside.size]).toEqual([0, 0, 0]);
      }),
      { numRuns: 25 },
    );
  },
);

test("several requests under way at once all end, and with as many interrupts at most", async () => {
  const { vmm, driver, bytes } = guest();
  const requests = [0, 9, 3].map((sector) => driver.read(sector, 1));
  expect(driver.pending).toBe(3);
  await runUntilIdle(vmm);
  expect(requests.map(({ data }) => data)).toEqual(
    [0, 9, 3].map((sector) => bytes.slice(sector * 512, sector * 512 + 512)),
  );
  expect(driver.interrupts).toBeLessThanOrEqual(3);
});

test("a disk that fails makes a request that fails", async () => {
  const broken: BlockBackend = {
    size: 4096,
    read: () => Promise.reject(new Error("medium")),
    write: () => Promise.reject(new Error("medium")),
    flush: () => Promise.reject(new Error("medium")),
  };
  const { vmm, driver } = guest({ backend: broken });
  const requests = [driver.read(0, 1), driver.write(0, new Uint8Array(512)), driver.flush()];
  await runUntilIdle(vmm);
  expect(requests.map(({ status }) => status)).toEqual([1, 1, 1]);
});

test("a flush reaches the disk", async () => {
  let flushed = 0;
  const backend = new MemoryBackend(new Uint8Array(4096));
  const counting: BlockBackend = {
    size: 4096,
    read: (offset, length) => backend.read(offset, length),
    write: (offset, bytes) => backend.write(offset, bytes),
    flush: async () => void flushed++,
  };
  const { vmm, driver } = guest({ backend: counting });
  const request = driver.flush();
  await runUntilIdle(vmm);
  expect([flushed, request.status]).toEqual([1, blkStatus.ok]);
});

test("nothing is answered to a driver that has reset the device meanwhile", async () => {
  const { vmm, driver, blk, requests } = guest();
  const request = driver.read(0, 1);
  // The main loop takes the request; its answer is on the way when the driver gives up.
  runMainLoop(vmm);
  expect(blk.disk.inFlight).toBe(1);
  driver.stop();
  requests.length = 0;
  await runUntilIdle(vmm);
  expect(request.status).toBeNull();
  expect([blk.disk.inFlight, requests]).toEqual([0, []]);
});

test("an unplugged device leaves nothing behind", async () => {
  const { vmm, driver, blk, bus, access } = guest();
  driver.read(0, 1);
  blk.unplug(bus);
  await runUntilIdle(vmm);
  expect(access.readConfig(0, 4)).toBe(0xffffffff);
  expect(vmm.memory.view.ranges.map(({ region }) => region.name)).toEqual([
    "ram",
    "pcie-mmcfg-mmio",
    "kvm-apic-msi",
  ]);
  expect(vmm.aio.handlers).toHaveLength(1);
});
