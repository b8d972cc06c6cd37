import { amdviRequestAddress } from "../spec/amdvi/request.ts";
import { irte32, irteGuest, irteRemapped128 } from "../spec/amdvi/irte.ts";
import { type Row, decode, fromWords, table } from "../spec/codec.ts";
import { msiAmdData } from "../spec/msi/message.ts";
import { type AmdviDecisionFacts, amdviSteps } from "./decision-amdvi.ts";
import { type Ending, narrate } from "./decision.ts";
import type { VendorPath } from "./path.ts";

/** What an AMD-Vi unit adds to the path of a request. */
export function amdviPath(
  facts: AmdviDecisionFacts,
  ending: Ending,
): Omit<VendorPath, "requester" | "requesterKnown"> {
  const { entry, data, index, address } = facts;
  return {
    decoded: [...table(amdviRequestAddress, BigInt(address >>> 0)), ...table(msiAmdData, BigInt(data >>> 0))],
    index: entry === undefined ? null : index,
    entry: entry === undefined ? null : pathEntry(facts, entry),
    steps: narrate(amdviSteps, facts, ending),
  };
}

function pathEntry(facts: AmdviDecisionFacts, words: Int32Array): VendorPath["entry"] {
  const width = facts.ga ? 128 : 32;
  const value = fromWords(words, 0, width);
  return {
    address: facts.entryAddress,
    width,
    value,
    fields: entryTable(value, facts.ga),
    cached: facts.cached,
  };
}

function entryTable(value: bigint, ga: boolean): Row[] {
  if (!ga) return table(irte32, value);
  return decode(irteRemapped128, value).guestmode === 1
    ? table(irteGuest, value)
    : table(irteRemapped128, value);
}
