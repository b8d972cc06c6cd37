import { mkdtempSync, readFileSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, expect, test } from "vitest";
import { exposition } from "../exposition.ts";
import { run } from "../program.ts";
import { capturePath, capturedHosts } from "../testing/captured-host.ts";
import { testIo } from "../testing/test-io.ts";

const folder = mkdtempSync(join(tmpdir(), "intremap-metrics-"));
afterAll(() => rmSync(folder, { recursive: true }));

const name = "[a-zA-Z_:][a-zA-Z0-9_:]*";
const label = '[a-zA-Z_][a-zA-Z0-9_]*="(?:[^"\\\\\\n]|\\\\[\\\\"n])*"';
const grammar = {
  help: new RegExp(`^# HELP (${name}) (?:[^\\\\]|\\\\[\\\\n])*$`),
  type: new RegExp(`^# TYPE (${name}) (?:counter|gauge)$`),
  sample: new RegExp(`^(${name})(\\{${label}(?:,${label})*\\})? -?\\d+(?:\\.\\d+)?$`),
};

/** Names of the families of a text; complains of the first line that breaks the text format. */
function families(text: string): string[] {
  expect(text.endsWith("\n")).toBe(true);
  const found: string[] = [];
  const series = new Set<string>();
  let state: "help" | "type" | "sample" = "help";
  for (const line of text.slice(0, -1).split("\n")) {
    if (state === "sample" && line.startsWith("#")) state = "help";
    const match = grammar[state].exec(line);
    if (match === null) throw new Error(`not a ${state}: ${line}`);
    if (state === "help") found.push(match[1]!);
    else expect(match[1]).toBe(found.at(-1));
    if (state === "sample") {
      const one = line.slice(0, line.lastIndexOf(" "));
      expect(series).not.toContain(one);
      series.add(one);
    }
    state = state === "help" ? "type" : "sample";
  }
  expect(new Set(found).size).toBe(found.length);
  return found;
}

test.each(capturedHosts)("metrics of %s are in the text format", async (host) => {
  const io = testIo();
  expect(await run(["metrics", "--from", capturePath(host)], io)).toBe(0);
  expect(families(io.out())).toEqual(
    expect.arrayContaining(["intremap_interrupts", "intremap_unit_remapping", "intremap_log_faults"]),
  );
});

test("labels are escaped, whatever they hold", () => {
  const labels = { command: 'a"b\\c\nd\ud800' };
  const text = exposition([
    { name: "x", help: "back\\slash\nline", type: "gauge", samples: [{ labels, value: 1 }] },
  ]);
  expect(families(text)).toEqual(["x"]);
  expect(text).toContain('x{command="a\\"b\\\\c\\nd\ufffd"} 1\n');
});

test("--out replaces the file and leaves nothing beside it", async () => {
  const out = join(folder, "intremap.prom");
  for (const _ of [1, 2]) {
    const io = testIo();
    expect(await run(["metrics", "--from", capturePath("intel61-hold"), "--out", out], io)).toBe(0);
    expect(io.out()).toBe("");
    expect(readFileSync(out, "utf8")).toContain(
      'intremap_entries_present{unit="dmar0",mode="remapped"} 27\n',
    );
    expect(readdirSync(folder)).toEqual(["intremap.prom"]);
  }
});

test("--out into a folder that is not there is one line", async () => {
  const io = testIo();
  const out = join(folder, "none/x.prom");
  expect(await run(["metrics", "--from", capturePath("intel61-hold"), "--out", out], io)).toBe(2);
  expect(io.err()).toMatch(/^intremap: --out .*x\.prom: .*\n$/);
});
