import { describe, expect, test } from "vitest";
import { capabilityIds, configOffset } from "../../spec/pci/config-header.ts";
import { host, withMsix } from "../testbed.ts";
import { findCapability, readBar, readConfig, setIntx, writeBar, writeConfig } from "./config.ts";
import { type PciAccess, PciDevice } from "./device.ts";

/** A device whose configuration space is these bytes. */
function withBytes(bytes: Uint8Array): PciDevice {
  const view = new DataView(bytes.buffer);
  const access: PciAccess = {
    readConfig: (offset, width) =>
      width === 1
        ? view.getUint8(offset)
        : width === 2
          ? view.getUint16(offset, true)
          : view.getUint32(offset, true),
    writeConfig() {},
    readBar: () => 0,
    writeBar() {},
  };
  return new PciDevice({ name: "0000:00:01.0", requester: 8, access });
}

describe("finding a capability", () => {
  test("follows the list of the device", () => {
    const { plug } = host({ vendor: "none" });
    const { device } = plug(8, { ...withMsix(2), msi: { vectors: 4 } });
    const msi = findCapability(device, capabilityIds.msi);
    const msix = findCapability(device, capabilityIds.msix);
    expect(readConfig(device, msi, 1)).toBe(capabilityIds.msi);
    expect(readConfig(device, msix, 1)).toBe(capabilityIds.msix);
    expect(findCapability(device, 0x10)).toBe(0);
  });

  test("finds none where Status has no list", () => {
    const { plug } = host({ vendor: "none" });
    expect(findCapability(plug(8).device, capabilityIds.msi)).toBe(0);
  });

  test("gives a list up that leads in a circle", () => {
    const bytes = new Uint8Array(256);
    bytes[configOffset.commandStatus + 2] = 0x10;
    bytes[configOffset.capabilities] = 0x40;
    bytes.set([0x01, 0x50], 0x40);
    bytes.set([0x10, 0x40], 0x50);
    expect(findCapability(withBytes(bytes), 0x10)).toBe(0x50);
    expect(findCapability(withBytes(bytes), capabilityIds.msix)).toBe(0);
  });
});

describe("a device that is gone", () => {
  test("reads as ones, and takes no writes", () => {
    const { plug } = host({ vendor: "none" });
    const { device, fn } = plug(8, withMsix(2));
    device.removed = true;
    expect(readConfig(device, 0, 1)).toBe(0xff);
    expect(readConfig(device, 0, 2)).toBe(0xffff);
    expect(readConfig(device, 0, 4)).toBe(0xffff_ffff);
    expect(readBar(device, 0, 0)).toBe(0xffff_ffff);
    writeConfig(device, configOffset.commandStatus, 2, 0);
    writeBar(device, 0, 0, 0x1234);
    expect(fn.canMaster).toBe(true);
    expect(fn.readBar(0, 0, 4)).toBe(0);
    expect(findCapability(device, capabilityIds.msix)).toBe(0);
  });
});

describe("INTx", () => {
  test("is kept from the device and given back, with nothing else changed", () => {
    const { plug } = host({ vendor: "none" });
    const { device, fn } = plug(8);
    const before = fn.readConfig(configOffset.commandStatus, 2);
    setIntx(device, false);
    expect(fn.readConfig(configOffset.commandStatus, 2)).toBe(before | 0x400);
    setIntx(device, true);
    expect(fn.readConfig(configOffset.commandStatus, 2)).toBe(before);
  });
});
