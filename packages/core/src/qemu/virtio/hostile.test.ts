import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { encode } from "../../spec/codec.ts";
import { blkRequestHeader } from "../../spec/virtio/blk.ts";
import { commonConfig, virtioStatus } from "../../spec/virtio/pci.ts";
import { virtqDescriptor } from "../../spec/virtio/ring.ts";
import { Disk } from "../block/aio.ts";
import { MemoryBackend } from "../block/backend.ts";
import { GuestVirtioBlk } from "../guest-virtio-blk.ts";
import { bytesOf } from "../little-endian.ts";
import { runMainLoop, runUntilIdle } from "../main-loop.ts";
import { virtualMachine } from "../testbed.ts";
import { VirtioBlk } from "./blk.ts";

const [descriptors, available, used] = [0x1000, 0x2000, 0x3000];
const header = 0x8000;
const status = 0x9000;
const size = 8;
const ramSize = 0x100_0000;

type Fields = Partial<Record<keyof typeof virtqDescriptor.fields, number | bigint>>;

/** A guest that writes its queue by hand. */
function rogue(rings: readonly [number, number, number] = [descriptors, available, used]) {
  const machine = virtualMachine();
  const { vmm, ram, bus } = machine;
  const disk = new Disk(vmm, new MemoryBackend(new Uint8Array(4096)));
  const blk = new VirtioBlk(disk, { requester: 0x18 });
  bus.plug(blk.pci.fn);
  const access = bus.access(blk.pci.fn);
  const set = (register: number, width: 1 | 2 | 4, value: number): void =>
    access.writeBar(4, register, width, value);
  set(commonConfig.driverFeatureSelect, 4, 1);
  set(commonConfig.driverFeature, 4, 1);
  set(commonConfig.status, 1, 11);
  set(commonConfig.queueSize, 2, size);
  const registers = [commonConfig.queueDescriptors, commonConfig.queueAvailable, commonConfig.queueUsed];
  for (const [i, register] of registers.entries()) set(register, 4, rings[i]!);
  set(commonConfig.queueEnable, 2, 1);
  set(commonConfig.status, 1, 15);
  const describeAt = (index: number, fields: Fields, table = descriptors): void =>
    ram.write(table + 16 * index, bytesOf(encode(virtqDescriptor, fields), 16));
  const request = (type: number, sector = 0): void =>
    ram.write(header, bytesOf(encode(blkRequestHeader, { type, sector }), 16));
  const offer = (heads: readonly number[], index = heads.length): void => {
    for (const [i, head] of heads.entries()) ram.write(available + 4 + 2 * i, bytesOf(head, 2));
    ram.write(available + 2, bytesOf(index, 2));
    access.writeBar(4, 0x3000, 2, 0);
  };
  const needsReset = (): boolean =>
    (access.readBar(4, commonConfig.status, 1) & virtioStatus.needsReset) !== 0;
  return { ...machine, blk, disk, access, set, describeAt, request, offer, needsReset };
}

const good = { address: header, length: 16, next: 1, link: 1 };
const end = { address: status, length: 1, write: 1 };

describe("a chain that makes no sense stops the device until it is reset:", () => {
  test.each<{ fault: string; chain: Fields[]; heads?: number[]; index?: number }>([
    { fault: "chain loops", chain: [{ ...good, link: 0 }] },
    { fault: "chain loops", chain: [good, { address: status, length: 1, next: 1, link: 0 }] },
    { fault: "link out of range", chain: [{ ...good, link: size }] },
    { fault: "head out of range", chain: [good, end], heads: [size] },
    { fault: "head out of range", chain: [good, end], heads: [0xffff] },
    { fault: "available index out of range", chain: [good, end], heads: [0], index: size + 1 },
    { fault: "buffer empty", chain: [{ ...good, length: 0 }] },
    { fault: "buffer not in RAM", chain: [{ ...good, address: ramSize - 8 }] },
    { fault: "buffer not in RAM", chain: [{ ...good, address: 2n ** 64n - 8n }] },
    { fault: "buffer not in RAM", chain: [{ ...good, length: 0xffffffff }] },
    {
      fault: "buffers out of order",
      chain: [
        { ...good, write: 1 },
        { address: header, length: 16 },
      ],
    },
    { fault: "indirect table of a wrong size", chain: [{ address: 0x4000, length: 24, indirect: 1 }] },
    { fault: "indirect table of a wrong size", chain: [{ address: 0x4000, length: 0, indirect: 1 }] },
    { fault: "ring not in RAM", chain: [{ address: ramSize, length: 32, indirect: 1 }] },
    { fault: "request without header", chain: [{ ...good, length: 15 }, end] },
    { fault: "request without header", chain: [end] },
    { fault: "request without status", chain: [{ address: header, length: 16 }] },
  ])("$fault ($chain)", async ({ fault, chain, heads = [0], index }) => {
    const { vmm, blk, describeAt, offer, needsReset, set, access } = rogue();
    for (const [i, fields] of chain.entries()) describeAt(i, fields);
    offer(heads, index);
    await runUntilIdle(vmm);
    expect(blk.device.fault).toBe(fault);
    expect(needsReset()).toBe(true);
    offer([0]);
    expect(runMainLoop(vmm)).toBe(0);
    set(commonConfig.status, 1, 0);
    expect([blk.device.fault, access.readBar(4, commonConfig.status, 1)]).toEqual([null, 0]);
  });

  test("an indirect table inside another, or that leads back into itself", async () => {
    for (const [fields, fault] of [
      [{ address: 0x5000, length: 16, indirect: 1 }, "indirect table inside another"],
      [{ address: header, length: 16, next: 1, link: 0 }, "chain loops"],
      [{ address: header, length: 16, next: 1, link: 4 }, "link out of range"],
    ] as const) {
      const { vmm, blk, describeAt, offer } = rogue();
      describeAt(0, { address: 0x4000, length: 64, indirect: 1 });
      describeAt(0, fields, 0x4000);
      offer([0]);
      await runUntilIdle(vmm);
      expect(blk.device.fault).toBe(fault);
    }
  });

  test.each([0, 1, 2])("part %i of the queue beyond RAM", async (part) => {
    const rings = [descriptors, available, used] as [number, number, number];
    rings[part] = ramSize - 4;
    const { vmm, blk, offer } = rogue(rings);
    offer([0]);
    await runUntilIdle(vmm);
    expect(blk.device.fault).toBe("ring not in RAM");
  });
});

test("a chain in an indirect table is served like any other", async () => {
  const { vmm, ram, describeAt, request, offer } = rogue();
  describeAt(0, { address: 0x4000, length: 48, indirect: 1 });
  describeAt(0, good, 0x4000);
  describeAt(1, { address: 0xa000, length: 20, write: 1, next: 1, link: 2 }, 0x4000);
  describeAt(2, end, 0x4000);
  request(8);
  ram.write(status, Uint8Array.of(0xff));
  offer([0]);
  await runUntilIdle(vmm);
  expect(new TextDecoder().decode(ram.read(0xa000, 8))).toBe("intremap");
  expect(ram.read(status, 1)[0]).toBe(0);
});

test.each([
  { type: 99, sector: 0, length: 512, answer: 2 },
  { type: 0, sector: 8, length: 512, answer: 1 },
  { type: 0, sector: 0, length: 511, answer: 1 },
  { type: 0, sector: 2n ** 60n, length: 512, answer: 1 },
])(
  "a request of type $type for $length bytes at sector $sector is answered with status $answer",
  async (given) => {
    const { vmm, ram, blk, describeAt, offer } = rogue();
    describeAt(0, good);
    describeAt(1, { address: 0xa000, length: given.length, write: 1, next: 1, link: 2 });
    describeAt(2, end);
    ram.write(header, bytesOf(encode(blkRequestHeader, { type: given.type, sector: given.sector }), 16));
    ram.write(status, Uint8Array.of(0xff));
    offer([0]);
    await runUntilIdle(vmm);
    expect(ram.read(status, 1)[0]).toBe(given.answer);
    expect(blk.device.fault).toBeNull();
  },
);

test("rings that lie over each other keep the loop busy for as long as it may be, and no longer", () => {
  // With the used ring over the available one each answered request makes another available.
  const { vmm, describeAt, request, offer } = rogue([descriptors, available, available]);
  describeAt(0, good);
  describeAt(1, end);
  request(99);
  offer([0, 0, 0, 0, 0, 0, 0, 0]);
  expect(runMainLoop(vmm, 50)).toBeLessThanOrEqual(50);
});

test("no contents of the queue hang or crash the device", async () => {
  const address = fc.oneof(fc.integer({ min: 0, max: 0xffff }), fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }));
  const bit = fc.integer({ min: 0, max: 1 });
  const fields = fc.record({
    address,
    length: fc.oneof(fc.integer({ min: 0, max: 600 }), fc.integer({ min: 0, max: 0xffffffff })),
    next: bit,
    write: bit,
    indirect: fc.oneof({ weight: 4, arbitrary: fc.constant(0) }, { weight: 1, arbitrary: bit }),
    link: fc.integer({ min: 0, max: size }),
  });
  const table = fc.array(fields, { minLength: size, maxLength: size });
  const heads = fc.array(fc.integer({ min: 0, max: size }), { minLength: 1, maxLength: size });
  const { vmm, blk, set, describeAt, offer, disk } = rogue();
  await fc.assert(
    fc.asyncProperty(table, heads, fc.integer({ min: 0, max: 9 }), async (chain, heads, type) => {
      set(commonConfig.status, 1, 0);
      restart(set);
      for (const [i, one] of chain.entries()) describeAt(i, one);
      vmm.ram.write(header, bytesOf(encode(blkRequestHeader, { type, sector: 0 }), 16));
      offer(heads);
      for (let turn = 0; turn < 5; turn++) {
        runMainLoop(vmm, 50);
        await Promise.all(vmm.outside);
      }
      expect(disk.inFlight).toBe(0);
      if (blk.device.fault === null) expect(blk.device.queues[0]!.inUse).toBe(0);
    }),
    { numRuns: 150 },
  );
});

function restart(set: (register: number, width: 1 | 2 | 4, value: number) => void): void {
  set(commonConfig.driverFeatureSelect, 4, 1);
  set(commonConfig.driverFeature, 4, 1);
  set(commonConfig.status, 1, 11);
  set(commonConfig.queueSize, 2, size);
  set(commonConfig.queueDescriptors, 4, descriptors);
  set(commonConfig.queueAvailable, 4, available);
  set(commonConfig.queueUsed, 4, used);
  set(commonConfig.queueEnable, 2, 1);
  set(commonConfig.status, 1, 15);
}

test("a driver that does not take the modern interface is refused", () => {
  const { set, access } = rogue();
  set(commonConfig.status, 1, 0);
  set(commonConfig.status, 1, 11);
  expect(access.readBar(4, commonConfig.status, 1)).toBe(3);
});

test("a vector that the function does not have cannot be mapped, and the driver says so", () => {
  const { set, access, vmm, bus, blk } = rogue();
  set(commonConfig.queueVector, 2, 7);
  expect(access.readBar(4, commonConfig.queueVector, 2)).toBe(0xffff);
  const driver = new GuestVirtioBlk({
    access: bus.access(blk.pci.fn),
    memory: vmm.ram,
    workspace: 0x10_0000,
  });
  driver.start();
  expect(driver.capacity).toBe(8);
});
