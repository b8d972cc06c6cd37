import { Check, type CheckResult } from "@intremap/core";
import { beforeAll, describe, expect, test } from "vitest";
import { type Boot, bootLines } from "../packages/cli/src/testing/captured-boot.ts";
import { type Seed, seeds, sown } from "./seed-hazards.ts";

let boots: Record<Boot, string[]>;

beforeAll(async () => {
  boots = { intel: await bootLines("intel"), amd: await bootLines("amd") };
});

function checked(lines: readonly string[], profile: string | undefined): CheckResult {
  const check = new Check({ profile });
  check.feed(Buffer.from(`${lines.join("\n")}\n`, "latin1"));
  return check.finish();
}

function found(seed: Seed): object[] {
  const { hazards, hazardCount } = checked(sown(seed, boots[seed.boot]), seed.profile);
  expect(hazards).toHaveLength(hazardCount);
  return hazards.map(({ rule, index }) => (seed.index === undefined ? { rule } : { rule, index }));
}

describe("a hazard sown into a real boot", { timeout: 60_000 }, () => {
  test.each(seeds.map((seed) => [seed.id, seed] as const))("is found, and nothing else: %s", (_id, seed) => {
    expect(found(seed)).toEqual([
      seed.index === undefined ? { rule: seed.rule } : { rule: seed.rule, index: seed.index },
    ]);
  });

  test("is not there before it is sown, under any profile that a seed is checked under", () => {
    const under = new Map(
      seeds.map(({ boot, profile }) => [`${boot} ${profile}`, { boot, profile }] as const),
    );
    for (const { boot, profile } of under.values()) {
      expect({ boot, profile, hazards: checked(boots[boot], profile).hazards }).toEqual({
        boot,
        profile,
        hazards: [],
      });
    }
  });

  test("has an id of its own", () => {
    expect(new Set(seeds.map(({ id }) => id)).size).toBe(seeds.length);
  });
});
