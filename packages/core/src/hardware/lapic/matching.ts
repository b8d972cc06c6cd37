import * as cluster from "../../spec/accessors/xapic-cluster-id.ts";
import * as dfr from "../../spec/accessors/apic-dfr.ts";
import * as x2apicLdr from "../../spec/accessors/x2apic-ldr.ts";
import * as xapicId from "../../spec/accessors/xapic-id.ts";
import { derivedLogicalId, enabled, inX2apicMode, word } from "./state.ts";

/** Destinations that address every APIC of a mode, as int32. */
export const xapicBroadcast = 0xff;
export const x2apicBroadcast = -1;

const flatModel = 15;
const clusterModel = 0;

/**
 * Whether one APIC is addressed by a message: the rule itself. The fabric's tables only answer it faster.
 * @param destination int32, as the message carries it.
 * @param narrowBroadcast FFh addresses APICs in x2APIC mode too (kvm.apic.narrow-broadcast).
 */
export function matches(
  state: Int32Array,
  base: number,
  destination: number,
  logical: number,
  narrowBroadcast: boolean,
): boolean {
  // apic.accept.globally-disabled
  if (!enabled(state, base)) return false;
  const id = state[base + word.id]!;
  const x2apic = inX2apicMode(state, base);
  // apic.destination.broadcast, kvm.apic.narrow-broadcast
  if (destination === (x2apic ? x2apicBroadcast : xapicBroadcast)) return true;
  if (narrowBroadcast && destination === xapicBroadcast) return true;
  // apic.destination.physical
  if (logical === 0) return destination === id;
  return x2apic ? matchesX2apicLogical(derivedLogicalId(id), destination) : isNamed(state, base, destination);
}

/** Whether a logical destination names the logical id of an APIC in xAPIC mode. */
export function isNamed(state: Int32Array, base: number, destination: number): boolean {
  return matchesXapicLogical(state[base + word.ldr]!, state[base + word.dfr]!, destination);
}

// apic.destination.x2apic-logical
function matchesX2apicLogical(ldr: number, destination: number): boolean {
  return (
    x2apicLdr.cluster(destination) === x2apicLdr.cluster(ldr) &&
    (x2apicLdr.members(destination) & x2apicLdr.members(ldr)) !== 0
  );
}

function matchesXapicLogical(ldr: number, format: number, destination: number): boolean {
  // apic.destination.width
  if (destination >>> 8 !== 0) return false;
  const logicalId = xapicId.id(ldr);
  const model = dfr.model(format);
  // apic.destination.flat
  if (model === flatModel) return (destination & logicalId) !== 0;
  // apic.destination.cluster
  return (
    model === clusterModel &&
    cluster.cluster(destination) === cluster.cluster(logicalId) &&
    (cluster.members(destination) & cluster.members(logicalId)) !== 0
  );
}
