import { describe, expect, test } from "vitest";
import { readCaseFile, runCase } from "./case-file.ts";

const good = {
  id: "vtd.test.one",
  title: "A case of a test.",
  rules: ["vtd.ir.not-present"],
  section: "VT-d 5.10 §5.1.4.1",
  unit: "vtd",
  setup: { irtes: { "0x5": { p: 0 } } },
  steps: [
    {
      msi: { address: "0xfee000b0" },
      expect: { outcome: "blocked", fault: { reason: "0x22", index: "0x5" } },
    },
  ],
};

function read(change: object) {
  return readCaseFile("a.json", JSON.stringify([{ ...good, ...change }]));
}

/** The good case's only step, changed. */
function step(change: object) {
  return { steps: [{ ...good.steps[0], ...change }] };
}

function expected(change: object) {
  return step({ expect: { ...good.steps[0]!.expect, ...change } });
}

describe("a case file", () => {
  test("may be a list of records, which run under the strict profile of their unit", () => {
    const [one] = read({});
    expect(one).toMatchObject({ id: "vtd.test.one", unit: "vtd", standing: null, profiles: ["vtd-strict"] });
    expect(runCase(one!, "vtd-strict")).toEqual({ passed: true, mismatches: [] });
  });

  test("may have defaults, of whose setup a record replaces single keys", () => {
    const { unit, setup, steps, ...rest } = good;
    const content = {
      defaults: { unit, setup: { ...setup, requester: "0x20" } },
      cases: [{ ...rest, setup: {}, steps }],
    };
    const [one] = readCaseFile("a.json", JSON.stringify(content));
    expect(runCase(one!, "vtd-strict").passed).toBe(true);
  });

  test("says in which step what was expected, and what was got instead", () => {
    const [one] = read(expected({ fault: { reason: "0x26", index: "0x5" } }));
    expect(runCase(one!, "vtd-strict").mismatches).toEqual([
      {
        step: 0,
        what: "fault",
        expected: { reason: "0x26", index: "0x5", recorded: true },
        got: { reason: "0x22", index: "0x5", recorded: true },
      },
    ]);
  });

  test("tells of what happened although nothing of the kind was expected", () => {
    const [one] = read(step({ expect: { outcome: "blocked" } }));
    expect(runCase(one!, "vtd-strict").mismatches).toMatchObject([{ what: "fault", expected: undefined }]);
  });

  test("takes the expectation of the nearest family", () => {
    const [right, wrong] = [{ outcome: "blocked" }, { outcome: "passed" }];
    const fault = { reason: "0x22", index: "0x5" };
    const byProfile = {
      otherwise: wrong,
      vtd: wrong,
      "vtd-qemu": { ...right, fault: { ...fault, recorded: false } },
    };
    const [one] = read({ profiles: ["vtd-qemu-7.2"], ...step({ expect: { byProfile } }) });
    expect(runCase(one!, "vtd-qemu-7.2").passed).toBe(true);
  });

  test("is run under the profiles only that a case names", () => {
    expect(() => runCase(read({})[0]!, "vtd-qemu-7.2")).toThrow(
      /vtd\.test\.one: profile "vtd-qemu-7\.2", expected vtd-strict/,
    );
  });

  test("repeats a step, and expects of the last time", () => {
    const [one] = read(
      step({
        repeat: 9,
        expect: { outcome: "blocked", fault: { reason: "0x22", index: "0x5", recorded: false } },
      }),
    );
    expect(runCase(one!, "vtd-strict").passed).toBe(true);
  });
});

describe("a case file is refused, and the message names file, case and key, for", () => {
  test.each([
    ["an unknown key", { surprise: 1 }, "a.json: vtd.test.one.surprise: unknown key"],
    ["an unknown key of the setup", { setup: { irte: {} } }, "a.json: vtd.test.one: setup.irte: unknown key"],
    [
      "an unknown field",
      { setup: { irtes: { "0x5": { present: 1 } } } },
      "setup.irtes.0x5.present: no field of the",
    ],
    [
      "a field that is too small",
      { setup: { irtes: { "0x5": { v: "0x100" } } } },
      "irte-remapped.v: 0x100 does not fit bits 23:16",
    ],
    [
      "an unknown key of a step",
      step({ surprise: 1 }),
      'steps[0].surprise: unknown key beside the action "msi"',
    ],
    ["an unknown action", { steps: [{ msg: {} }] }, 'steps[0], action: "msg", expected "msi" or'],
    [
      "an unknown key of an action",
      step({ msi: { adress: "0x0" } }),
      "steps[0].msi.adress: unknown key, expected address",
    ],
    [
      "an unknown expectation",
      expected({ outcom: "passed" }),
      "steps[0].expect.outcom: unknown key, expected outcome",
    ],
    [
      "a word that is none",
      expected({ outcome: "gone" }),
      'steps[0].expect.outcome: "gone", expected "passed" or',
    ],
    ["an unknown register", expected({ registers: { GSTSS: "0x0" } }), "steps[0].expect.registers.GSTSS: "],
    [
      "a key beside byProfile",
      step({ expect: { byProfile: { otherwise: {} }, outcome: "passed" } }),
      "expect.outcome: unknown key beside byProfile",
    ],
    [
      "a profile that does not run",
      step({ expect: { byProfile: { "vtd-qemu": {} } } }),
      "byProfile.vtd-qemu: none of the case's profiles",
    ],
    [
      "a profile without an expectation",
      { profiles: ["vtd-strict", "vtd-qemu"], ...step({ expect: { byProfile: { "vtd-qemu": {} } } }) },
      "expect.byProfile: nothing for vtd-strict",
    ],
    ["an unknown profile", { profiles: ["vtd-lax"] }, 'profiles: "vtd-lax" is none of vtd-strict'],
    [
      "an unknown rule",
      { rules: ["vtd.ir.none"] },
      'a.json: vtd.test.one.rules[0]: "vtd.ir.none" is no rule',
    ],
    ["an unknown unit", { unit: "pic" }, 'vtd.test.one.unit: "pic", expected "amdvi" or'],
    ["an id in capitals", { id: "VTD" }, "a.json: VTD.id: expected lower-case words"],
    ["no id", { id: undefined }, "a.json: case 0.id: expected lower-case words"],
    ["no title", { title: undefined }, "vtd.test.one.title: undefined, expected a text"],
    ["no steps", { steps: undefined }, "vtd.test.one: steps: missing, expected a list"],
    ["no expectation", step({ expect: undefined }), "vtd.test.one: steps: no step has an expectation"],
    [
      "hex in capitals",
      step({ msi: { address: "0xFEE000B0" } }),
      'msi.address: "0xFEE000B0", expected a number of 32 bits',
    ],
    [
      "a decimal of two digits",
      step({ msi: { address: 10 } }),
      "msi.address: 10, expected a number of 32 bits",
    ],
    ["a number that is too wide", step({ msi: { address: "0x1fee000b0" } }), "msi.address: "],
    ["a text that is too long", expected({ outcome: "x".repeat(100) }), "..., expected"],
    [
      "vectors out of order",
      expected({ pids: { "0x1000": { pir: ["0x31", "0x30"] } } }),
      "pir: expected vectors in ascending order",
    ],
    ["an endless repetition", step({ repeat: 1e9 }), "repeat: 1000000000, expected 1 to 4096"],
    ["a list instead of an object", { setup: [] }, "setup: [], expected an object"],
  ])("%s", (_name, change, message) => {
    expect(() => read(change)).toThrow(message);
  });

  test("text that is no JSON", () => {
    expect(() => readCaseFile("a.json", "{")).toThrow(/^a\.json: /);
  });

  test("a key of the defaults that every record replaces", () => {
    const content = JSON.stringify({ defaults: { unit: "vtd", setup: { irte: {} } }, cases: [] });
    expect(() => readCaseFile("a.json", content)).toThrow("a.json: defaults: setup.irte: unknown key");
  });

  test("neither a list nor an object with cases", () => {
    expect(() => readCaseFile("a.json", '{"case":[]}')).toThrow("a.json.case: unknown key, expected cases");
  });

  test.each([
    ["amdvi", { setup: { irtes: { "0x5": { irte64: {} } } } }, "form: "],
    [
      "amdvi",
      { setup: { irtes: { "0x5": { irte32: {}, irte128: {} } } } },
      'irte128: unknown key beside "irte32"',
    ],
    ["vtd", { steps: [{ submit: [{ iec: {}, wait: {} }], expect: {} }] }, 'wait: unknown key beside "iec"'],
    [
      "ioapic",
      { setup: { rtes: { "0x1": { compatibility: {}, amd: {} } } } },
      'amd: unknown key beside "compatibility"',
    ],
    [
      "pci",
      { setup: {}, steps: [{ readConfig: { offset: 0, width: 3 }, expect: {} }] },
      "width: 3, expected 1, 2 or 4",
    ],
  ])("two forms at once, or none that there is (%s)", (unit, change, message) => {
    const empty = { setup: {}, steps: [{ heal: {}, expect: {} }] };
    expect(() => read({ unit, ...empty, ...change })).toThrow(message);
  });
});

describe("a case that asks for what its machine lacks stops with its place", () => {
  test.each([
    ["apic", { apics: [{ id: 0 }] }, { eoi: { apic: 1 } }, "APIC 0x1: none of the setup's"],
    ["avic", { physical: {} }, { enter: { vcpu: 1 } }, "guest APIC 0x1: none of the setup's valid ones"],
    [
      "pci",
      { msi: { vectors: 3 } },
      { signal: { vector: 0 } },
      "setup.msi.vectors: 3, expected 1, 2, 4, 8, 16, 32",
    ],
  ])("%s", (unit, setup, action, message) => {
    const [one] = read({ unit, setup, steps: [{ ...action, expect: {} }] });
    expect(() => runCase(one!, one!.profiles[0]!)).toThrow(message);
  });
});
