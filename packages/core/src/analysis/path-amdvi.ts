import { amdviRequestAddress } from "../spec/amdvi/request.ts";
import { irte32, irteGuest, irteRemapped128 } from "../spec/amdvi/irte.ts";
import { type Row, decode, fromWords, table } from "../spec/codec.ts";
import { msiAmdData } from "../spec/msi/message.ts";
import { type AmdviDecisionFacts, amdviSteps } from "./decision-amdvi.ts";
import { type Branch, narrateBranches } from "./decision.ts";
import type { UnitDecision } from "./path.ts";

/** The parts of a decision that are told of an AMD-Vi unit; of several branches, the first one's entry and index. */
export function amdviDecision(
  branches: readonly Branch<AmdviDecisionFacts>[],
): Pick<UnitDecision, "decoded" | "index" | "entry" | "steps"> {
  const { facts } = branches[0]!;
  const { entry, data, index, address } = facts;
  return {
    decoded: [...table(amdviRequestAddress, BigInt(address >>> 0)), ...table(msiAmdData, BigInt(data >>> 0))],
    index: entry === undefined ? null : index,
    entry: entry === undefined ? null : pathEntry(facts, entry),
    steps: narrateBranches(amdviSteps, branches),
  };
}

function pathEntry(facts: AmdviDecisionFacts, words: Int32Array): UnitDecision["entry"] {
  const width = facts.ga === false ? 32 : 128;
  const value = fromWords(words, 0, width);
  return {
    address: facts.entryAddress,
    width,
    value,
    fields: entryTable(value, width === 128),
    cached: facts.cached,
  };
}

function entryTable(value: bigint, ga: boolean): Row[] {
  if (!ga) return table(irte32, value);
  return decode(irteRemapped128, value).guestmode === 1
    ? table(irteGuest, value)
    : table(irteRemapped128, value);
}
