import type { Thread } from "../hardware/call-stack.ts";
import type { KvmRequest } from "../linux/kvm/requests.ts";
import type { File, Ioctl } from "../linux/syscall.ts";
import { host, type HostOptions } from "../linux/testbed.ts";
import { GuestRam } from "./guest-ram.ts";
import { PciBus } from "./pci/bus.ts";
import { Vmm, type VmmOptions } from "./vmm.ts";

const ramBase = 0x8000_0000;
const ramSize = 0x100_0000;

/** A host, and on it a QEMU whose KVM only notes what it is asked, for the tests of this room. */
export function virtualMachine(options: Partial<VmmOptions> & { readonly host?: HostOptions } = {}) {
  const machine = host(options.host ?? { vendor: "none" });
  const { k } = machine;
  const requests: KvmRequest[] = [];
  /** What KVM does with a request, on top of noting it; answers 0 unless told. */
  const kvm = { onRequest: (_request: KvmRequest): number => 0 };
  const file: File = {
    name: "kvm-vm",
    ioctl: (_k, request: Ioctl) => {
      requests.push(request as KvmRequest);
      return kvm.onRequest(request as KvmRequest);
    },
  };
  const ram = new GuestRam(k.memory, ramBase, ramSize);
  const vmm = new Vmm({ k, kvm: file, ram, ...options });
  return { ...machine, vmm, ram, bus: new PciBus(vmm), requests, kvm };
}

/** Collects the frames that are seen on each entry to a function. */
export function framesAt(vmm: Vmm, symbol: string): string[][] {
  const seen: string[][] = [];
  vmm.calls.listener = {
    entered: (entered, _thread: Thread) => {
      if (entered.name === symbol) seen.push(vmm.calls.frames("user"));
    },
    left: () => {},
  };
  return seen;
}
