import { describe, expect, test } from "vitest";
import { amdviQemu100, amdviQemu72 } from "../../hardware/amdvi/profile.ts";
import { vtdQemu100, vtdQemu72 } from "../../hardware/vtd/profile.ts";
import { readCaseFile } from "../conformance/case-file.ts";
import type { Deviation } from "./broken-rules.ts";
import { sameSights } from "./compare.ts";
import { DeviationFinder } from "./deviation-finder.ts";
import { generateCase, usualRequesters } from "./generate.ts";
import { Model, type Profile } from "./model.ts";
import { readyCase } from "./ready-case.ts";
import { recordCase } from "./recording.ts";

const vendors = [
  ["intel", vtdQemu100],
  ["amd", amdviQemu100],
] as const;

describe.each(vendors)("the cases of %s", (vendor, profile) => {
  const model = new Model(profile);
  const numbers = Array.from({ length: 400 }, (_, number) => number);

  test("are decided by seed and number alone", () => {
    const backwards = numbers.toReversed().map((number) => generateCase(vendor, 5, number));
    expect(numbers.map((number) => generateCase(vendor, 5, number))).toEqual(backwards.reverse());
    expect(new Set(numbers.map((number) => JSON.stringify(generateCase(vendor, 5, number)))).size).toBe(400);
    expect(generateCase(vendor, 6, 0).setup).not.toEqual(generateCase(vendor, 5, 0).setup);
  });

  test("are of the corpus' format, and the model does what their ready records say", () => {
    for (const number of numbers.slice(0, 60)) {
      const record = generateCase(vendor, 5, number);
      const rule = vendor === "intel" ? "vtd.ir.remap" : "amdvi.ir.remap";
      const ready = readyCase(record, vendor, profile.name, { id: "a.b", title: "It does.", rules: [rule] });
      const [one] = readCaseFile("generated", JSON.stringify([ready]));
      for (const name of one!.profiles) expect(one!.run(name, undefined)).toEqual([]);
    }
  });

  test("use the devices that they may, and memory of the first 16 MiB", () => {
    const allowed = [0x118, 0x2ff];
    for (const number of numbers) {
      const { script } = recordCase(generateCase(vendor, 5, number, allowed), model);
      for (const { deeds } of script.scenes) {
        for (const deed of deeds) {
          if (deed.does === "msi" && deed.requester !== null) expect(allowed).toContain(deed.requester);
          if (deed.does === "memory") expect(deed.address).toBeGreaterThanOrEqual(0x10_0000);
          if (deed.does === "memory") expect(deed.address).toBeLessThan(0x100_0000);
        }
      }
    }
  });

  test("end in the same sights again when their scripts are replayed, whatever ran before", () => {
    const recordings = numbers.map((number) =>
      recordCase(generateCase(vendor, 5, number), model, number % 10 === 0),
    );
    for (const { script, sights } of recordings.toReversed()) {
      expect(model.run(script)).toEqual(sights);
    }
    for (const { script, sights } of recordings.slice(0, 50)) {
      expect(new Model(profile).run(script)).toEqual(sights);
    }
  });
});

/** What a machine with these capabilities cannot show. */
const incapable: ReadonlySet<Deviation> = new Set([
  // No guest mode, no x2APIC, no more than 512 interrupts: with or without the deviation.
  "guestModeRefused",
  "xtByCapability",
  "typeFromData",
]);

/** Each deviation of a profile, with how many cases suffice to show it. */
function flagsOf(profile: Profile): (readonly [Deviation, Profile])[] {
  const flags: readonly Deviation[] = profile.deviations;
  return flags.filter((flag) => !incapable.has(flag)).map((flag) => [flag, profile]);
}

test.each([...flagsOf(vtdQemu100), ...flagsOf(vtdQemu72), ...flagsOf(amdviQemu100), ...flagsOf(amdviQemu72)])(
  "%s shows within 6,000 cases",
  (flag, profile) => {
    const finder = new DeviationFinder(profile, 4);
    const flags: readonly Deviation[] = profile.deviations;
    const vendor = "capability" in profile ? "intel" : "amd";
    // The requester whose id stands for none in QEMU is not among the usual ones.
    const requesters = flag === "unknownSourcePasses" ? [...usualRequesters, 0xffff] : usualRequesters;
    const without = finder.model(flags.filter((one) => one !== flag));
    for (let number = 0; number < 6000; number++) {
      const { script, sights } = recordCase(generateCase(vendor, 1, number, requesters), finder.own);
      const alone = finder.model([flag]).run(script);
      const shows = !sameSights(without.run(script), sights) || !sameSights(finder.strict(script), alone);
      if (shows) return;
    }
    expect.fail("no case shows it");
  },
);
