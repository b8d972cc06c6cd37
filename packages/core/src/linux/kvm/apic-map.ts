import * as x2apicLdr from "../../spec/accessors/x2apic-ldr.ts";
import * as clusterId from "../../spec/accessors/xapic-cluster-id.ts";
import type { Kernel } from "../kernel.ts";
import { type LapicIrq, isLowestPriority } from "./lapic-irq.ts";
import { type LogicalMode, apicBroadcast, x2apicBroadcast } from "./lapic.ts";
import type { Vcpu } from "./vcpu.ts";
import type { KvmVm } from "./vm.ts";

/** The map has room for every id of xAPIC mode. */
const leastMaximum = 255;

/** `off`: no APIC is on in its SVR; `mixed`: they are addressed in several ways, and the map cannot be used. */
type MapMode = LogicalMode | "off" | "mixed";

/** `struct kvm_apic_map`: vCPUs by the ids under which messages address them. */
export interface ApicMap {
  /** From what it was made. */
  readonly vcpus: readonly Vcpu[];
  readonly versions: readonly number[];
  readonly maximumId: number;
  readonly physical: ReadonlyMap<number, Vcpu>;
  readonly mode: MapMode;
  /** By bit of a flat logical id, or by cluster and bit: 4 × cluster + bit. */
  readonly logical: ReadonlyMap<number, Vcpu>;
  /** Several vCPUs have one physical id: the map is of no use at all. */
  readonly aliased: boolean;
}

/** Those that a message addresses, by way of the map. */
export interface Destinations {
  /** How many bits of the destination are left; not each of them is a vCPU. */
  readonly bits: number;
  readonly vcpus: readonly Vcpu[];
}

/** `kvm_recalculate_apic_map`, where something has changed since. */
export function apicMap(vm: KvmVm): ApicMap {
  const { apicMap: last } = vm.interrupts;
  if (last !== null && isCurrent(last, vm.vcpus)) return last;
  return (vm.interrupts.apicMap = recalculate(vm.vcpus));
}

function isCurrent({ vcpus, versions }: ApicMap, now: readonly Vcpu[]): boolean {
  if (vcpus.length !== now.length) return false;
  for (let i = 0; i < now.length; i++) {
    if (vcpus[i] !== now[i] || versions[i] !== now[i]!.lapic.version) return false;
  }
  return true;
}

function recalculate(vcpus: readonly Vcpu[]): ApicMap {
  const present = vcpus.filter(({ lapic }) => lapic.enabled);
  const physical = new Map(present.map((vcpu) => [vcpu.lapic.id, vcpu]));
  const logical = new Map<number, Vcpu>();
  let mode: MapMode = "off";
  for (const vcpu of present) {
    const { lapic } = vcpu;
    if (!lapic.softwareEnabled || lapic.logicalId === 0 || mode === "mixed") continue;
    const own = lapic.logicalMode;
    mode = mode === "off" || mode === own ? own : "mixed";
    if (own === "x2apic" || mode === "mixed") continue;
    const slots = logicalSlots(own, lapic.logicalId);
    if (slots.length === 0) continue;
    // Each APIC must have a bit of its own.
    if (slots.length > 1 || logical.has(slots[0]!)) mode = "mixed";
    else logical.set(slots[0]!, vcpu);
  }
  return {
    vcpus: [...vcpus],
    versions: vcpus.map(({ lapic }) => lapic.version),
    maximumId: Math.max(leastMaximum, ...physical.keys()),
    physical,
    mode,
    logical,
    aliased: physical.size < present.length,
  };
}

/** Keys of {@link ApicMap.logical} that a logical destination names. */
function logicalSlots(mode: "flat" | "cluster", destination: number): number[] {
  const first = mode === "flat" ? 0 : 4 * clusterId.cluster(destination);
  const bits = mode === "flat" ? destination & 0xff : clusterId.members(destination);
  return setBits(bits).map((bit) => first + bit);
}

function setBits(bits: number): number[] {
  const found: number[] = [];
  for (let left = bits; left !== 0; left &= left - 1) found.push(31 - Math.clz32(left & -left));
  return found;
}

/**
 * `kvm_apic_map_get_dest_lapic`: whom a message addresses.
 * @param source the APIC that sends it; null for a device.
 * @returns null where the map does not tell.
 */
export function mappedDestinations(
  k: Kernel,
  vm: KvmVm,
  source: Vcpu | null,
  irq: LapicIrq,
): Destinations | null {
  const map = apicMap(vm);
  if (map.aliased || isBroadcast(vm, source, irq.destination, map)) return null;
  if (!irq.logical) {
    const vcpu = map.physical.get(irq.destination);
    return { bits: irq.destination > map.maximumId ? 0 : 1, vcpus: vcpu === undefined ? [] : [vcpu] };
  }
  if (map.mode === "mixed") return null;
  const slots = mappedSlots(map, irq.destination);
  if (!isLowestPriority(irq)) {
    return { bits: slots.length, vcpus: slots.filter((vcpu) => vcpu !== undefined) };
  }
  const chosen = k.parameters.vectorHashing ? hashed(k, vm, slots, irq.vector) : leastArbitrated(slots);
  return { bits: chosen === undefined ? 0 : 1, vcpus: chosen === undefined ? [] : [chosen] };
}

/** `kvm_apic_is_broadcast_dest` */
function isBroadcast(vm: KvmVm, source: Vcpu | null, destination: number, map: ApicMap): boolean {
  if (vm.interrupts.broadcastQuirkDisabled) {
    return destination === x2apicBroadcast || (destination === apicBroadcast && map.mode !== "x2apic");
  }
  return destination === (source?.lapic.x2apic === true ? x2apicBroadcast : apicBroadcast);
}

/** `kvm_apic_map_get_logical_dest`: one for each bit of the destination, undefined where no vCPU is behind it. */
function mappedSlots(map: ApicMap, destination: number): (Vcpu | undefined)[] {
  switch (map.mode) {
    case "x2apic": {
      const first = x2apicLdr.cluster(destination) << 4;
      return setBits(x2apicLdr.members(destination))
        .filter((bit) => first + bit <= map.maximumId)
        .map((bit) => map.physical.get(first + bit));
    }
    case "flat":
    case "cluster":
      return logicalSlots(map.mode, destination).map((slot) => map.logical.get(slot));
    default:
      return [];
  }
}

/** kvm.apic.vector-hash: the count takes in bits behind which there is no vCPU, and their interrupts are lost. */
function hashed(
  k: Kernel,
  vm: KvmVm,
  slots: readonly (Vcpu | undefined)[],
  vector: number,
): Vcpu | undefined {
  if (slots.length === 0) return undefined;
  const chosen = slots[vector % slots.length];
  if (chosen === undefined && !vm.interrupts.disabledLapicFound) {
    vm.interrupts.disabledLapicFound = true;
    k.log.info("kvm: Disabled LAPIC found during irq injection");
  }
  return chosen;
}

/** The one that was given the fewest lowest-priority interrupts; the first among equals. */
export function leastArbitrated(vcpus: readonly (Vcpu | undefined)[]): Vcpu | undefined {
  let least: Vcpu | undefined;
  for (const vcpu of vcpus) {
    if (vcpu === undefined) continue;
    if (least === undefined || vcpu.lapic.arbitrations < least.lapic.arbitrations) least = vcpu;
  }
  return least;
}
