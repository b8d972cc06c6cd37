import { chunkNumber, wordInChunk } from "../../hardware/memory.ts";
import { AmdIrData } from "../../linux/amd-ir/irte.ts";
import type { IntelIrData } from "../../linux/intel-ir/irte.ts";
import type { IrqData } from "../../linux/irq/descriptor.ts";
import { vectorConfig } from "../../linux/irq/vector.ts";
import type { Kernel } from "../../linux/kernel.ts";
import { avicProtocol } from "../../linux/kvm/svm/protocol.ts";
import { vmxProtocol } from "../../linux/kvm/vmx/protocol.ts";
import type { Vcpu } from "../../linux/kvm/vcpu.ts";
import type { Device } from "../device.ts";
import type { Machine } from "../machine.ts";

/** An interrupt that the kernel means a device to have, by what it keeps itself: no entry is looked at. */
export interface Grant {
  readonly device: Device;
  /** Requester ids with which it may come. */
  readonly requesters: ReadonlySet<number>;
  /** Of the unit's table, or of the device's own. */
  readonly index: number;
  /** Vector of a CPU of the host, or of a guest. */
  readonly vector: number;
  readonly cpu: number;
  /** Whom it is posted to, as a number of {@link Page}; -1 for the host. */
  readonly page: number;
}

/** Where interrupts are posted to for a vCPU: 256 bits in memory, 32 to a word. */
export interface Page {
  readonly vcpu: Vcpu;
  readonly words: Int32Array;
  readonly first: number;
  readonly stride: number;
  /** Index of the word that has ON; -1 where there is none. */
  readonly outstanding: number;
}

export function pagesOf({ kernel: k }: Machine): Page[] {
  const vcpus = (k.kvm?.vcpus ?? []).filter((vcpu) => vcpu !== null);
  return vcpus.map((vcpu) => {
    const intel = vcpu.vm.ops.vendor === "intel";
    const at = intel ? vmxProtocol(k).descriptorOf(vcpu.slot) : avicProtocol(k).pageOf(vcpu.slot) + 0x200;
    const first = wordInChunk(at);
    return {
      vcpu,
      words: k.memory.writableChunk(chunkNumber(at)),
      first,
      stride: intel ? 1 : 4,
      outstanding: intel ? first + 8 : -1,
    };
  });
}

/** Everything that the devices' drivers and VMs have been given. */
export function grantsOf(machine: Machine, pages: readonly Page[]): Grant[] {
  const { kernel: k } = machine;
  const posted = postedOf(k);
  return [...machine.devices.values()].flatMap((device) =>
    irqsOf(device).map((irq) => {
      const { data } = k.irqs.descriptors.get(irq)!;
      const target = posted.get(irq);
      return {
        device,
        requesters: requestersOf(device, machine.scenario.machine.vendor),
        index: indexOf(data),
        vector: target?.vector ?? vectorConfig(data).vector,
        cpu: vectorConfig(data).cpu,
        page: target === undefined ? -1 : pages.findIndex(({ vcpu }) => vcpu === target.vcpu),
      };
    }),
  );
}

export function irqsOf({ pci }: Device): number[] {
  return (pci.msi?.descriptors ?? []).flatMap(({ irq, used }) =>
    Array.from({ length: used }, (_, i) => irq + i),
  );
}

/** Behind a bridge a device's writes may come as the bridge's; a VT-d entry then verifies the range of buses. */
function requestersOf({ settings: { at, alias } }: Device, vendor: "intel" | "amd"): Set<number> {
  if (alias === undefined || vendor === "amd") return new Set([at, alias ?? at]);
  const [low, high] = [alias & 0xff00, at | 0xff];
  return new Set(Array.from({ length: high - low + 1 }, (_, i) => low + i));
}

/** The number that the remapping driver gave an interrupt: kept beside, and in, its message. */
function indexOf(top: IrqData): number {
  for (let data: IrqData | null = top; data !== null; data = data.parent) {
    const { chipData } = data;
    if (chipData instanceof AmdIrData) return chipData.index;
    if (typeof chipData === "object" && chipData !== null && "irq2iommu" in chipData) {
      const { index, subHandle } = (chipData as IntelIrData).irq2iommu;
      return index + subHandle;
    }
  }
  return -1;
}

/** By the host's irq: the vCPU that KVM posts it to, and the guest's vector. */
function postedOf(k: Kernel): ReadonlyMap<number, { readonly vcpu: Vcpu; readonly vector: number }> {
  const posted = new Map<number, { vcpu: Vcpu; vector: number }>();
  for (const vm of k.kvm?.vms ?? []) {
    for (const { bypassVcpu, producer, entry } of vm?.interrupts.irqfds ?? []) {
      if (bypassVcpu === null || producer === null || entry === null) continue;
      posted.set(producer.irq, { vcpu: bypassVcpu, vector: entry.data & 0xff });
    }
  }
  return posted;
}
