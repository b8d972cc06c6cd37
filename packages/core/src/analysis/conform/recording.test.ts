import { readFileSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { describe, expect, test } from "vitest";
import { amdviQemu100, amdviQemu111 } from "../../hardware/amdvi/profile.ts";
import { vtdQemu100, vtdQemu111, vtdStrict } from "../../hardware/vtd/profile.ts";
import { ModelOnly } from "../conformance/stage.ts";
import { type CorpusFile, readCorpus } from "./corpus.ts";
import { Model, type Profile, isVtd, runOnModel } from "./model.ts";
import { reasons } from "./reasons.ts";
import { type CaseRecord, recordCase } from "./recording.ts";

const folder = fileURLToPath(new URL("../../../../../cases", import.meta.url));
const corpusFiles: readonly CorpusFile[] = readdirSync(folder, { recursive: true, encoding: "utf8" })
  .filter((name) => name.endsWith(".json") && name !== "case.schema.json")
  .sort()
  .map((name) => ({ name, content: readFileSync(join(folder, name), "utf8") }));

/** How many cases of the corpus can be put before a machine, and why the others cannot. */
function coverage(profile: Profile): Record<string, number> {
  const model = new Model(profile);
  const counts: Record<string, number> = {};
  for (const { record, modelOnly } of corpusFiles.flatMap((file) =>
    readCorpus(file, isVtd(profile) ? "intel" : "amd"),
  )) {
    let reason = modelOnly ?? "run";
    try {
      if (modelOnly === undefined) {
        const { script, sights } = recordCase(record, model);
        expect(runOnModel(script, profile), record.id).toEqual(sights);
      }
    } catch (error) {
      if (!(error instanceof ModelOnly)) throw error;
      reason = error.message;
    }
    counts[reason] = (counts[reason] ?? 0) + 1;
  }
  return counts;
}

test.each([
  [vtdQemu100, 190],
  [amdviQemu100, 140],
] as const)(
  "most of the corpus' cases about the unit of $name are scripts that replay",
  (profile, atLeast) => {
    const { run = 0, ...others } = coverage(profile);
    expect(run).toBeGreaterThanOrEqual(atLeast);
    const known: readonly string[] = Object.values(reasons);
    expect(Object.keys(others).filter((reason) => !known.includes(reason))).toEqual([]);
  },
);

const vtd = (record: object): CaseRecord => ({ id: "a", unit: "vtd", setup: {}, steps: [], ...record });
const amd = (record: object): CaseRecord => ({ id: "a", unit: "amdvi", setup: {}, steps: [], ...record });
const request = { msi: { address: "0xfee00010" } };

describe("a case that cannot be put before a machine says why", () => {
  test.each([
    ["capabilities", vtd({ setup: { ecap: { mhmv: 2 } } })],
    ["hostAddressWidth", vtd({ setup: { hostAddressWidth: "0x27" } })],
    ["compression", vtd({ setup: { compression: 0 } })],
    ["posting", vtd({ setup: { pids: { "0x200000": {} } } })],
    ["posting", vtd({ steps: [{ pids: { "0x200000": {} } }] })],
    ["access", vtd({ steps: [{ access: { kind: "read", address: "0xfee00000", length: 4 } }] })],
    ["sweep", vtd({ steps: [{ sweep: { shv: 0, subhandle: 0 } }] })],
    ["records", vtd({ steps: [{ clearRecord: 1 }] })],
    ["cpuCache", vtd({ steps: [{ flush: { address: "0x100000", length: 64 } }] })],
    ["readError", vtd({ steps: [{ readError: { address: "0x100000", length: 64 } }] })],
    ["readError", vtd({ steps: [{ heal: {} }] })],
    ["capabilities", amd({ setup: { efr: { xtsup: 1 } } })],
    ["capabilities", amd({ setup: { efr2: { numintremapsup: 1 } } })],
    ["access", amd({ steps: [{ malformed: { address: "0xfee00000" } }] })],
    ["readError", amd({ steps: [{ readError: { address: "0x100000", length: 64 } }] })],
    ["guestPosting", amd({ steps: [{ msi: { data: 0 }, expect: { galog: [] } }] })],
  ] as const)("%s", (reason, record) => {
    const model = new Model(record["unit"] === "vtd" ? vtdQemu111 : amdviQemu111);
    expect(() => recordCase(record, model)).toThrow(new ModelOnly(reasons[reason]));
  });

  test.each([
    vtd({ setup: { cap: { nfr: 0 }, ecap: { mhmv: "0xf" }, hostAddressWidth: "0x34", compression: 1 } }),
    amd({ setup: { efr: { xtsup: 0 } } }),
  ])("but not where the machine happens to have what it asks for", (record) => {
    const model = new Model(record["unit"] === "vtd" ? vtdQemu111 : amdviQemu111);
    expect(recordCase(record, model).script.scenes).toHaveLength(1);
  });
});

test("a scene ends where the case looks, and holds what it looks at", () => {
  const record = vtd({
    steps: [
      { ...request, expect: { registers: { GSTS: {}, FRCD0: {} } } },
      request,
      { ...request, repeat: 3, expect: { memory: { "0x600000": 0 } } },
      request,
    ],
  });
  const { script, sights } = recordCase(record, new Model(vtdQemu111), true);
  const requests = script.scenes.map(({ deeds }) => deeds.filter(({ does }) => does === "msi").length);
  expect(requests).toEqual([1, 4, 1]);
  expect(script.scenes.map(({ registers, memory }) => [registers, memory])).toEqual([
    [[{ offset: 0x1c, width: 32 }], []],
    [[], [0x60_0000]],
    [[], []],
  ]);
  expect(sights.map(({ registers, memory, irr }) => [registers, memory, irr!.length])).toEqual([
    [[0x700_0000n], [], 4],
    [[], [0], 4],
    [[], [], 4],
  ]);
});

test("what software reads is what the machine's profile answers", () => {
  const record = vtd({ setup: { queue: { base: "0x700000", qs: 1 } }, steps: [{ invalidate: "global" }] });
  const { script } = recordCase(record, new Model(vtdStrict));
  const invalidation = script.scenes[0]!.deeds.find(({ does }) => does === "memory");
  expect(invalidation).toMatchObject({ address: 0x70_0000 });
});

test("a unit's own message is a deed of its own", () => {
  const message = { address: "0xfee03000", data: "0x26" };
  const { script } = recordCase(amd({ setup: { message }, steps: [] }), new Model(amdviQemu111));
  const deed = script.scenes[0]!.deeds.find(({ does }) => does === "ownMessage");
  expect(deed).toEqual({ does: "ownMessage", address: 0xfee0_3000n, data: 0x26 });
});
