import { describe, expect, test } from "vitest";
import { amdviQemu100 } from "../../hardware/amdvi/profile.ts";
import { vtdQemu100 } from "../../hardware/vtd/profile.ts";
import type { Deviation } from "./broken-rules.ts";
import { sameSights } from "./compare.ts";
import { DeviationFinder } from "./deviation-finder.ts";
import { generateCase } from "./generate.ts";
import { recordCase } from "./recording.ts";

describe.each([
  ["intel", vtdQemu100],
  ["amd", amdviQemu100],
] as const)("for %s", (vendor, profile) => {
  const finder = new DeviationFinder(profile, 4);

  test("a set explains what was seen, and none of it can be spared", () => {
    const sizes = new Set<number>();
    for (let number = 0; number < 1500; number++) {
      const { script, sights } = recordCase(generateCase(vendor, 9, number), finder.own);
      const strict = finder.strict(script);
      const set = finder.explain(script, strict, sights);
      sizes.add(set.length);
      const explains = (flags: readonly Deviation[]): boolean =>
        sameSights(finder.model(flags).run(script), sights);
      expect(explains(set)).toBe(true);
      for (const flag of set) expect(explains(set.filter((one) => one !== flag))).toBe(false);
    }
    expect([0, 1, 2].every((size) => sizes.has(size))).toBe(true);
  });

  test("models of one memory do not see what another left in it", () => {
    for (let number = 0; number < 200; number++) {
      const { script, sights } = recordCase(generateCase(vendor, 11, number), finder.own);
      finder.strict(script);
      expect(finder.own.run(script)).toEqual(sights);
    }
  });
});
