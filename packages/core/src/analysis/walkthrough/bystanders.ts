import * as pid from "../../spec/accessors/posted-descriptor.ts";
import { avicProtocol } from "../../linux/kvm/svm/protocol.ts";
import { vmxProtocol } from "../../linux/kvm/vmx/protocol.ts";
import type { Vcpu } from "../../linux/kvm/vcpu.ts";
import type { Device } from "../../machine/device.ts";
import type { Machine } from "../../machine/machine.ts";
import { avicPhysicalEntry, avicPhysicalEntryBytes } from "../../spec/apic/avic.ts";
import { hex } from "../../spec/codec.ts";
import { printRequester } from "../../spec/requester.ts";
import type { RuleId } from "../../spec/rules.ts";
import { postedDescriptor } from "../../spec/vtd/irte.ts";
import type { Touched } from "./step.ts";
import type { Structure, Structures } from "./structures.ts";

const vectors = 256;
const pageBytes = 4096;

/** A vCPU as steps know it: its name, where interrupts are posted for it, and the requests behind them. */
export interface KnownVcpu {
  readonly name: string;
  readonly vcpu: Vcpu;
  /** Of its descriptor, or of its backing page. */
  readonly address: number;
  /** By vector: the request that is posted. */
  readonly requests: Float64Array;
}

/** Who takes part in a machine's interrupts, by what events name them with. */
export class Bystanders {
  readonly vcpus = new Map<number, KnownVcpu>();
  readonly structures: Structures;
  readonly #machine: Machine;
  readonly #byAddress = new Map<number, KnownVcpu>();
  readonly #devices = new Map<number, Device>();
  /** Requests posted to descriptors of no vCPU, by address and vector. */
  readonly #unclaimed = new Map<number, Float64Array>();
  /** Requests that local APICs have accepted, by APIC id and vector. */
  readonly #accepted = new Map<number, Float64Array>();

  constructor(machine: Machine, structures: Structures) {
    this.#machine = machine;
    this.structures = structures;
    for (const device of machine.devices.values()) this.#devices.set(device.fn.requester, device);
  }

  device(requester: number): Device | undefined {
    return this.#devices.get(requester);
  }

  sourceOf(requester: number): string {
    if (requester < 0) return "an unknown requester";
    if (requester === this.#machine.hardware.hpet?.requester) return "hpet";
    return this.#devices.get(requester)?.name ?? printRequester(requester & 0xffff);
  }

  processor(apicId: number): string {
    const cpu = this.#machine.hardware.cpus.find((one) => one.apicId === apicId);
    return cpu === undefined ? `APIC ${apicId}` : `cpu ${cpu.number}`;
  }

  /** Requests on their way through one local APIC, by vector. */
  accepted(apicId: number): Float64Array {
    let requests = this.#accepted.get(apicId);
    if (requests === undefined) {
      requests = new Float64Array(vectors);
      this.#accepted.set(apicId, requests);
    }
    return requests;
  }

  /** Looks for vCPUs that are new, and for those that are gone. */
  meetVcpus(): void {
    const { kernel } = this.#machine;
    const all = kernel.kvm?.vcpus ?? [];
    for (const [slot, { vcpu, address }] of this.vcpus) {
      if (all[slot] === vcpu) continue;
      this.vcpus.delete(slot);
      this.#byAddress.delete(address);
      this.structures.forget(address);
    }
    for (const vcpu of all) if (vcpu != null && !this.vcpus.has(vcpu.slot)) this.#meet(vcpu);
  }

  #meet(vcpu: Vcpu): void {
    const { kernel } = this.#machine;
    const { slot, vm } = vcpu;
    const name = `${vm.name}/${vcpu.id}`;
    const intel = vm.ops.vendor === "intel";
    const address = intel ? vmxProtocol(kernel).descriptorOf(slot) : avicProtocol(kernel).pageOf(slot);
    const known = { name, vcpu, address, requests: new Float64Array(vectors) };
    this.vcpus.set(slot, known);
    this.#byAddress.set(address, known);
    if (intel) this.structures.watch(descriptorOf(name, address, ruleOfPosting), false);
    else this.#watchEntry(vcpu, name);
  }

  /** The vCPU's entry in AVIC's table of physical APIC ids. */
  #watchEntry(vcpu: Vcpu, name: string): void {
    const { kernel } = this.#machine;
    const table = avicProtocol(kernel).slab + kernel.kvm!.vms.indexOf(vcpu.vm) * pageBytes;
    this.structures.watch(
      {
        what: `AVIC's entry for ${name}`,
        stop: "descriptor",
        actor: name,
        address: table + avicPhysicalEntryBytes * vcpu.apicId,
        words: avicPhysicalEntryBytes / 4,
        layout: () => avicPhysicalEntry,
        rule: () => null,
      },
      false,
    );
  }

  /** Whose descriptor or backing page lies at an address. */
  owner(address: number): KnownVcpu | undefined {
    if (!this.#byAddress.has(address)) this.meetVcpus();
    return this.#byAddress.get(address);
  }

  /** Starts to watch a descriptor that is not a vCPU's. */
  descriptorAt(address: number): Structure {
    const known = this.structures.at(address);
    if (known !== undefined) return known;
    const descriptors = this.#machine.kernel.postedMsi?.descriptors ?? [];
    const cpu = descriptors.findIndex((one) => one.address === address);
    const structure =
      cpu < 0
        ? descriptorOf(`nobody, at ${hex(address)}`, address, ruleOfPosting)
        : descriptorOf(`cpu ${cpu}`, address, () => null);
    this.structures.watch(structure, false);
    return structure;
  }

  /**
   * Software has written a descriptor. Vectors that it set while a request's handlers ran are that request's.
   * @returns the requests that it has taken out of a CPU's own descriptor, by their vectors' order.
   */
  posted({ address }: Structure, { before, value, layout }: Touched, request: number): number[] {
    if (layout !== postedDescriptor.name) return [];
    const requests = this.#byAddress.get(address)?.requests ?? this.#unclaimed.get(address);
    if (requests === undefined) return [];
    const was = (before ?? 0n) & pirMask;
    const is = value & pirMask;
    const taken: number[] = [];
    if (was === is) return taken;
    for (let vector = 0; vector < vectors; vector++) {
      const bit = 1n << BigInt(vector);
      if ((is & ~was & bit) !== 0n && request !== 0) requests[vector] = request;
      if ((was & ~is & bit) !== 0n && this.#unclaimed.has(address)) taken.push(requests[vector]!);
    }
    return taken;
  }

  /** The requests that are posted at an address, by vector. */
  requestsAt(address: number): Float64Array {
    const owner = this.owner(address);
    if (owner !== undefined) return owner.requests;
    let requests = this.#unclaimed.get(address);
    if (requests === undefined) {
      requests = new Float64Array(vectors);
      this.#unclaimed.set(address, requests);
    }
    return requests;
  }
}

/** PIR in a descriptor. */
const pirMask: bigint = (1n << 256n) - 1n;

/** Of a vCPU's descriptor. */
function ruleOfPosting({ before, value, fields }: Touched): RuleId | null {
  if (!fields.includes("pir")) return null;
  return (value & ~before! & pirMask) === 0n ? "vmx.pid.software-harvest" : "vmx.pid.software-post";
}

function descriptorOf(name: string, address: number, rule: Structure["rule"]): Structure {
  return {
    what: `descriptor of ${name}`,
    stop: "descriptor",
    actor: name,
    address,
    words: pid.WORDS,
    layout: () => postedDescriptor,
    rule,
  };
}
