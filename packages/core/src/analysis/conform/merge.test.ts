import { readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";
import { amdviQemu100 } from "../../hardware/amdvi/profile.ts";
import { vtdQemu111 } from "../../hardware/vtd/profile.ts";
import type { CorpusFile } from "./corpus.ts";
import { mergeResults } from "./merge.ts";
import type { Profile } from "./model.ts";
import { ModelTarget, type ModelTargetOptions } from "./model-target.ts";
import type { ConformResult, KnownDeviation, Unexplained } from "./result.ts";
import { conform } from "./run.ts";

const longest = 60_000;

const folder = fileURLToPath(new URL("../../../../../cases", import.meta.url));
/** With cases that are run on the model only. */
const corpus: readonly CorpusFile[] = ["vtd/cache.json", "amdvi/cache-and-commands.json"].map((name) => ({
  name,
  content: readFileSync(join(folder, name), "utf8"),
}));

function shares(profile: Profile, count: number, options: ModelTargetOptions = {}): Promise<ConformResult[]> {
  return Promise.all(
    Array.from({ length: count }, (_, number) =>
      conform({
        target: new ModelTarget(profile, options),
        corpus,
        cases: 601,
        seed: 4,
        share: { number, of: count },
      }),
    ),
  );
}

/** What does not depend on how the cases were shared. */
function counts(result: ConformResult): object {
  const { known, unexplained: _, seconds: _s, casesPerSecond: _c, ...rest } = result;
  return { ...rest, known: known.map(({ flag, cases }) => [flag, cases]) };
}

test.each([vtdQemu111, amdviQemu100])(
  "the shares of a run together are the run: $name",
  { timeout: longest },
  async (profile) => {
    const [whole] = await shares(profile, 1);
    for (const count of [2, 3]) {
      const merged = mergeResults(await shares(profile, count));
      expect(counts(merged)).toEqual(counts(whole!));
      expect(merged.generated).toBe(601);
    }
  },
);

test("so are those of a run in which something is unexplained or refused", { timeout: longest }, async () => {
  const options: ModelTargetOptions = {
    refusal: ({ name }) => (name.endsWith("7") ? "a seven" : undefined),
    sabotage: (sights, { name }) =>
      name.endsWith("5") ? sights.map((sight) => ({ ...sight, memory: [1, 2, 3] })) : sights,
  };
  const [whole] = await shares(vtdQemu111, 1, options);
  const merged = mergeResults(await shares(vtdQemu111, 2, options));
  expect(counts(merged)).toEqual(counts(whole!));
  expect(merged.disagreed).toBe(60);
  expect(merged.modelOnly["a seven"]).toBe(60);
  expect(merged.unexplained.length).toBeGreaterThan(0);
});

const one: ConformResult = {
  target: "QEMU 10.0.2",
  vendor: "intel",
  profile: vtdQemu111.name,
  seed: 1,
  cases: 10,
  corpus: 2,
  generated: 8,
  compared: 9,
  agreed: 4,
  deviating: 3,
  disagreed: 2,
  known: [],
  unexplained: [],
  modelOnly: { far: 1 },
  modelFailed: ["b"],
  notCompared: { records: 2 },
  apicsCompared: 1,
  seconds: 2,
  casesPerSecond: 5,
  aborted: false,
};

function known(index: number, cases: number, id: string, steps: number): KnownDeviation {
  const flag = vtdQemu111.deviations[index]!;
  const rule = { rule: "vtd.ir.remap", section: "5.1", text: "It is remapped." } as const;
  const smallest = { id, steps: Array.from({ length: steps }, () => ({})) };
  return { flag, ...rule, breaks: rule, cases, smallest, wanted: "one", got: "other" };
}

function unexplained(id: string, shows: number, also: readonly string[] = []): Unexplained {
  const difference = { scene: 0, what: "sent", expected: "1", got: "2" } as const;
  return { id, smallest: { id: `unexplained.${id}`, steps: [{ shows }] }, differences: [difference], also };
}

test("counts are added, and cases per second are those of all in the time of the slowest", () => {
  const other = {
    ...one,
    compared: 11,
    seconds: 4,
    modelOnly: { far: 2, near: 3 },
    modelFailed: ["a"],
    aborted: true,
  };
  expect(mergeResults([one, other])).toEqual({
    ...one,
    cases: 20,
    corpus: 4,
    generated: 16,
    compared: 20,
    agreed: 8,
    deviating: 6,
    disagreed: 4,
    modelOnly: { far: 3, near: 3 },
    modelFailed: ["a", "b"],
    notCompared: { records: 4 },
    apicsCompared: 2,
    seconds: 4,
    casesPerSecond: 5,
    aborted: true,
  });
  expect(mergeResults([one])).toEqual({ ...one, casesPerSecond: 5 });
});

test("a deviation has the smallest example of all, and they stand in the order of the profile", () => {
  const merged = mergeResults([
    { ...one, known: [known(1, 5, "long", 3), known(3, 1, "only here", 1)] },
    { ...one, known: [known(0, 2, "only there", 1), known(1, 7, "short", 2)] },
  ]);
  const told = merged.known.map(({ flag, cases, smallest }) => [flag, cases, smallest.id]);
  const [first, second, , fourth] = vtdQemu111.deviations;
  expect(told).toEqual([
    [first, 2, "only there"],
    [second, 12, "short"],
    [fourth, 1, "only here"],
  ]);
});

test("what is unexplained in the same way is told once, and 20 are told at most", () => {
  const mine = Array.from({ length: 20 }, (_, i) => unexplained(`m${i}`, i));
  const theirs = Array.from({ length: 20 }, (_, i) =>
    unexplained(`t${i}`, i === 0 ? 0 : 100 + i, ["further"]),
  );
  const merged = mergeResults([
    { ...one, unexplained: mine },
    { ...one, unexplained: theirs },
  ]).unexplained;
  expect(merged).toHaveLength(20);
  expect(merged[0]).toEqual({ ...mine[0], also: ["t0", "further"] });
  expect(merged.slice(1, 4).map(({ id }) => id)).toEqual(["m1", "t1", "m2"]);
});
