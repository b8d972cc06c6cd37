import { expect, test } from "vitest";
import { errno } from "../errno.ts";
import { opened, passthrough } from "./testbed.ts";
import { vfioMapBar, vfioPciBarRead, vfioPciBarWrite, vfioRegionInfo } from "./region.ts";

const table = { bar: 0, offset: 0, bytes: 64 };

test("the page of the MSI-X table may be mapped, since its messages are remapped", () => {
  const { k, device, fn } = passthrough(4);
  const { device: vfio } = opened(k, device);
  expect(vfioRegionInfo(k, vfio, 0)).toEqual({ msixTable: table, msixMappable: true });
  expect(vfioRegionInfo(k, vfio, 2)).toEqual({ msixTable: null, msixMappable: false });
  const mapped = vfioMapBar(vfio, 0);
  mapped.writeBar(0, 0, 4, 0xfee01000);
  expect(mapped.readBar(0, 0, 4)).toBe(0xfee01000);
  expect(fn.readBar(0, 0, 4)).toBe(0xfee01000);
  expect(() => mapped.readBar(1, 0, 4)).toThrow(RangeError);
});

test("through the file the MSI-X table is out of reach", () => {
  const { k, device, fn } = passthrough(4);
  const { device: vfio } = opened(k, device);
  expect(vfioPciBarWrite(k, vfio, 0, 0, 4, 0xfee01000)).toBe(0);
  expect(fn.readBar(0, 0, 4)).toBe(0);
  expect(vfioPciBarRead(k, vfio, 0, 12, 4)).toBe(0xffffffff);
  // The Pending Bit Array is not.
  expect(vfioPciBarRead(k, vfio, 0, 4096, 4)).toBe(0);
});

test("a device that is gone reads as ones and takes no writes", () => {
  const { k, device, fn } = passthrough(4);
  const { device: vfio } = opened(k, device);
  const mapped = vfioMapBar(vfio, 0);
  device.removed = true;
  mapped.writeBar(0, 0, 4, 1);
  expect(fn.readBar(0, 0, 4)).toBe(0);
  expect(mapped.readBar(0, 4096, 2)).toBe(0xffff);
  expect(vfioPciBarRead(k, vfio, 0, 4096, 1)).toBe(0xff);
  expect(vfioPciBarWrite(k, vfio, 0, 4096, 4, 0)).toBe(-errno.EIO);
  expect(vfioRegionInfo(k, vfio, 0).msixTable).toBeNull();
});
