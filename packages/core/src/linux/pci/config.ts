import type { Width } from "../../hardware/pci/config-space.ts";
import * as command from "../../spec/accessors/pci-command-status.ts";
import { configOffset, firstCapability } from "../../spec/pci/config-header.ts";
import type { PciDevice } from "./device.ts";

/** Reads configuration space, unsigned; of a device that is gone, ones. */
export function readConfig(device: PciDevice, offset: number, width: Width): number {
  return device.removed ? ones(width) : device.access.readConfig(offset, width);
}

export function writeConfig(device: PciDevice, offset: number, width: Width, value: number): void {
  if (!device.removed) device.access.writeConfig(offset, width, unsigned(width, value));
}

/** Reads a dword through a BAR, unsigned; of a device that is gone, ones. */
export function readBar(device: PciDevice, bar: number, offset: number): number {
  return device.removed ? ones(4) : device.access.readBar(bar, offset, 4);
}

export function writeBar(device: PciDevice, bar: number, offset: number, value: number): void {
  if (!device.removed) device.access.writeBar(bar, offset, 4, unsigned(4, value));
}

/** `pci_find_capability`: the offset of a capability in the list; 0 when the device has none of that id. */
export function findCapability(device: PciDevice, id: number): number {
  const status = readConfig(device, configOffset.commandStatus, 4);
  if (device.removed || command.caplist(status) === 0) return 0;
  let offset = readConfig(device, configOffset.capabilities, 1) & ~3;
  // A list that does not end is given up after as many steps as there is room for.
  for (let left = (256 - firstCapability) / 4; left > 0 && offset >= firstCapability; left--) {
    const header = readConfig(device, offset, 2);
    if ((header & 0xff) === id) return offset;
    offset = (header >>> 8) & ~3;
  }
  return 0;
}

/** `pci_intx`: lets the device assert its INTx line, or keeps it from that. */
export function setIntx(device: PciDevice, on: boolean): void {
  const before = readConfig(device, configOffset.commandStatus, 2);
  const after = on ? before & ~command.INTXDIS_MASK : before | command.INTXDIS_MASK;
  if (after !== before) writeConfig(device, configOffset.commandStatus, 2, after);
}

/** `pci_set_master`: the device may access memory of its own accord, and send messages. */
export function setMaster(device: PciDevice): void {
  const before = readConfig(device, configOffset.commandStatus, 2);
  if (command.bme(before) === 0) {
    writeConfig(device, configOffset.commandStatus, 2, before | command.MSE_MASK | command.BME_MASK);
  }
}

function ones(width: Width): number {
  return 2 ** (8 * width) - 1;
}

function unsigned(width: Width, value: number): number {
  return (value & ones(width)) >>> 0;
}
