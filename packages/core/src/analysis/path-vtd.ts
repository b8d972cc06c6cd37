import * as irte from "../spec/accessors/irte-remapped.ts";
import * as requestAddress from "../spec/accessors/msi-remappable-address.ts";
import { unknownRequester } from "../hardware/delivery.ts";
import { fromWords, table } from "../spec/codec.ts";
import { msiAddress, msiData, msiRemappableAddress, msiRemappableData } from "../spec/msi/message.ts";
import { irtePosted, irteRemapped } from "../spec/vtd/irte.ts";
import { type VtdDecisionFacts, requestIndex, vtdSteps } from "./decision-vtd.ts";
import { type Branch, type Ending, narrateBranches } from "./decision.ts";
import type { UnitDecision, VendorPath } from "./path.ts";
import { hexByte, printRequester } from "../spec/requester.ts";

/** What a VT-d unit adds to the path of a request of a trace. `posts`: the unit looks at the entry's IM bit. */
export function vtdPath(facts: VtdDecisionFacts, ending: Ending, posts: boolean): VendorPath {
  const { entry, requester } = facts;
  return {
    requester: sourceName(
      requester === unknownRequester && entry !== undefined ? sourceOf(entry) : requester,
    ),
    requesterKnown: requester !== unknownRequester,
    ...vtdDecision([{ facts, ending }], posts),
  };
}

/** The parts of a decision that are told of a VT-d unit; of several branches, the first one's entry and index. */
export function vtdDecision(
  branches: readonly Branch<VtdDecisionFacts>[],
  posts: boolean,
): Pick<UnitDecision, "decoded" | "index" | "entry" | "steps"> {
  const { facts } = branches[0]!;
  const { address, data, entry } = facts;
  const remappable = facts.remappingEnabled !== false && requestAddress.format(address) === 1;
  const [low, content] = [BigInt(address >>> 0), BigInt(data >>> 0)];
  return {
    decoded: remappable
      ? [...table(msiRemappableAddress, low), ...table(msiRemappableData, content)]
      : [...table(msiAddress, low), ...table(msiData, content)],
    index: remappable ? requestIndex(address, data) : null,
    entry: entry === undefined ? null : pathEntry(facts, entry, posts),
    steps: narrateBranches(vtdSteps, branches),
  };
}

function pathEntry(facts: VtdDecisionFacts, words: Int32Array, posts: boolean): UnitDecision["entry"] {
  const value = fromWords(words, 0, 128);
  const fields = posts && irte.im(words, 0) === 1 ? table(irtePosted, value) : table(irteRemapped, value);
  return { address: facts.entryAddress, width: 128, value, fields, cached: facts.cached };
}

/** Marks the id of a requester that is a range of buses. */
const busRange = 1 << 16;

/** Whose requests an entry is for, as an id for {@link sourceName}; unknown if it does not say. */
export function sourceOf(entry: Int32Array): number {
  switch (irte.svt(entry, 0)) {
    case 0:
      return unknownRequester;
    case 2:
      return busRange | irte.sid(entry, 0);
    default:
      return irte.sid(entry, 0);
  }
}

export function sourceName(id: number): string {
  if (id === unknownRequester) return "unknown";
  return id < busRange ? printRequester(id) : `bus ${hexByte(id >>> 8)}-${hexByte(id)}`;
}
