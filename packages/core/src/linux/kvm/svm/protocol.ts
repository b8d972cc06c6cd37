import { chunkNumber, wordInChunk } from "../../../hardware/memory.ts";
import { Avic } from "../../../hardware/posting/avic.ts";
import * as physical from "../../../spec/accessors/avic-physical-entry.ts";
import { avicLogicalEntry, avicLogicalEntryBytes, avicMaximumId } from "../../../spec/apic/avic.ts";
import { encode } from "../../../spec/codec.ts";
import type { AmdIrData } from "../../amd-ir/irte.ts";
import { updateGa } from "../../amd-ir/guest-mode.ts";
import type { Kernel } from "../../kernel.ts";
import { pageBytes } from "../../pages.ts";
import { AvicEntryWord, type AvicPort, AvicState } from "../../posting/avic-state.ts";
import { avicPosting } from "../../posting/avic-table.ts";
import { hostShape } from "../state.ts";
import type { Vcpu } from "../vcpu.ts";
import type { KvmVm, VendorProtocol } from "../vm.ts";
import { avicDoorbell } from "./doorbell.ts";
import { SvmProcessor } from "./processor.ts";

/** Interrupts of devices that one host can post at a time. */
const entries = 4096;

/** The protocol of a host with AVIC: tables and backing pages in its memory, and what KVM keeps of the entries. */
export class AvicProtocol implements VendorProtocol {
  readonly state: AvicState;
  readonly table = avicPosting;
  /** Where the physical APIC id tables are, a page for each VM. */
  readonly slab: number;
  /** `irqfd->irq_bypass_data`: what the driver keeps of each entry that posts. */
  readonly irData: (AmdIrData | null)[] = new Array<AmdIrData | null>(entries).fill(null);
  /** Entries by the host's Linux irq. */
  readonly entryOfIrq = new Map<number, number>();
  readonly #avics = new Map<KvmVm, { readonly avic: Avic; readonly logicalTable: number }>();
  readonly #pages = new Map<number, number>();
  readonly #shape;

  /** @throws RangeError when there is no memory for the tables. */
  constructor(k: Kernel) {
    this.#shape = { ...hostShape(k.cpus.length), entries };
    // A power of two of bytes below 1 MiB, naturally aligned: all of it is in one chunk.
    this.slab = k.pages.allocate(this.#shape.vms * pageBytes);
    if (this.slab < 0) throw new RangeError("KVM: no memory for AVIC's physical APIC id tables");
    const first = wordInChunk(this.slab);
    const pageWords = pageBytes / 4;
    this.state = new AvicState(this.#shape, machinePort(k, this), {
      tables: {
        words: k.memory.writableChunk(chunkNumber(this.slab)),
        physicalAt(slot) {
          const vcpu = k.kvm!.vcpus[slot]!;
          return first + k.kvm!.vms.indexOf(vcpu.vm) * pageWords + vcpu.apicId * physical.WORDS;
        },
      },
    });
  }

  /** The highest APIC id that AVIC can address in a VM. */
  maximumId(vm: KvmVm): number {
    return vm.x2apic ? avicMaximumId.x2avic : avicMaximumId.xavic;
  }

  /** What hardware makes of the IPIs of a VM. @throws RangeError when there is no memory for its logical table. */
  avicOf(k: Kernel, vm: KvmVm): Avic {
    const known = this.#avics.get(vm);
    if (known !== undefined) return known.avic;
    const logicalTable = k.pages.allocate(pageBytes);
    if (logicalTable < 0) throw new RangeError("KVM: no memory for AVIC's logical APIC id table");
    const avic = new Avic(k.memory, {
      mode: vm.x2apic ? "x2avic" : "xavic",
      physicalTable: this.slab + k.kvm!.vms.indexOf(vm) * pageBytes,
      logicalTable,
      doorbell: (apicId) => avicDoorbell(k, apicId),
    });
    this.#avics.set(vm, { avic, logicalTable });
    return avic;
  }

  /** `avic_ldr_write`: the logical id of a vCPU in xAPIC mode's flat model leads to it. */
  writeLogicalId(k: Kernel, vcpu: Vcpu): void {
    const { logicalTable } = this.#avics.get(vcpu.vm)!;
    const { logicalId } = vcpu.lapic;
    if (vcpu.vm.x2apic || logicalId === 0) return;
    const index = 31 - Math.clz32(logicalId);
    const entry = encode(avicLogicalEntry, { id: vcpu.apicId, v: 1 });
    k.memory.write32(logicalTable + index * avicLogicalEntryBytes, Number(BigInt.asIntN(32, entry)));
  }

  /** The page of a vCPU's APIC. @throws RangeError when there is no memory. */
  allocatePage(k: Kernel, slot: number): number {
    const page = k.pages.allocate(pageBytes);
    if (page < 0) throw new RangeError("KVM: no memory for an AVIC backing page");
    this.#pages.set(slot, page);
    return page;
  }

  pageOf(slot: number): number {
    return this.#pages.get(slot)!;
  }

  freePage(k: Kernel, slot: number): void {
    k.pages.free(this.pageOf(slot));
    this.#pages.delete(slot);
  }

  freeVm(k: Kernel, vm: KvmVm): void {
    const known = this.#avics.get(vm);
    if (known === undefined) return;
    k.pages.free(known.logicalTable);
    this.#avics.delete(vm);
  }

  release(k: Kernel): void {
    k.pages.free(this.slab);
  }
}

/** @throws TypeError when KVM does not run on SVM. */
export function avicProtocol(k: Kernel): AvicProtocol {
  const protocol = k.kvm?.protocol;
  if (protocol instanceof AvicProtocol) return protocol;
  throw new TypeError("KVM does not run on SVM");
}

function machinePort(k: Kernel, protocol: AvicProtocol): AvicPort {
  const vcpuOf = (slot: number): Vcpu => k.kvm!.vcpus[slot]!;
  return {
    sendIpi: (cpu, vector) => k.cpu.apic.sendIpi(k.cpus[cpu]!.apicId, vector),
    hasInterrupt: (slot) => vcpuOf(slot).processor!.hasInterrupt(),
    woken(slot) {
      const vcpu = vcpuOf(slot);
      vcpu.counts.wakeUps++;
      k.kvm!.onWakeUp?.(vcpu);
    },
    apicIdOf: (cpu) => k.cpus[cpu]!.apicId,
    request: (slot, vector) => (vcpuOf(slot).processor as SvmProcessor).request(vector),
    doorbell: (apicId) => avicDoorbell(k, apicId),
    placed(entry) {
      const { state } = protocol;
      const runs = state.ofEntry(entry, AvicEntryWord.isRun) === 1;
      updateGa(k, protocol.irData[entry]!, {
        apicId: runs ? state.ofEntry(entry, AvicEntryWord.destination) : -1,
        gaLogInterrupt: state.ofEntry(entry, AvicEntryWord.gaLogIntr) === 1,
      });
    },
    // What follows is hardware's part, which the machine's units and processors do themselves.
    evaluate: (slot) => avicDoorbell(k, vcpuOf(slot).cpu!.apicId),
    logged: () => {},
  };
}
