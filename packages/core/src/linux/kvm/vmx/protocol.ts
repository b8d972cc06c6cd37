import { encode } from "../../../spec/codec.ts";
import { xapicNotification } from "../../../spec/apic/vmx.ts";
import * as xapicNdst from "../../../spec/accessors/xapic-ndst.ts";
import * as pid from "../../../spec/accessors/posted-descriptor.ts";
import { chunkNumber, wordInChunk } from "../../../hardware/memory.ts";
import type { Kernel } from "../../kernel.ts";
import { pageBytes } from "../../pages.ts";
import { type PostingPort, PostingState } from "../../posting/posting-state.ts";
import { hostShape } from "../state.ts";
import type { Vcpu, VirtualProcessor } from "../vcpu.ts";
import type { VendorProtocol } from "../vm.ts";
import { PidPointerTables } from "./pid-pointers.ts";

/** A processor whose IRR is in memory, so that vectors can be ORed into it. */
export interface RequestingProcessor extends VirtualProcessor {
  /** 32 vectors at a time. @param part 0 to 7. */
  request(part: number, vectors: number): void;
}

const descriptorBytes = pid.WORDS * 4;

/** The posting protocol of a host with VMX: descriptors in its memory, and its APICs. */
export class VmxProtocol implements VendorProtocol {
  readonly state: PostingState;
  readonly table: Kernel["vmxPosting"];
  readonly pidPointers = new PidPointerTables();
  /** Where the descriptors are, one after the other. */
  readonly slab: number;
  /** APIC pages, by slot. */
  readonly #pages = new Map<number, number>();

  /** @throws RangeError when there is no memory for the descriptors. */
  constructor(k: Kernel) {
    this.table = k.vmxPosting;
    const shape = hostShape(k.cpus.length);
    // A power of two of bytes below 1 MiB, naturally aligned: all of it is in one chunk.
    this.slab = k.pages.allocate(shape.vcpus * descriptorBytes);
    if (this.slab < 0) throw new RangeError("KVM: no memory for posted-interrupt descriptors");
    const descriptors = {
      words: k.memory.writableChunk(chunkNumber(this.slab)),
      first: wordInChunk(this.slab),
      address: this.slab,
    };
    this.state = new PostingState(shape, machinePort(k), { descriptors });
  }

  /** The address of a vCPU's descriptor. */
  descriptorOf(slot: number): number {
    return this.state.addressOf(slot);
  }

  /** The page of a vCPU's APIC. @throws RangeError when there is no memory. */
  allocatePage(k: Kernel, slot: number): number {
    const page = k.pages.allocate(pageBytes);
    if (page < 0) throw new RangeError("KVM: no memory for a virtual-APIC page");
    this.#pages.set(slot, page);
    return page;
  }

  freePage(k: Kernel, slot: number): void {
    k.pages.free(this.#pages.get(slot)!);
    this.#pages.delete(slot);
  }

  release(k: Kernel): void {
    k.pages.free(this.slab);
  }
}

/** @throws TypeError when KVM does not run on VMX. */
export function vmxProtocol(k: Kernel): VmxProtocol {
  const protocol = k.kvm?.protocol;
  if (protocol instanceof VmxProtocol) return protocol;
  throw new TypeError("KVM does not run on VMX");
}

function machinePort(k: Kernel): PostingPort {
  const vcpuOf = (slot: number): Vcpu => k.kvm!.vcpus[slot]!;
  return {
    sendIpi: (cpu, vector) => k.cpu.apic.sendIpi(k.cpus[cpu]!.apicId, vector),
    hasInterrupt: (slot) => vcpuOf(slot).processor!.hasInterrupt(),
    woken(slot) {
      const vcpu = vcpuOf(slot);
      vcpu.counts.wakeUps++;
      k.kvm!.onWakeUp?.(vcpu);
    },
    destinationOf(cpu) {
      const { apicId } = k.cpus[cpu]!;
      return (k.x2apic ? apicId : Number(encode(xapicNotification, { id: apicId }))) | 0;
    },
    // What follows is hardware's part, which the machine's units and processors do themselves.
    notify: (ndst, vector) => k.cpu.apic.sendIpi(k.x2apic ? ndst : xapicNdst.id(ndst), vector),
    acknowledge: (cpu) => k.cpus[cpu]!.apic.eoi(),
    request(slot, part, vectors) {
      (vcpuOf(slot).processor as RequestingProcessor).request(part, vectors);
    },
  };
}
