import { readFileSync, readdirSync } from "node:fs";
import { type Layout, apicSpec, vtdSpec } from "@intremap/core";
import { expect, test } from "vitest";
import { linesOf, linesWith, tellingLines } from "../src/parts/bit-lines.ts";
import { layoutGroups, layoutNamed } from "../src/parts/layouts.ts";

const layouts = layoutGroups.flatMap(({ layouts }) => layouts);

test("every bit of every layout stands in one run of its field", () => {
  for (const layout of layouts) {
    const seen = new Map<number, string | null>();
    for (const { runs } of linesOf(layout)) {
      for (const { high, low, field } of runs) {
        for (let bit = low; bit <= high; bit++) {
          expect(seen.has(bit)).toBe(false);
          seen.set(bit, field);
        }
      }
    }
    expect(seen.size).toBe(layout.width);
    for (const [name, { parts }] of Object.entries(layout.fields)) {
      for (const [high, low] of parts)
        for (let bit = low; bit <= high; bit++) expect(seen.get(bit)).toBe(name);
    }
  }
});

test("the layouts that the page offers are those that spec declares", () => {
  const folder = new URL("../../core/src/spec/", import.meta.url);
  const named = readdirSync(folder, { recursive: true, encoding: "utf8" })
    .filter((file) => file.endsWith(".ts") && !file.includes("accessors") && !file.endsWith(".test.ts"))
    .flatMap((file) =>
      Array.from(readFileSync(new URL(file, folder), "utf8").matchAll(/^ {2}name: "([a-z0-9-]+)",$/gm)),
    )
    .map(([, name]) => name!);
  expect(named.length).toBeGreaterThan(100);
  expect(named.filter((name) => layoutNamed(name) === undefined)).toEqual([]);
  expect(new Set(layouts.map(({ name }) => name)).size).toBe(layouts.length);
});

function shown(layout: Layout, fields: string[], set: bigint): number[] {
  return linesWith(linesOf(layout), fields, set).map(({ low }) => low);
}

test("lines with some fields leave out the others, and quiet lines of a wide field", () => {
  const { postedDescriptor, irteRemapped } = vtdSpec;
  expect(shown(irteRemapped, ["sid"], 0n)).toEqual([64]);
  expect(shown(postedDescriptor, ["on"], 0n)).toEqual([256]);
  expect(shown(postedDescriptor, ["pir", "on"], 1n << 49n)).toEqual([256, 32]);
  expect(shown(postedDescriptor, ["pir"], 0n)).toEqual([0]);
  expect(shown(apicSpec.avicPhysicalEntry, [], 0n)).toEqual([32, 0]);
});

test("lines of zeros inside a wide field can be left out, and no line with a bit set is", () => {
  const lines = linesOf(vtdSpec.postedDescriptor);
  const lows = (set: bigint): number[] => tellingLines(lines, set).map(({ low }) => low);
  expect(lows(0n)).toEqual([320, 288, 256, 0]);
  expect(lows((1n << 511n) | (1n << 49n))).toEqual([480, 320, 288, 256, 32, 0]);
  for (const layout of layouts) {
    const shown = tellingLines(linesOf(layout), 0n).flatMap(({ runs }) => runs.map(({ field }) => field));
    for (const name of Object.keys(layout.fields)) expect(shown).toContain(name);
  }
});
