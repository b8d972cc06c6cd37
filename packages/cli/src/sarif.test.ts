import { readFileSync } from "node:fs";
import { type RuleId, rules } from "@intremap/core";
import { Ajv } from "ajv";
import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { type SarifFinding, type SarifRemark, sarifLog } from "./sarif.ts";

const schema = JSON.parse(
  readFileSync(new URL("testing/sarif-2.1.0/sarif-schema-2.1.0.json", import.meta.url), "utf8"),
) as object;
const ajv = new Ajv({ strict: false, validateFormats: false, unicodeRegExp: false });
const valid = ajv.compile(schema);

function violations(log: unknown): unknown[] {
  return valid(log) ? [] : valid.errors!;
}

const ruleIds = Object.keys(rules) as RuleId[];
const place = fc.record({
  file: fc.constantFrom("-", "boot.log", "a b/c#d.log.xz", "/tmp/x y.log", "../up.log", "c:d.log"),
  line: fc.option(fc.integer({ min: 1 })),
});
const sentence = fc.string({ minLength: 1 });
const finding: fc.Arbitrary<SarifFinding> = fc.record({
  rule: fc.constantFrom(...ruleIds),
  found: sentence,
  fix: fc.option(sentence),
  place: fc.oneof(
    place,
    fc.record({ kind: fc.constantFrom("unit", "device"), name: sentence, qualified: sentence }),
  ),
  related: fc.array(
    fc.tuple(place, sentence).map(([where, what]) => ({ file: where.file, line: where.line, what })),
    { maxLength: 2 },
  ),
  properties: fc.dictionary(fc.string(), fc.option(fc.integer())),
});
const remark: fc.Arbitrary<SarifRemark> = fc.record({
  rule: fc.option(fc.constantFrom(...ruleIds)),
  text: sentence,
});

const one: SarifFinding = {
  rule: "amdvi.cache.interrupt-table",
  found: "The entry changed.",
  fix: "Invalidate it.",
  place: { file: "traces/boot 1.log", line: 12 },
  related: [{ file: "traces/boot 1.log", line: 7, what: "it began here" }],
  properties: { index: 3 },
};

describe("a SARIF log", () => {
  test("is what the schema of SARIF 2.1.0 asks for, whatever was found", () => {
    fc.assert(
      fc.property(
        fc.array(finding, { maxLength: 8 }),
        fc.array(remark, { maxLength: 4 }),
        (findings, remarks) => {
          expect(violations(sarifLog(findings, remarks))).toEqual([]);
        },
      ),
      { numRuns: 60 },
    );
  });

  test.each([
    ["the version", [], { version: "2.0.0" }],
    ["the tool", ["runs", 0], { tool: undefined }],
    ["a result's level", ["runs", 0, "results", 0], { level: "bad" }],
    ["a result's keys", ["runs", 0, "results", 0], { extra: 1 }],
    ["a line", ["runs", 0, "results", 0, "locations", 0, "physicalLocation", "region"], { startLine: 0 }],
  ])("breaks that schema when a part of it is broken: %s", (_what, path, change) => {
    const log = JSON.parse(JSON.stringify(sarifLog([one], []))) as Record<string, unknown>;
    expect(violations(log)).toEqual([]);
    let part: Record<string, unknown> = log;
    for (const key of path) part = part[key] as Record<string, unknown>;
    Object.assign(part, change);
    expect(violations(JSON.parse(JSON.stringify(log)))).not.toEqual([]);
  });

  test("names each rule once, with sentence, section and force, and each result by its rule", () => {
    const other: RuleId = "amdvi.irte.reserved";
    const { tool, results } = sarifLog([one, { ...one, rule: other }, one], []).runs[0]!;
    expect(tool.driver.rules!.map(({ id }) => id)).toEqual([one.rule, other]);
    expect(results!.map(({ ruleIndex }) => ruleIndex)).toEqual([0, 1, 0]);
    expect(tool.driver.rules![0]).toMatchObject({
      shortDescription: { text: rules[one.rule].text },
      help: { text: expect.stringContaining(`${rules[one.rule].section} (may)`) as unknown },
      defaultConfiguration: { level: "warning" },
      properties: { section: rules[one.rule].section, force: "may" },
    });
    expect(results!.map(({ level }) => level)).toEqual(["warning", "error", "warning"]);
  });

  test("places a result at file and line, with the fix as text", () => {
    expect(sarifLog([one], []).runs[0]!.results![0]).toMatchObject({
      message: { text: "The entry changed. Fix: Invalidate it." },
      locations: [
        { physicalLocation: { artifactLocation: { uri: "traces/boot%201.log" }, region: { startLine: 12 } } },
      ],
      relatedLocations: [
        { message: { text: "it began here" }, physicalLocation: { region: { startLine: 7 } } },
      ],
      properties: { fix: "Invalidate it.", index: 3 },
    });
  });

  test.each([
    ["-", "stdin"],
    ["/tmp/a b.log", "file:///tmp/a%20b.log"],
    ["../c:d#.log", "../c%3Ad%23.log"],
  ])("writes the file %s as %s", (file, uri) => {
    const { results } = sarifLog([{ ...one, place: { file, line: null } }], []).runs[0]!;
    expect(results![0]!.locations).toEqual([{ physicalLocation: { artifactLocation: { uri } } }]);
  });

  test("places a result at a part of a machine, as grave as it is said to be", () => {
    const subject = { kind: "entry", name: "entry 21 of dmar0", qualified: "host/entry/entry 21 of dmar0" };
    expect(sarifLog([{ ...one, place: subject, level: "note" }], []).runs[0]!.results![0]).toMatchObject({
      level: "note",
      locations: [
        {
          logicalLocations: [{ kind: "entry", name: subject.name, fullyQualifiedName: subject.qualified }],
        },
      ],
    });
  });

  test("holds what was not looked at as notes of the run", () => {
    const { invocations, results } = sarifLog([], [{ rule: null, text: "entry writes: not in a trace" }])
      .runs[0]!;
    expect(results).toEqual([]);
    expect(invocations).toEqual([
      {
        executionSuccessful: true,
        toolExecutionNotifications: [{ level: "note", message: { text: "entry writes: not in a trace" } }],
      },
    ]);
  });
});
