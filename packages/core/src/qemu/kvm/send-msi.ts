import type { MsiMessage } from "../../linux/irq/chip.ts";
import type { KvmRequest } from "../../linux/kvm/requests.ts";
import { ioctl } from "../../linux/syscall.ts";
import * as format from "../../spec/accessors/msi-address.ts";
import { msiAddressExtended } from "../../spec/msi/message.ts";
import { decode, encode } from "../../spec/codec.ts";
import { type RegionOps, MemoryRegion } from "../memory/region.ts";
import { inlined, qemuFunction } from "../qemu-function.ts";
import type { Vmm } from "../vmm.ts";

/** Where messages are written to: the APICs' page and all that is above it in their megabyte. */
export const apicBase = 0xfee0_0000;

const apicBytes = 0x10_0000;

/** @returns a result, or a negative errno. */
export const kvmVmIoctl = qemuFunction("kvm_vm_ioctl", (vmm: Vmm, request: KvmRequest): number =>
  ioctl(vmm.k, vmm.kvm, request),
);

/**
 * Moves destination bits 14:8 of a message from where a guest of KVM may put them, facts of KVM_FEATURE_MSI_EXT_DEST_ID,
 * to where KVM looks for them. A message in remappable format has other things there.
 */
export const kvmSwizzleMsiExtDestId = qemuFunction(
  "kvm_swizzle_msi_ext_dest_id",
  (vmm: Vmm, message: MsiMessage): MsiMessage => {
    const { addressLow, addressHigh } = message;
    if (!vmm.extendedDestinationId || addressHigh !== 0 || format.formatOf(addressLow) === 1) return message;
    const fields = decode(msiAddressExtended, BigInt(addressLow >>> 0));
    const destination = Number(fields.dst);
    const low = encode(msiAddressExtended, { ...fields, dst: destination & 0xff });
    return { ...message, addressLow: Number(BigInt.asIntN(32, low)), addressHigh: destination & 0x7f00 };
  },
  inlined,
);

/** @returns how many vCPUs took it, or a negative errno. */
export const kvmIrqchipSendMsi = qemuFunction(
  "kvm_irqchip_send_msi",
  (vmm: Vmm, message: MsiMessage): number => kvmVmIoctl(vmm, { request: "KVM_SIGNAL_MSI", ...message }),
);

const kvmSendMsi = qemuFunction("kvm_send_msi", (vmm: Vmm, message: MsiMessage): void => {
  const result = kvmIrqchipSendMsi(vmm, kvmSwizzleMsiExtDestId(vmm, message));
  if (result < 0) vmm.lostMessages++;
});

/**
 * What a write to the APICs' range is: a message. KVM does not look at the address's upper bits, and QEMU, which knows the
 * write by its offset in the region, has none to give.
 */
const kvmApicMemWrite = qemuFunction("kvm_apic_mem_write", (vmm: Vmm, offset: number, value: bigint): void =>
  kvmSendMsi(vmm, { addressLow: offset, addressHigh: 0, data: Number(BigInt.asIntN(32, value)) }),
);

const kvmApicMemRead = qemuFunction("kvm_apic_mem_read", (_vmm: Vmm): number => 0xffff_ffff);

const kvmApicOps: RegionOps = {
  read: (vmm) => kvmApicMemRead(vmm),
  write: (vmm, offset, _size, value) => kvmApicMemWrite(vmm, offset, value),
};

/** The region that takes messages, for an APIC that KVM has. */
export function apicRegion(): MemoryRegion {
  return new MemoryRegion({ name: "kvm-apic-msi", size: apicBytes, ops: kvmApicOps });
}
