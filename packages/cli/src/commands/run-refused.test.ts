import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, test } from "vitest";
import { callRun, changed, goodScenario } from "../testing/run-call.ts";

const folder = mkdtempSync(join(tmpdir(), "intremap-run-"));
afterAll(() => rmSync(folder, { recursive: true }));

describe("a bad scenario is refused with its place and what was expected:", () => {
  const cases: [string, string | Uint8Array, RegExp][] = [
    [
      "an unknown key",
      changed("vendor: intel", "vendor: intel, cpuz: 3"),
      /:3:27: machine\.cpuz: unknown key, expected vendor, profile, cpus/,
    ],
    [
      "0 CPUs",
      changed("vendor: intel", "cpus: 0, vendor: intel"),
      /:3:18: machine\.cpus: 0, expected a whole number from 1/,
    ],
    [
      "vector 300",
      changed("times: 3", "vector: 300"),
      /:11:39: script\[2\]\.interrupt\.vector: 300, expected one of 0 to 1$/,
    ],
    [
      "a VM without a device",
      changed("devices: [nic]", "devices: []"),
      /:7:3: vms\.guest: has no device, expected devices or/,
    ],
    [
      "a profile of the other vendor",
      changed("vendor: intel", "vendor: intel, profile: amdvi-strict"),
      /:3:36: machine\.profile: "amdvi-strict", expected vtd-strict, vtd-line-cache/,
    ],
    ["YAML that ends too early", changed("[1]", "[1"), /:7:\d+: Flow sequence/],
    ["tabs", changed("  nic:", "\tnic:"), /:5:1: Tabs are not allowed as indentation$/],
    ["two documents", `${goodScenario}---\n${goodScenario}`, /:13:1: a second document, expected one$/],
    ["the same key twice", `${goodScenario}title: again\n`, /:13:1: Map keys must be unique$/],
    ["a key that is a list", `${goodScenario}? [a, b]\n: 1\n`, /: unknown key, expected title/],
    ["the key __proto__", `${goodScenario}__proto__: { x: 1 }\n`, /:13:1: __proto__: unknown key/],
    [
      "an action that every object has",
      changed("  - start: guest", "  - toString"),
      /:9:5: script\[0\]\.toString: unknown action/,
    ],
    [
      "aliases that multiply",
      `a: &a [${"x,".repeat(9)}]\n${["ba", "cb", "dc", "ed", "fe"]
        .map(([to, from]) => `${to}: &${to} [${`*${from},`.repeat(9)}]\n`)
        .join("")}`,
      /:1:1: Excessive alias count/,
    ],
    [
      "an alias of what contains it",
      "title: &a [*a, *a]\n",
      /:1:1: nested more than 32 deep, expected a scenario$/,
    ],
    [
      "lists in lists in lists",
      `title: ${"[".repeat(40)}${"]".repeat(40)}\n`,
      /:1:1: nested more than 32 deep/,
    ],
    [
      "too many lists in lists",
      `title: ${"[".repeat(20_000)}`,
      /:1:\d+: nested too deep, expected a scenario$/,
    ],
    [
      "bytes that are no text",
      Uint8Array.from({ length: 999 }, (_, i) => (i * 37) & 0xff),
      /:\d+:\d+: .*expected an object$/,
    ],
    ["nothing", "", /:1:1: null, expected an object$/],
    ["a list", "- a\n", /:1:1: \["a"\], expected an object$/],
    ["more than can be meant", "#".repeat(2 << 20), /: more than 1 MiB, which is the most that is read$/],
  ];

  test.each(cases)("%s", async (_, text, message) => {
    const { status, out, err } = await callRun(["-"], text);
    expect({ status, out }).toEqual({ status: 2, out: "" });
    expect(err).toMatch(/^intremap: standard input:[^\n]+\n$/);
    expect(err.trimEnd()).toMatch(message);
  });

  test("a directory, and what is not there", async () => {
    expect(await callRun([folder])).toEqual({
      status: 2,
      out: "",
      err: `intremap: ${folder}: is a directory\n`,
    });
    const { status, out, err } = await callRun(["/nowhere.yaml"]);
    expect({ status, out }).toEqual({ status: 2, out: "" });
    expect(err).toMatch(
      /^intremap: there is no scenario and no file "\/nowhere\.yaml": expected a file or aff[^\n]+\n$/,
    );
  });

  test("an image that is not beside it", async () => {
    const text = changed("devices: [nic] }", "devices: [nic], disk: { image: ../up.img } }");
    const { status, err } = await callRun(["-"], text);
    expect(status).toBe(2);
    expect(err).toBe('intremap: image "../up.img": expected a file name, of a file beside the scenario\n');
  });
});
