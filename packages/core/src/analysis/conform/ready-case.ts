import type { Vendor } from "../../evidence/qemu-trace/index.ts";
import { type RuleId, ruleOf } from "../../spec/rules.ts";
import type { Json, JsonObject } from "../../spec/shape.ts";
import { readCaseFile, runCase } from "../conformance/case-file.ts";
import type { CaseRecord } from "./recording.ts";

const strictProfiles: Readonly<Record<Vendor, string>> = { intel: "vtd-strict", amd: "amdvi-strict" };

/** States that a generated case asks for by name, and that are filled in from what the model shows. */
const states = ["registers", "memory"] as const;

export interface ReadyCaseText {
  readonly id: string;
  readonly title: string;
  readonly rules: readonly RuleId[];
  readonly note?: string;
}

/**
 * A case as the corpus wants it: with rules, section, profiles and, where it looks, what the model does under the strict
 * profile and under the machine's.
 */
export function readyCase(
  record: CaseRecord,
  vendor: Vendor,
  profile: string,
  text: ReadyCaseText,
): CaseRecord {
  const profiles = [strictProfiles[vendor], profile];
  const { id, title, rules, note } = text;
  const { section } = ruleOf(rules[0]!);
  const head = { id, title, rules, section, profiles, ...(note === undefined ? {} : { note }) };
  const steps = record["steps"] as readonly JsonObject[];
  const whole = { ...head, unit: record["unit"]!, setup: record["setup"] ?? {}, steps };
  const expected = profiles.map((one) => expectationsOf(whole, one));
  return {
    ...whole,
    steps: steps.map((step, at) =>
      withExpectation(
        step,
        expected.map((all) => all[at]),
      ),
    ),
  };

  function withExpectation(step: JsonObject, [strict, own]: readonly (JsonObject | undefined)[]): JsonObject {
    if (strict === undefined || own === undefined) return step;
    const { expect: _, ...rest } = step;
    const same = JSON.stringify(strict) === JSON.stringify(own);
    return { ...rest, expect: same ? own : { byProfile: { [profiles[0]!]: strict, [profile]: own } } };
  }
}

/** Requests, what the case looks at, and the last step, for a case without an expectation says nothing. */
function looksAt(step: JsonObject, at: number, steps: readonly JsonObject[]): boolean {
  return step["expect"] !== undefined || step["msi"] !== undefined || at === steps.length - 1;
}

/**
 * What the model does and shows at each step under a profile: what it does beyond an expectation of nothing. Undefined
 * where nobody looks.
 */
function expectationsOf(whole: CaseRecord, profile: string): (JsonObject | undefined)[] {
  const steps = whole["steps"] as readonly JsonObject[];
  const probes = steps.map((step, at) => (looksAt(step, at, steps) ? probe(step["expect"]) : undefined));
  const content = JSON.stringify([{ ...whole, steps: steps.map((step, at) => probed(step, probes[at])) }]);
  const [one] = readCaseFile(whole.id, content);
  const { mismatches } = runCase(one!, profile);
  return probes.map((asked, at) => asked && seenAt(at, asked));

  function seenAt(at: number, asked: JsonObject): JsonObject {
    const found: Record<string, Json> = { ...asked };
    for (const { step, what, got } of mismatches) if (step === at && got !== undefined) found[what] = got;
    return found;
  }
}

function probed(step: JsonObject, expect: JsonObject | undefined): JsonObject {
  return expect === undefined ? step : { ...step, expect };
}

/** Nothing is expected to happen, and everything that is looked at to be zero. */
function probe(expect: Json | undefined): JsonObject {
  const { byProfile, ...plain } = (expect ?? {}) as JsonObject;
  const variants = byProfile === undefined ? [plain] : Object.values(byProfile as JsonObject);
  const asked: Record<string, JsonObject> = {};
  for (const one of variants as readonly JsonObject[]) {
    for (const state of states) {
      const names = Object.keys((one[state] ?? {}) as JsonObject).map((name) => [name, "0x0"]);
      if (names.length > 0) asked[state] = { ...asked[state], ...Object.fromEntries(names) };
    }
  }
  return asked;
}
