import { readFileSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { describe, expect, test } from "vitest";
import { type RuleId, ruleOf, rules } from "../../spec/rules.ts";
import { type ConformanceCase, readCaseFile, runCase } from "./case-file.ts";

const folder = fileURLToPath(new URL("../../../../../cases", import.meta.url));
const files = readdirSync(folder, { recursive: true, encoding: "utf8" })
  .filter((name) => name.endsWith(".json") && name !== "case.schema.json")
  .sort()
  .map((name) => {
    const content = readFileSync(join(folder, name), "utf8");
    return { name, content, cases: readCaseFile(name, content) };
  });
const cases: readonly ConformanceCase[] = files.flatMap((file) => file.cases);

describe.each(files)("$name", (file) => {
  describe.each(file.cases)("$id", (one) => {
    test.each(one.profiles)(`under %s: ${one.title}`, (profile) => {
      expect(runCase(one, profile).mismatches).toEqual([]);
    });
  });
});

test("with an observer the hardware decides the same", () => {
  const quick = cases.filter(({ id }) => !id.includes(".sweep-"));
  const differing = quick.filter((one) => !runCase(one, one.profiles[0]!, { record: () => {} }).passed);
  expect(differing.map(({ id }) => id)).toEqual([]);
});

describe("the corpus", () => {
  test("has at least 250 cases", () => {
    expect(cases.length).toBeGreaterThanOrEqual(250);
  });

  test("has no id twice", () => {
    const seen = new Set<string>();
    expect(cases.filter(({ id }) => seen.size === seen.add(id).size).map(({ id }) => id)).toEqual([]);
  });

  test("names sections that one of the case's rules is taken from", () => {
    const stray = cases.filter(
      ({ section, rules }) => !rules.some((id) => section.startsWith(ruleOf(id).section)),
    );
    expect(stray.map(({ id, section }) => `${id}: ${section}`)).toEqual([]);
  });

  test("is tagged where a case's first rule is not the document's own text", () => {
    const untagged = cases.filter(
      ({ rules, standing }) => ruleOf(rules[0]!).standing !== undefined && standing === null,
    );
    expect(untagged.map(({ id, rules }) => `${id}: ${rules[0]!}`)).toEqual([]);
  });

  // What an emulator keeps of the address is nothing that a fabric sees.
  const unseen: readonly RuleId[] = ["qemu.vtd.low-bits-kept"];

  test.each([
    "vtd.ir.",
    "vtd.irte.",
    "vtd.pid.",
    "vtd.post.",
    "vtd.iec.",
    "vtd.qi.",
    "vtd.fault.",
    "vtd.gcmd.",
    "amdvi.ir.",
    "amdvi.dte.",
    "amdvi.irte.",
    "amdvi.ga.",
    "amdvi.galog.",
    "amdvi.cache.",
    "amdvi.command.",
    "amdvi.event.",
    "vmx.evaluate",
    "vmx.deliver",
    "vmx.posted.",
    "vmx.ipi.",
    "vmx.eoi.",
    "vmx.pid.",
    "avic.ipi.",
    "ioapic.eoi.",
    "ioapic.message.",
    "qemu.vtd.",
    "qemu.amdvi.",
    "kvm.apic.",
    "qemu.apic.",
  ])("cites every rule of %s*", (prefix) => {
    const cited = new Set([...cases.flatMap((one) => one.rules), ...unseen]);
    const wanted = (Object.keys(rules) as RuleId[]).filter((id) => id.startsWith(prefix));
    expect(wanted.filter((id) => !cited.has(id))).toEqual([]);
    expect(wanted).not.toEqual([]);
  });
});

/** Of most cases one expectation is changed, at a place that moves from case to case; of some, many. */
function editsToMake(position: number, total: number): number {
  return Math.min(total, position % 16 === 0 ? 12 : 1);
}

describe("an edited expectation", () => {
  /** What stands in place of a word that has a counterpart. */
  const counterparts: Readonly<Record<string, string>> = {
    passed: "blocked",
    remapped: "posted",
    posted: "remapped",
    blocked: "remapped",
    refused: "written",
    written: "refused",
    read: "refused",
    physical: "logical",
    logical: "physical",
    edge: "level",
    level: "edge",
    sent: "lost",
    lost: "sent",
    pending: "sent",
    disabled: "sent",
    unallocated: "sent",
    fixed: "nmi",
    nmi: "smi",
  };
  /** What never happens where nothing is expected. */
  const additions: Readonly<Record<string, object>> = {
    apic: { accepted: ["0x7b"] },
    vmx: { vector: "0x7b" },
    avic: { vector: "0x7b" },
    ioapic: { value: "0x7b" },
    pci: { intx: true, value: "0x7b" },
  };

  type Node = { [key: string]: unknown };
  type Edit = () => void;

  function edited(value: unknown): unknown {
    if (value === null) return "0x7b";
    if (typeof value === "boolean") return !value;
    if (typeof value === "number") return value < 2 ? 1 - value : value - 1;
    const word = value as string;
    if (word.startsWith("0x")) return `0x${(BigInt(word) ^ 1n).toString(16)}`;
    return counterparts[word] ?? (/^[A-Z]/.test(word) ? "EVENT_COUNTER_ZERO" : "nmi");
  }

  /** Every way of changing one leaf below a node. */
  function editsOf(node: Node): Edit[] {
    return Object.entries(node).flatMap(([key, value]): Edit[] => {
      if (Array.isArray(value) && value.length === 0) return [() => void (node[key] = ["0x7b"])];
      if (typeof value === "object" && value !== null) return editsOf(value as Node);
      return [() => void (node[key] = edited(value))];
    });
  }

  function editsOfCase(one: Node, unit: string): Edit[] {
    const expectations = (one["steps"] as Node[]).flatMap(({ expect }) =>
      expect === undefined ? [] : [expect as Node],
    );
    const edits = expectations.flatMap(editsOf);
    if (edits.length > 0) return edits;
    return [() => void Object.assign(expectations[0]!, additions[unit])];
  }

  test.each(files)("of any case of $name makes the case fail", ({ name, content }) => {
    const survived: string[] = [];
    const { defaults, cases } = JSON.parse(content) as { defaults: Node; cases: Node[] };
    for (const [i, one] of cases.entries()) {
      const total = editsOfCase(structuredClone(one), String(defaults["unit"])).length;
      const edits = String(one["id"]).includes(".sweep-") ? 1 : editsToMake(i, total);
      for (let n = 0; n < edits; n++) {
        const copy = structuredClone(one);
        const at = (i + Math.floor((n * total) / edits)) % total;
        editsOfCase(copy, String(defaults["unit"]))[at]!();
        const [changed] = readCaseFile(name, JSON.stringify({ defaults, cases: [copy] }));
        if (changed!.profiles.every((profile) => runCase(changed!, profile).passed)) {
          survived.push(`${String(one["id"])}: edit ${at}`);
        }
      }
    }
    expect(survived).toEqual([]);
  });
});
