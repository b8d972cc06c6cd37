import { readFileSync } from "node:fs";
import { ShapeError, readScenario } from "@intremap/core";
import { expect, test } from "vitest";

const page = readFileSync(new URL("../../../scenarios/README.md", import.meta.url), "utf8");

const device = { at: "01:00.0", msix: 2 };
const draft = {
  title: "A title",
  kernel: "7.0",
  machine: { vendor: "intel", firmware: { hpet: true } },
  devices: { nic: device },
  vms: { guest: { devices: ["nic"] } },
  script: [] as unknown[],
};

/** What the reader says that it expects where it finds a key or an action that it does not know. */
function known(tree: object): string[] {
  try {
    readScenario("draft", tree);
  } catch (error) {
    if (!(error instanceof ShapeError)) throw error;
    const list = /^unknown (?:key|action), expected (?:one of )?(.*)$/.exec(error.complaint);
    if (list !== null) return list[1]!.split(", ");
    throw error;
  }
  throw new Error("nothing was unknown");
}

/** The cells of a section's table in the page, row by row, without its header. */
function rows(heading: string): string[][] {
  const section = page.split(/^#+ /m).find((text) => text.startsWith(`${heading}\n`));
  return [...(section ?? "").matchAll(/^\| (.*) \|$/gm)].slice(2).map(([, row]) => row!.split(/ ?\| ?/));
}

/** Names in backticks. */
function names(cell: string): string[] {
  return [...cell.matchAll(/`([\w-]+)`/g)].map(([, name]) => name!);
}

const unknown = { "no-such-key": 1 };
const places: readonly [heading: string, tree: object][] = [
  ["The file", { ...draft, ...unknown }],
  ["`parameters.NAME`", { ...draft, parameters: { n: unknown } }],
  ["`machine`", { ...draft, machine: unknown }],
  ["`machine.firmware`", { ...draft, machine: { vendor: "intel", firmware: unknown } }],
  ["`devices.NAME`", { ...draft, devices: { nic: unknown } }],
  ["`vms.NAME`", { ...draft, vms: { guest: unknown } }],
  ["Actions", { ...draft, script: [unknown] }],
  ["`expect`", { ...draft, expect: unknown }],
];

test.each(places)("the table of %s names every key that is read, and no other", (heading, tree) => {
  expect(
    rows(heading)
      .flatMap(([key]) => names(key!))
      .sort(),
  ).toEqual(known(tree).sort());
});

const actions = rows("Actions").map(([action, settings]) => [names(action!)[0]!, settings!] as const);
const withSettings = actions.filter(([, settings]) => names(settings).length > 0);

test.each(withSettings)("the settings of %s are all named, and no other", (action, settings) => {
  expect(names(settings).sort()).toEqual(known({ ...draft, script: [{ [action]: unknown }] }).sort());
});

test.each(actions.filter(([, settings]) => names(settings).length === 0))(
  "the action %s has no settings beside what it acts on",
  (action, settings) => {
    const subject = { "": null, DEVICE: "nic", VM: "guest", VCPU: "guest/0" }[settings];
    const { script } = readScenario("draft", { ...draft, script: [{ [action]: subject }] });
    expect(script).toEqual([expect.objectContaining({ do: action })]);
  },
);

test("the example is a scenario", async () => {
  const { parse } = await import("yaml");
  const [, example] = /^```yaml\n(.*?)^```/ms.exec(page)!;
  expect(readScenario("example", parse(example!)).expect).toEqual({ delivered: 40, lost: 0, posted: 4 });
});
