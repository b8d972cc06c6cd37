import type { Observer } from "../../hardware/event.ts";
import {
  ShapeError,
  type Json,
  type JsonObject,
  type Shape,
  count,
  entries,
  oneOf,
  text,
} from "../../spec/shape.ts";

/** What came of an action, by name; what did not happen is not there. */
export type Happenings = Readonly<Record<string, Json>>;

/** Something that a step can do to a bench: read from the corpus once, done as often as the case is run. */
export type Action<Bench> = (value: unknown, place: string) => (bench: Bench) => Happenings;

/** Something that can be seen of a bench after a step. */
export type State<Bench> = (value: unknown, place: string) => Sight<Bench>;

export interface Sight<Bench> {
  readonly expected: Json;
  readonly got: (bench: Bench) => Json;
}

export function action<Bench, T>(
  shape: Shape<T>,
  act: (bench: Bench, argument: T) => Happenings | void,
): Action<Bench> {
  return (value, place) => {
    const argument = shape(value, place);
    return (bench) => act(bench, argument) ?? {};
  };
}

export function state<Bench, T extends Json>(
  shape: Shape<T>,
  got: (bench: Bench, asked: T) => Json,
): State<Bench> {
  return (value, place) => {
    const expected = shape(value, place);
    return { expected, got: (bench) => got(bench, expected) };
  };
}

/** A state that is asked for at each of some addresses. */
export function eachOf(asked: JsonObject, got: (address: number) => Json): JsonObject {
  return Object.fromEntries(Object.keys(asked).map((key) => [key, got(Number(key))]));
}

/** Where a run differs from what the case says. */
export interface Mismatch {
  /** The step, from 0. */
  readonly step: number;
  /** What was looked at. */
  readonly what: string;
  /** Undefined: nothing of the kind should have happened. */
  readonly expected: Json | undefined;
  readonly got: Json | undefined;
}

/** A case that has been read: runs under a profile, on a machine of its own. */
export type Run = (profile: string, observer: Observer | undefined) => Mismatch[];

/** One kind of thing that cases are about. */
export interface Subject {
  /** Every profile that a case may name. */
  readonly profiles: readonly string[];
  /** Those under which a case is run that names none. */
  readonly strict: string;
  /** @throws ShapeError when a setup is not of the subject's format. */
  check(setup: unknown, place: string): void;
  /** @throws ShapeError when setup or steps are not of the subject's format. */
  read(setup: unknown, steps: unknown, profiles: readonly string[], place: string): Run;
}

export interface SubjectParts<Bench, Setup, Profile> {
  readonly profiles: ReadonlyMap<string, Profile>;
  readonly strict: string;
  readonly setup: Shape<Setup>;
  readonly build: (setup: Setup, profile: Profile, observer: Observer | undefined) => Bench;
  readonly actions: Readonly<Record<string, Action<Bench>>>;
  readonly happenings: Readonly<Record<string, Shape<Json>>>;
  readonly states: Readonly<Record<string, State<Bench>>>;
}

interface Expectation<Bench> {
  readonly happenings: Happenings;
  readonly states: readonly (readonly [string, Sight<Bench>])[];
}

interface Step<Bench> {
  readonly act: (bench: Bench) => Happenings;
  /** How often it is done; what is expected is expected of the last time. */
  readonly times: number;
  /** By profile; none where the step is not looked at. */
  readonly expectations: ReadonlyMap<string, Expectation<Bench>>;
}

export function subject<Bench, Setup, Profile>(parts: SubjectParts<Bench, Setup, Profile>): Subject {
  return {
    profiles: [...parts.profiles.keys()],
    strict: parts.strict,
    check: (setup, place) => void parts.setup(setup, `${place}: setup`),
    read(setup, steps, profiles, place) {
      const machine = parts.setup(setup, `${place}: setup`);
      const prepared = readSteps(parts, steps, profiles, place);
      return (name, observer) => {
        const bench = parts.build(machine, parts.profiles.get(name)!, observer);
        return prepared.flatMap((step, at) => runStep(step, at, bench, name));
      };
    },
  };
}

function readSteps<Bench, S, P>(
  parts: SubjectParts<Bench, S, P>,
  steps: unknown,
  profiles: readonly string[],
  place: string,
): Step<Bench>[] {
  if (!Array.isArray(steps)) throw new ShapeError(`${place}: steps`, "missing, expected a list");
  const read = steps.map((step, i) => readStep(parts, step, profiles, `${place}: steps[${i}]`));
  if (read.every(({ expectations }) => expectations.size === 0)) {
    throw new ShapeError(`${place}: steps`, "no step has an expectation");
  }
  return read;
}

function readStep<Bench, S, P>(
  { actions, happenings, states }: SubjectParts<Bench, S, P>,
  value: unknown,
  profiles: readonly string[],
  place: string,
): Step<Bench> {
  const { expect, note, repeat = 1, ...rest } = entries(value, place);
  if (note !== undefined) text(note, `${place}.note`);
  const times = repetitions(repeat, `${place}.repeat`);
  const [name, ...others] = Object.keys(rest);
  const what = oneOf(...Object.keys(actions))(name, `${place}, action`);
  if (others.length > 0)
    throw new ShapeError(`${place}.${others[0]!}`, `unknown key beside the action "${what}"`);
  const act = actions[what]!(rest[what], `${place}.${what}`);
  const expectations = new Map<string, Expectation<Bench>>();
  if (expect !== undefined) {
    const variants = variantsOf(expect, profiles, `${place}.expect`);
    for (const variant of variants.all) readExpectation(...variant);
    for (const profile of profiles) expectations.set(profile, readExpectation(...variants.of(profile)));
  }
  return { act, times, expectations };

  function readExpectation(one: unknown, at: string): Expectation<Bench> {
    const happened: Record<string, Json> = {};
    const seen: [string, Sight<Bench>][] = [];
    for (const [key, expected] of Object.entries(entries(one, at))) {
      if (happenings[key] !== undefined) happened[key] = happenings[key](expected, `${at}.${key}`);
      else if (states[key] !== undefined) seen.push([key, states[key](expected, `${at}.${key}`)]);
      else {
        const known = [...Object.keys(happenings), ...Object.keys(states)];
        throw new ShapeError(`${at}.${key}`, `unknown key, expected ${known.join(", ")}`);
      }
    }
    return { happenings: happened, states: seen };
  }
}

const mostRepetitions = 4096;

const repetitions: Shape<number> = (value, place) => {
  const times = count(value, place);
  if (times >= 1 && times <= mostRepetitions) return times;
  throw new ShapeError(place, `${times}, expected 1 to ${mostRepetitions}`);
};

const otherwise = "otherwise";

type Variant = readonly [expectation: unknown, place: string];

interface Variants {
  readonly all: readonly Variant[];
  of(profile: string): Variant;
}

/** An expectation, or one for each profile: by name, by family (a name's beginning), or otherwise. */
function variantsOf(expect: unknown, profiles: readonly string[], place: string): Variants {
  const { byProfile, ...rest } = entries(expect, place);
  if (byProfile === undefined) return { all: [], of: () => [expect, place] };
  for (const key of Object.keys(rest))
    throw new ShapeError(`${place}.${key}`, "unknown key beside byProfile");
  const variants = entries(byProfile, `${place}.byProfile`);
  const at = (key: string): string => `${place}.byProfile.${key}`;
  for (const key of Object.keys(variants)) {
    if (key !== otherwise && !profiles.some((profile) => inFamily(profile, key))) {
      throw new ShapeError(at(key), `none of the case's profiles, which are ${profiles.join(", ")}`);
    }
  }
  return {
    all: Object.entries(variants).map(([key, one]) => [one, at(key)]),
    of(profile) {
      const families = Object.keys(variants).filter((key) => inFamily(profile, key));
      const [nearest = otherwise] = families.sort((a, b) => b.length - a.length);
      if (variants[nearest] === undefined)
        throw new ShapeError(`${place}.byProfile`, `nothing for ${profile}`);
      return [variants[nearest], at(nearest)];
    },
  };
}

function inFamily(profile: string, key: string): boolean {
  return profile === key || profile.startsWith(`${key}-`);
}

function runStep<Bench>(
  { act, times, expectations }: Step<Bench>,
  step: number,
  bench: Bench,
  profile: string,
): Mismatch[] {
  for (let i = 1; i < times; i++) act(bench);
  const happened = act(bench);
  const expectation = expectations.get(profile);
  if (expectation === undefined) return [];
  const mismatches: Mismatch[] = [];
  const compare = (what: string, expected: Json | undefined, got: Json | undefined): void => {
    if (!holds(expected, got)) mismatches.push({ step, what, expected, got });
  };
  for (const what of new Set([...Object.keys(expectation.happenings), ...Object.keys(happened)])) {
    compare(what, expectation.happenings[what], happened[what]);
  }
  for (const [what, { expected, got }] of expectation.states) compare(what, expected, got(bench));
  return mismatches;
}

/** Whether what was got is what was expected; of an object, the keys that were expected. */
export function holds(expected: Json | undefined, got: Json | undefined): boolean {
  if (Array.isArray(expected)) {
    return (
      Array.isArray(got) && got.length === expected.length && expected.every((one, i) => holds(one, got[i]))
    );
  }
  if (typeof expected === "object" && expected !== null) {
    if (typeof got !== "object" || got === null || Array.isArray(got)) return false;
    return Object.entries(expected as JsonObject).every(([key, one]) => holds(one, (got as JsonObject)[key]));
  }
  return expected === got;
}
