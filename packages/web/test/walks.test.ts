import { readFileSync, readdirSync } from "node:fs";
import { fileURLToPath } from "node:url";
import {
  MemoryBackend,
  type Scenario,
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

const names = readdirSync(folder)
  .filter((file) => file.endsWith(".yaml"))
  .map((file) => file.slice(0, -".yaml".length));

const scenarios = names.filter((name) => !long.has(name));

/** Every scenario, and each of its variants. */
const runs = names.flatMap((name) => {
  const { variants } = read(name);
  return [undefined, ...variants].map((variant) => ({ name, variant, title: keyOf(name, variant) }));
});

function keyOf(name: string, variant?: string): string {
  return variant === undefined ? name : `${name}, ${variant}`;
}

function read(name: string, variant?: string): Scenario {
  const tree: unknown = parse(readFileSync(`${folder}${name}.yaml`, "utf8"));
  return readScenario(name, tree, variant === undefined ? {} : { variant });
}

const walked = new Map<string, Promise<Walkthrough>>();

function walk(name: string, variant?: string): Promise<Walkthrough> {
  const key = keyOf(name, variant);
  let known = walked.get(key);
  if (known === undefined) {
    known = walkScenario(read(name, variant), {
      openImage: async (image) => new MemoryBackend(new Uint8Array(readFileSync(`${folder}${image}`))),
    });
    walked.set(key, known);
  }
  return known;
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

/** Vectors that processors take without that a local APIC has accepted them since they were last taken. */
function unaccepted(steps: readonly WalkStep[]): string[] {
  const accepted = new Set<string>();
  const wrong: string[] = [];
  for (const { stop, actor, title } of steps) {
    const vector = /(accepts|takes) (vector [0-9a-f]{2}h)$/.exec(title);
    if (stop !== "apic" || vector === null) continue;
    const which = `${actor}: ${vector[2]}`;
    if (vector[1] === "accepts") accepted.add(which);
    else if (!accepted.delete(which)) wrong.push(which);
  }
  return wrong;
}

describe("the walk through any scenario, and any variant of it", () => {
  test.each(runs)(
    "$title agrees with itself and with the run's account",
    async ({ name, variant }) => {
      const { result, steps } = await walk(name, variant);
      expect(unaccepted(steps)).toEqual([]);
      for (const [episode, { details }] of result.episodes.entries()) {
        const refused = details.flatMap((one) => /^refused by (\S+)$/.exec(one)?.[1] ?? []);
        const told = steps.filter((step) => step.episode === episode && step.title.endsWith(": refused"));
        expect(new Set(told.map(({ rule }) => rule))).toEqual(new Set(refused));
      }
    },
    60_000,
  );
});
