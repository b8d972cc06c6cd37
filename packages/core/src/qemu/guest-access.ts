import type { Width } from "../hardware/pci/config-space.ts";
import { pageBytes } from "../linux/pages.ts";
import { type VcpuThread, mmioExit } from "./kvm/vcpu-thread.ts";
import { bytesOf, valueOf } from "./little-endian.ts";
import type { FlatRange } from "./memory/flat-view.ts";
import type { Vmm } from "./vmm.ts";

/**
 * The range of a guest physical address, if it is mapped into the guest. Mappings are whole pages: where a trapped range
 * shares the page, all of the page is trapped.
 */
function mapped(vmm: Vmm, address: number): FlatRange | undefined {
  const range = vmm.memory.view.find(address);
  if (range === undefined || range.region.memory === null) return undefined;
  const page = address - (address % pageBytes);
  return range.from <= page && range.to >= page + pageBytes ? range : undefined;
}

/** A guest's load: straight from what is mapped, or by an exit to QEMU. @returns the value, unsigned. */
export function guestRead(vmm: Vmm, cpu: VcpuThread, address: number, width: Width): number {
  const range = mapped(vmm, address);
  const bytes = new Uint8Array(width);
  if (range?.region.memory?.kind === "device") {
    return range.region.memory.read(range.offset + address - range.from, width);
  }
  if (range?.region.memory?.kind === "ram") bytes.set(vmm.ram.read(address, width));
  else mmioExit(vmm, cpu, { address, bytes, isWrite: false });
  return Number(valueOf(bytes));
}

/** A guest's store. */
export function guestWrite(vmm: Vmm, cpu: VcpuThread, address: number, width: Width, value: number): void {
  const range = mapped(vmm, address);
  if (range?.region.memory?.kind === "device") {
    range.region.memory.write(range.offset + address - range.from, width, value);
    return;
  }
  const bytes = bytesOf(BigInt.asUintN(8 * width, BigInt(value)), width);
  if (range?.region.memory?.kind === "ram") vmm.ram.write(address, bytes);
  else mmioExit(vmm, cpu, { address, bytes, isWrite: true });
}
