import type { Observer } from "../../hardware/event.ts";
import type { Standing } from "../../spec/rule.ts";
import { type RuleId, rules } from "../../spec/rules.ts";
import {
  ShapeError,
  type Shape,
  either,
  entries,
  keyOf,
  list,
  nullable,
  oneOf,
  record,
  text,
} from "../../spec/shape.ts";
import type { Mismatch, Run, Subject } from "./subject.ts";
import { subjects } from "./subjects.ts";

/** One record of the corpus. */
export interface ConformanceCase {
  readonly id: string;
  /** A sentence: what the unit does. */
  readonly title: string;
  readonly rules: readonly RuleId[];
  /** The document and section that the expectation rests on. */
  readonly section: string;
  /** What the case rests on where that is not the document's own text; null where it is. */
  readonly standing: Standing | null;
  readonly unit: string;
  readonly profiles: readonly string[];
  readonly run: Run;
}

const idForm = /^[a-z0-9]+(?:[.-][a-z0-9]+)*$/;

const id: Shape<string> = (value, place) => {
  if (typeof value === "string" && idForm.test(value)) return value;
  throw new ShapeError(place, "expected lower-case words joined by dots and hyphens");
};

const ruleId: Shape<RuleId> = (value, place) => {
  const name = text(value, place);
  if (Object.hasOwn(rules, name)) return name as RuleId;
  throw new ShapeError(place, `"${name}" is no rule`);
};

const envelope = record(
  { id, title: text, rules: list(ruleId), section: text, unit: keyOf(subjects) },
  {
    standing: nullable(oneOf("unverified", "inferred", "unsettled")),
    profiles: list(text),
    note: text,
    setup: entries,
    steps: list(entries),
  },
);

const file = either(
  Array.isArray,
  (value, place) => ({ defaults: {}, cases: list(entries)(value, place) }),
  record({ cases: list(entries) }, { $schema: text, defaults: entries }),
);

/**
 * Reads one file of the corpus: a list of records, or `defaults` and `cases`. A record takes from the defaults what it
 * does not say itself, of `setup` key by key; a setup among the defaults is whole and names its unit.
 * @param name the file's, for messages.
 * @throws ShapeError when the file is not of the format; it names file, case and key.
 */
export function readCaseFile(name: string, content: string): ConformanceCase[] {
  const { defaults = {}, cases } = file(parse(name, content), name);
  checkDefaults(defaults, `${name}: defaults`);
  return cases.map((one, i) =>
    readCase({ ...defaults, ...one, setup: setupOf(defaults, one, name) }, name, i),
  );
}

/** What every record replaces would otherwise never be looked at. */
function checkDefaults({ unit, setup }: Raw, place: string): void {
  if (setup !== undefined) subjects[keyOf(subjects)(unit, `${place}.unit`)].check(setup, place);
}

function parse(name: string, content: string): unknown {
  try {
    return JSON.parse(content);
  } catch (error) {
    throw new ShapeError(name, (error as SyntaxError).message);
  }
}

type Raw = Readonly<Record<string, unknown>>;

function setupOf(defaults: Raw, one: Raw, place: string): Raw {
  const [common, own] = [defaults, one].map(({ setup = {} }) => entries(setup, `${place}: setup`));
  return { ...common, ...own };
}

function readCase(raw: Raw, name: string, position: number): ConformanceCase {
  const place = `${name}: ${typeof raw["id"] === "string" ? raw["id"] : `case ${position}`}`;
  const one = envelope(raw, place);
  const subject: Subject = subjects[one.unit];
  const profiles = one.profiles ?? [subject.strict];
  for (const profile of profiles) {
    if (!subject.profiles.includes(profile)) {
      throw new ShapeError(`${place}: profiles`, `"${profile}" is none of ${subject.profiles.join(", ")}`);
    }
  }
  const { id, title, rules, section, unit, standing = null } = one;
  return {
    id,
    title,
    rules,
    section,
    unit,
    standing,
    profiles,
    run: subject.read(raw["setup"], raw["steps"], profiles, place),
  };
}

export interface CaseResult {
  readonly passed: boolean;
  readonly mismatches: readonly Mismatch[];
}

/**
 * Runs a case on a machine of its own.
 * @param profile one of the case's.
 * @param observer is told of everything that happens; the hardware decides by the same rules without one, on shorter ways.
 */
export function runCase(one: ConformanceCase, profile: string, observer?: Observer): CaseResult {
  if (!one.profiles.includes(profile)) {
    throw new ShapeError(one.id, `profile "${profile}", expected ${one.profiles.join(" or ")}`);
  }
  const mismatches = one.run(profile, observer);
  return { passed: mismatches.length === 0, mismatches };
}
