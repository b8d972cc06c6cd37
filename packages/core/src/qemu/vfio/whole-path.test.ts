import { expect, test } from "vitest";
import { fakeVm } from "../../linux/kvm/testbed.ts";
import { kvmVmFile } from "../../linux/kvm/file.ts";
import { leftovers, nothingLeft, opened, passthrough } from "../../linux/vfio/testbed.ts";
import { capabilityIds, configOffset } from "../../spec/pci/config-header.ts";
import { GuestRam } from "../guest-ram.ts";
import { PciBus } from "../pci/bus.ts";
import { Vmm } from "../vmm.ts";
import { regionsOf } from "./device.ts";
import { vfioExitfn, vfioRealize } from "./pci.ts";

const enable = 0x8000_0000;

test("what the guest writes to the trapped table ends as posted entries of the host, and nothing stays behind", () => {
  const { k, fn, device: hostDevice } = passthrough(4);
  const { vm, targets } = fakeVm();
  const vmFile = kvmVmFile(vm);
  const vmm = new Vmm({ k, kvm: vmFile, ram: new GuestRam(k.memory, 0x8000_0000, 0x10_0000) });
  const bus = new PciBus(vmm);
  const file = opened(k, hostDevice);
  const device = vfioRealize(vmm, {
    name: hostDevice.name,
    requester: 0x20,
    file,
    access: fn,
    regions: regionsOf(fn),
  });
  bus.plug(device.fn);
  const access = bus.access(device.fn);
  let capability = access.readConfig(configOffset.capabilities, 1);
  while (access.readConfig(capability, 1) !== capabilityIds.msix)
    capability = access.readConfig(capability + 1, 1);
  access.writeConfig(configOffset.commandStatus, 2, 6);
  access.writeConfig(capability, 4, enable);
  for (const vector of [0, 1, 2]) {
    access.writeBar(0, 16 * vector, 4, 0xfee00000 + vector * 0x1000);
    access.writeBar(0, 16 * vector + 8, 4, 0x50 + vector);
    access.writeBar(0, 16 * vector + 12, 4, 0);
  }
  expect([...targets.values()]).toEqual([
    { vcpu: 0, vector: 0x50 },
    { vcpu: 1, vector: 0x51 },
    { vcpu: 2, vector: 0x52 },
  ]);
  vfioExitfn(vmm, device, bus);
  file.release(k);
  vmFile.release?.(k);
  expect(leftovers(k)).toEqual(nothingLeft);
});
