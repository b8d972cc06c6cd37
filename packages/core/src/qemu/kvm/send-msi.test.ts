import { expect, test } from "vitest";
import { fakeVm } from "../../linux/kvm/testbed.ts";
import { kvmVmFile } from "../../linux/kvm/file.ts";
import { host } from "../../linux/testbed.ts";
import { GuestRam } from "../guest-ram.ts";
import { addressSpaceStlLe } from "../memory/address-space.ts";
import { Vmm } from "../vmm.ts";

test.each([
  { address: 0xfee00000, data: 0x41, delivered: [{ vcpu: 0, vector: 0x41 }] },
  { address: 0xfee02000, data: 0x99, delivered: [{ vcpu: 2, vector: 0x99 }] },
])("a message written to $address reaches the vCPU that KVM finds for it", ({ address, data, delivered }) => {
  const { k } = host({ vendor: "none" });
  const { vm, delivered: seen } = fakeVm();
  const vmm = new Vmm({ k, kvm: kvmVmFile(vm), ram: new GuestRam(k.memory, 0x8000_0000, 0x1000) });
  expect(addressSpaceStlLe(vmm, vmm.memory, address, data)).toBe("ok");
  expect(seen).toEqual(delivered);
  expect(vmm.lostMessages).toBe(0);
});
