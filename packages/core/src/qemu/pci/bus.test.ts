import { expect, test } from "vitest";
import { configOffset } from "../../spec/pci/config-header.ts";
import { Disk } from "../block/aio.ts";
import { MemoryBackend } from "../block/backend.ts";
import { virtualMachine } from "../testbed.ts";
import { VirtioBlk } from "../virtio/blk.ts";

function plugged() {
  const machine = virtualMachine();
  const disk = new Disk(machine.vmm, new MemoryBackend(new Uint8Array(4096)));
  const blk = new VirtioBlk(disk, { requester: 0x18 });
  machine.bus.plug(blk.pci.fn);
  return { ...machine, blk, access: machine.bus.access(blk.pci.fn) };
}

test("a virtio function lists its structures as QEMU does, and says what it is", () => {
  const { access } = plugged();
  const found: [number, number, number][] = [];
  let at = access.readConfig(configOffset.capabilities, 1);
  for (; at !== 0; at = access.readConfig(at + 1, 1)) {
    found.push([at, access.readConfig(at, 1), access.readConfig(at + 3, 1)]);
  }
  expect(found).toEqual([
    [0x84, 0x11, 0],
    [0x70, 9, 2],
    [0x60, 9, 4],
    [0x50, 9, 3],
    [0x40, 9, 1],
  ]);
  expect([access.readConfig(0, 4), access.readConfig(8, 4)]).toEqual([0x10421af4, 0x01000001]);
  expect(access.readConfig(configOffset.commandStatus + 2, 2) & 0x10).toBe(0x10);
});

test("BARs are decoded where the guest puts them, and nowhere while it has not enabled them", () => {
  const { access, blk } = plugged();
  const device = blk.device.config;
  expect(access.readBar(4, 0x2000, 4)).toBe(device[0]);
  access.writeConfig(configOffset.bar0 + 16, 4, 0xd000_0000);
  expect(access.readConfig(configOffset.bar0 + 16, 4)).toBe(0xd000_000c);
  expect(access.readBar(4, 0x2000, 4)).toBe(device[0]);
  access.writeConfig(configOffset.commandStatus, 2, 0);
  expect(access.readBar(4, 0x2000, 4)).toBe(0);
});

test("a slot holds one function, and a function has the BARs that it has", () => {
  const { vmm, bus, access } = plugged();
  const disk = new Disk(vmm, new MemoryBackend(new Uint8Array(512)));
  expect(() => bus.plug(new VirtioBlk(disk, { requester: 0x18 }).pci.fn)).toThrow(RangeError);
  expect(() => access.readBar(0, 0, 4)).toThrow(RangeError);
});
