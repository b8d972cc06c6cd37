import { readFileSync, readdirSync } from "node:fs";
import { fileURLToPath } from "node:url";
import {
  MemoryBackend,
  type WalkStep,
  type Walkthrough,
  readScenario,
  rules,
  walkScenario,
} from "@intremap/core";
import { describe, expect, test } from "vitest";
import { parse } from "yaml";
import { run } from "../../cli/src/program.ts";
import { testIo } from "../../cli/src/testing/test-io.ts";
import { layoutNamed } from "../src/parts/layouts.ts";

const folder = fileURLToPath(new URL("../../../scenarios/", import.meta.url));

/** Their attackers try every message that there is, which takes seconds. */
const long = new Set(["dma-to-irt", "hostile-device", "nosid-spoof"]);

const scenarios = readdirSync(folder)
  .filter((file) => file.endsWith(".yaml"))
  .map((file) => file.slice(0, -".yaml".length))
  .filter((name) => !long.has(name));

function walk(name: string): Promise<Walkthrough> {
  const tree: unknown = parse(readFileSync(`${folder}${name}.yaml`, "utf8"));
  return walkScenario(readScenario(name, tree, {}), {
    openImage: async (image) => new MemoryBackend(new Uint8Array(readFileSync(`${folder}${image}`))),
  });
}

async function printed(name: string): Promise<unknown> {
  const io = testIo();
  await run(["run", name, "--json"], io);
  const { schema: _, compared: __, ...result } = JSON.parse(io.out()) as Record<string, unknown>;
  return result;
}

/** What is wrong with steps that a page is to show. */
function complaints(steps: readonly WalkStep[]): string[] {
  const wrong = new Set<string>();
  for (const { rule, section, thread, stack, actor, title } of steps) {
    if (title === "" || actor === "") wrong.add("no title or actor");
    if (rule !== null && rules[rule].section !== section) wrong.add(`${rule} has another section`);
    if (thread === null && stack.length > 0) wrong.add("a stack of no thread");
  }
  for (const { layout: name, what, before, value, fields } of new Set(steps.flatMap((one) => one.touched))) {
    const layout = layoutNamed(name);
    if (layout === undefined) {
      wrong.add(`${what}: no layout ${name}`);
      continue;
    }
    const strange = fields.filter((field) => !Object.hasOwn(layout.fields, field));
    if (strange.length > 0) wrong.add(`${what}: ${name} has no field ${strange.join(", ")}`);
    if ([before ?? 0n, value].some((one) => one < 0n || one >> BigInt(layout.width) !== 0n))
      wrong.add(`${what}: wider than ${name}`);
  }
  return [...wrong];
}

describe("the walk through a scenario that comes with the page", () => {
  test.each(scenarios)(
    "%s leads to what `run` prints, in steps that can be shown",
    async (name) => {
      const { result, steps, leftOut } = await walk(name);
      expect(JSON.parse(JSON.stringify(result))).toEqual(await printed(name));
      expect(leftOut).toBe(0);
      expect(complaints(steps)).toEqual([]);
      const begun = new Map<number, string>();
      for (const { request, stop } of steps) {
        if (request !== null && !begun.has(request)) begun.set(request, stop);
      }
      expect([...begun.values()].every((stop) => stop === "device")).toBe(true);
      expect([...begun.keys()]).toEqual([...begun.keys()].map((_, i) => i + 1));
      expect(steps.every(({ episode }) => result.episodes[episode] !== undefined)).toBe(true);
    },
    30_000,
  );
});
