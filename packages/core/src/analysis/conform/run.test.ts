import { readFileSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { describe, expect, test } from "vitest";
import { type AmdviProfile, amdviQemu100, amdviQemu111 } from "../../hardware/amdvi/profile.ts";
import { type VtdProfile, vtdQemu100, vtdQemu111, vtdQemu72 } from "../../hardware/vtd/profile.ts";
import { ruleOf } from "../../spec/rules.ts";
import { readCaseFile } from "../conformance/case-file.ts";
import { type Deviation, brokenRules, ruleOfDeviation } from "./broken-rules.ts";
import type { CorpusFile } from "./corpus.ts";
import type { Profile } from "./model.ts";
import { ModelTarget } from "./model-target.ts";
import { deviationsPage } from "./page.ts";
import { type ConformProgress, conform } from "./run.ts";
import type { Sight } from "./sight.ts";

const folder = fileURLToPath(new URL("../../../../../cases", import.meta.url));
const corpusFiles: readonly CorpusFile[] = readdirSync(folder, { recursive: true, encoding: "utf8" })
  .filter((name) => name.endsWith(".json") && name !== "case.schema.json")
  .sort()
  .map((name) => ({ name, content: readFileSync(join(folder, name), "utf8") }));

/** A profile with other deviations, under its own name. */
function altered(profile: Profile, change: (flags: readonly Deviation[]) => readonly Deviation[]): Profile {
  return { ...profile, deviations: change(profile.deviations) } as Profile;
}

/** Where a machine may be busy with other things. */
const longest = 60_000;
const generated = 1000;

const jsonAble = (value: unknown): unknown => JSON.parse(JSON.stringify(value));

describe.each([vtdQemu111, vtdQemu72, amdviQemu100])("a machine that does as $name", (profile: Profile) => {
  const run = conform({ target: new ModelTarget(profile), corpus: corpusFiles, cases: generated, seed: 3 });

  test(
    "has no unexplained disagreement, in the corpus or in generated cases",
    { timeout: longest },
    async () => {
      const result = await run;
      expect(result).toMatchObject({ disagreed: 0, unexplained: [], modelFailed: [], aborted: false });
      expect(result.generated).toBe(generated);
      expect(result.compared).toBe(result.agreed + result.deviating);
      const left = Object.values(result.modelOnly).reduce((sum, count) => sum + count, 0);
      expect(result.compared + left).toBe(result.cases);
      expect(result.apicsCompared).toBeGreaterThanOrEqual(result.compared / 100);
      expect(jsonAble(result)).toEqual(result);
    },
  );

  test(
    "has its deviations named, each with a case that is ready for the corpus",
    { timeout: longest },
    async () => {
      const { known } = await run;
      expect(known.length).toBeGreaterThan(5);
      for (const { flag, rule, breaks, cases, smallest, wanted, got } of known) {
        expect(rule).toBe(ruleOfDeviation(flag));
        expect(breaks.rule).toBe(brokenRules[flag]);
        expect(cases).toBeGreaterThan(0);
        expect([flag, wanted]).not.toEqual([flag, got]);
        const [one] = readCaseFile("smallest", JSON.stringify([smallest]));
        expect(one!.profiles.map((name) => one!.run(name, undefined))).toEqual([[], []]);
        expect((smallest["steps"] as unknown[]).length).toBeLessThan(8);
      }
    },
  );

  test("is told on a page that does not change from run to run", { timeout: longest }, async () => {
    const result = await run;
    const page = deviationsPage([result]);
    for (const { rule, text } of result.known) expect(page).toContain(`### ${rule}\n\n${text}`);
    expect(deviationsPage([{ ...result, seconds: 99, casesPerSecond: 9 }])).toBe(page);
  });
});

test("every deviation goes against a rule that is none of QEMU's", () => {
  for (const [flag, rule] of Object.entries(brokenRules)) {
    expect([flag, ruleOf(rule).force]).not.toEqual([flag, "erratum"]);
    expect(ruleOf(ruleOfDeviation(flag as Deviation)).text).not.toBe("");
  }
});

/** Deviations that cannot come out: the capabilities hide them, or another deviation does. */
const hidden: ReadonlySet<Deviation> = new Set([
  "unknownSourcePasses",
  "guestModeRefused",
  "xtByCapability",
  "typeFromData",
]);

/** Each deviation that a machine may lack. */
const planted: readonly (readonly [string, Deviation, Profile])[] = [
  vtdQemu100,
  amdviQemu111,
  amdviQemu100,
].flatMap((profile: Profile) =>
  (profile.deviations as readonly Deviation[])
    .filter((flag) => !hidden.has(flag))
    .filter(
      (flag) => profile !== amdviQemu100 || !(amdviQemu111.deviations as readonly Deviation[]).includes(flag),
    )
    .map((flag) => [profile.name, flag, profile] as const),
);

/** Cases in which what was planted is looked for, and into how many parts they are cut. */
const cases = 6000;
const parts = 60;

test.each(planted)(
  "%s without %s is caught, and the smallest case is small",
  { timeout: longest },
  async (_, flag, profile) => {
    const machine = altered(profile, (flags) => flags.filter((one) => one !== flag));
    const target = new ModelTarget(machine);
    let found: string | undefined;
    for (let number = 0; number < parts && found === undefined; number++) {
      const share = { number, of: parts };
      const { unexplained } = await conform({ target, cases, share, tries: 0 });
      found = unexplained[0]?.id;
    }
    expect(found).toBeDefined();
    // The one case again: it is made smaller.
    const share = { number: Number(/\d+$/.exec(found!)![0]), of: cases };
    const { unexplained } = await conform({ target, cases, share });
    expect(unexplained).toHaveLength(1);
    const { smallest, differences } = unexplained[0]!;
    expect(differences.length).toBeGreaterThan(0);
    expect(JSON.stringify(smallest["setup"]).length + JSON.stringify(smallest["steps"]).length).toBeLessThan(
      900,
    );
    expect(readCaseFile("unexplained", JSON.stringify([smallest]))).toHaveLength(1);
  },
);

test.each([
  ["indexUnbounded", vtdQemu111],
  ["faultsNotRecorded", vtdQemu111],
  ["deviceReservedWide", amdviQemu111],
  ["eventLogDead", amdviQemu111],
] as const)(
  "a machine that has %s beside what its profile has is caught",
  { timeout: longest },
  async (flag, profile) => {
    const machine = altered(profile, (flags) => [...flags, flag]);
    const { disagreed, unexplained } = await conform({
      target: new ModelTarget(machine),
      cases: 600,
      tries: 30,
    });
    expect(disagreed).toBeGreaterThan(0);
    expect(unexplained.length).toBeLessThanOrEqual(20);
  },
);

describe("a spoilt sight is a disagreement:", () => {
  const spoil: readonly [string, (sight: Sight) => Sight][] = [
    ["a message more", (s) => ({ ...s, sent: [...s.sent, { address: 0xfee0_0000n, data: 1 }] })],
    ["a message less", (s) => ({ ...s, sent: s.sent.slice(1) })],
    [
      "another address",
      (s) => ({ ...s, sent: s.sent.map((one) => ({ ...one, address: one.address ^ 8n })) }),
    ],
    [
      "another vector",
      (s) => ({ ...s, handed: s.handed.map((one) => ({ ...one, vector: one.vector ^ 1 })) }),
    ],
    [
      "another level",
      (s) => ({ ...s, handed: s.handed.map((one) => ({ ...one, level: one.level === 0 ? 1 : 0 })) }),
    ],
    [
      "another destination",
      (s) => ({ ...s, handed: s.handed.map((one) => ({ ...one, destination: one.destination ^ 1 })) }),
    ],
    [
      "another reason",
      (s) => ({ ...s, faults: s.faults.map((one, i) => (i === 2 ? one ^ (1n << 32n) : one)) }),
    ],
    ["another register", (s) => ({ ...s, registers: s.registers.map((one) => one ^ 1n) })],
    ["another word", (s) => ({ ...s, memory: s.memory.map((one) => one ^ 1) })],
    ["another IRR", (s) => ({ ...s, irr: s.irr === null ? null : s.irr.map(() => [0xfe]) })],
  ];
  test.each(spoil)("%s", { timeout: longest }, async (_, change) => {
    let calls = 0;
    const target = new ModelTarget(vtdQemu111, {
      sabotage: (sights) => (calls++ % 3 === 0 ? sights.map(change) : sights),
    });
    const { disagreed } = await conform({ target, cases: 300, seed: 2, tries: 0 });
    expect(disagreed).toBeGreaterThan(0);
  });

  test("no sight at all", async () => {
    const target = new ModelTarget(vtdQemu111, { sabotage: () => [] });
    const { disagreed, compared } = await conform({ target, cases: 30, tries: 0 });
    expect(disagreed).toBe(compared);
  });
});

test("a machine that shows eight bits of a destination is not compared in the others, and that is counted", async () => {
  const target = new ModelTarget(vtdQemu111, {
    sabotage: (sights) =>
      sights.map((sight) => ({
        ...sight,
        handed: sight.handed.map((one) => ({ ...one, destination: one.destination & 0xff })),
      })),
  });
  const { disagreed, notCompared } = await conform({ target, cases: 1000, tries: 0 });
  expect(disagreed).toBe(0);
  expect(Object.values(notCompared)).toEqual([expect.any(Number)]);
});

test("a machine that writes no fault records has that counted as not compared", async () => {
  const { notCompared, disagreed } = await conform({
    target: new ModelTarget(vtdQemu72),
    cases: 300,
    tries: 0,
  });
  expect(disagreed).toBe(0);
  expect(Object.values(notCompared)[0]).toBeGreaterThan(50);
});

test("what a machine refuses is run on the model only, by its reason", async () => {
  const target = new ModelTarget(vtdQemu111, {
    refusal: ({ scenes }) => (scenes.length > 1 ? "more than one scene" : undefined),
  });
  const { modelOnly, compared, cases } = await conform({ target, cases: 500, tries: 0 });
  expect(modelOnly["more than one scene"]).toBe(cases - compared);
  expect(compared).toBeLessThan(cases);
});

test("a run that is stopped tells what it has until then", async () => {
  const signal = { aborted: false };
  const onProgress = ({ done }: ConformProgress): void => void (signal.aborted = done >= 300);
  const target = new ModelTarget(vtdQemu111);
  const result = await conform({ target, cases: 100_000, batch: 100, signal, onProgress, tries: 0 });
  expect(result.aborted).toBe(true);
  expect(result.compared).toBeGreaterThanOrEqual(200);
  expect(result.compared).toBeLessThan(1000);
});

test("a machine's failure ends the run", async () => {
  const target = new ModelTarget(vtdQemu111);
  const broken = Object.assign(Object.create(target) as ModelTarget, {
    name: "broken",
    vendor: target.vendor,
    profile: target.profile,
    processors: 4,
    refusal: () => undefined,
    run: () => Promise.reject(new Error("it died")),
  });
  await expect(conform({ target: broken, cases: 10 })).rejects.toThrow("it died");
});

test("a machine of an unknown profile is refused", async () => {
  const target = new ModelTarget(vtdQemu111, { claims: "vtd-qemu-1.0" });
  await expect(async () => conform({ target })).rejects.toThrow("no profile vtd-qemu-1.0");
});

test("profiles of other versions are told apart", async () => {
  const mixed: readonly [VtdProfile | AmdviProfile, string][] = [
    [vtdQemu72, "vtd-qemu-10.0"],
    [amdviQemu100, "amdvi-qemu-11.1"],
  ];
  for (const [machine, claims] of mixed) {
    const { disagreed } = await conform({
      target: new ModelTarget(machine, { claims }),
      cases: 500,
      tries: 0,
    });
    expect(disagreed).toBeGreaterThan(0);
  }
});
