import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import zlib from "node:zlib";
import { Ajv } from "ajv";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { run as runProgram } from "../program.ts";
import { bootPath } from "../testing/captured-boot.ts";
import { testIo } from "../testing/test-io.ts";
import { type CheckFlags, check } from "./check.ts";

let folder: string;

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "intremap-"));
});

afterAll(() => rmSync(folder, { recursive: true }));

interface Run {
  readonly status: number;
  readonly out: string;
  readonly err: string;
}

async function run(
  trace: string,
  flags: CheckFlags = {},
  input: string | Uint8Array = "",
  isTTY = false,
): Promise<Run> {
  const world = testIo(input, { NO_COLOR: "1" });
  const status = await check(trace, flags, { ...world, stderr: { ...world.stderr, isTTY } });
  return { status, out: world.out(), err: world.err() };
}

function use(vector: string): string {
  return [
    "amdvi_ir_remap_msi_req addr 0xfee00000 data 0x3 devid 0x18",
    "amdvi_ir_intctl int_ctl 0x2",
    "amdvi_ir_irte addr 0x10000000 offset 0x30",
    `amdvi_ir_irte_ga_val hi ${vector} lo 0x141`,
    "",
  ].join("\n");
}

/** Uses of 60 entries. */
function uses(vector: string): string {
  const one = (_: unknown, i: number): string =>
    use(vector).replace("offset 0x30\n", `offset 0x${(i * 16).toString(16)}\n`);
  return Array.from({ length: 60 }, one).join("");
}

const stale =
  "amdvi_devtab_inval device table entry for devid: 01:03.0 invalidated\n" +
  use("0x30") +
  use("0x31") +
  "amdvi_new_event x\n";

const schemaFile = fileURLToPath(new URL("../testing/sarif-2.1.0/sarif-schema-2.1.0.json", import.meta.url));

describe("the command check", () => {
  test.each([
    ["intel", "VT-d, 92,966 lines, profile vtd-strict\nno hazard\n"],
    ["amd", "AMD-Vi, 66,852 lines, profile amdvi-strict\nno hazard\n"],
  ] as const)("finds the %s boot clean, and says what was not checked", async (boot, start) => {
    const { status, out, err } = await run(bootPath(boot));
    expect({ status, err }).toEqual({ status: 0, err: "" });
    expect(out.slice(0, start.length)).toBe(start);
    expect(out).toMatch(/^not checked /m);
    expect(out).toMatch(/^ignored [\d,]+ lines of \d+ events that check has no use for$/m);
  });

  test("prints a hazard with its lines, entry, device, fix and rule", async () => {
    const { status, out } = await run("-", {}, stale);
    expect(status).toBe(1);
    expect(out).toContain(
      [
        "AMD-Vi, 10 lines, profile amdvi-strict",
        "1 hazard",
        "",
        "line 6, since line 2, index 3 (0x3) of 01:03.0",
        "  The entry of index 3 of xx:03.0 is 0x31 0x141, was 0x30 0x141, and no INVALIDATE_INTERRUPT_TABLE",
        "  came between: hardware may still use the old one.",
        "  fix  Issue INVALIDATE_INTERRUPT_TABLE for the device after the entry is written, then",
        "       COMPLETION_WAIT.",
        "  by   amdvi.check.entry-changed (AMD-Vi 3.11 §2.4.5, shall, unverified)",
        "",
        "not checked",
      ].join("\n"),
    );
    expect(out).toContain("skipped 1 line, the first is line 10: unknown event amdvi_new_event\n");
  });

  test("prints no more hazards than one can read, and counts the rest", async () => {
    const { out } = await run("-", {}, uses("0x30") + uses("0x31"));
    expect(out).toContain("\n60 hazards\n");
    expect(out.match(/^line /gm)).toHaveLength(50);
    expect(out).toContain("\nand 10 more\n");
  });

  test("prints one JSON document", async () => {
    const { status, out } = await run("-", { json: true }, stale);
    expect(status).toBe(1);
    expect(JSON.parse(out)).toMatchObject({
      schema: "intremap/check/1",
      vendor: "amd",
      profile: "amdvi-strict",
      lines: 10,
      hazards: [{ rule: "amdvi.check.entry-changed", index: 3, requester: 0x118, at: 6, since: 2 }],
      hazardCount: 1,
      notChecked: expect.arrayContaining([
        { rule: "amdvi.ir.index-out-of-range", why: "IntTabLen is not in the trace", count: 2 },
      ]) as unknown,
      skipped: { "unknown event amdvi_new_event": { count: 1, line: 10 } },
    });
  });

  test("checks under the profile that is named, and clean ends with status 0", async () => {
    expect((await run("-", { profile: "amdvi-qemu-7.2" }, stale)).status).toBe(0);
    await expect(run("-", { profile: "vtd-strict" }, stale)).rejects.toThrow(
      'standard input: profile "vtd-strict" is not for the unit of this trace, AMD-Vi',
    );
    await expect(run("-", { profile: "none" }, stale)).rejects.toThrow('profile "none": expected one of');
  });

  test("writes SARIF to a file beside the report, or to standard output in place of it", async () => {
    const file = join(folder, "hazards.sarif");
    const both = await run("-", { sarif: file, json: true }, stale);
    expect(JSON.parse(both.out)).toMatchObject({ schema: "intremap/check/1" });
    const alone = await run("-", { sarif: "-" }, stale);
    expect(alone.status).toBe(1);
    expect(alone.out).toBe(readFileSync(file, "utf8"));
    const log = JSON.parse(alone.out) as object;
    const ajv = new Ajv({ strict: false, validateFormats: false, unicodeRegExp: false });
    ajv.validate(JSON.parse(readFileSync(schemaFile, "utf8")) as object, log);
    expect(ajv.errors).toBe(null);
    expect(log).toMatchObject({
      runs: [
        {
          tool: { driver: { rules: [{ id: "amdvi.check.entry-changed" }] } },
          results: [
            {
              ruleId: "amdvi.check.entry-changed",
              locations: [
                { physicalLocation: { artifactLocation: { uri: "stdin" }, region: { startLine: 6 } } },
              ],
              relatedLocations: [{ physicalLocation: { region: { startLine: 2 } } }],
              properties: { index: 3, requester: "01:03.0", profile: "amdvi-strict" },
            },
          ],
        },
      ],
    });
  });

  test("refuses two documents on standard output, and a SARIF file that it cannot write", async () => {
    await expect(run("-", { sarif: "-", json: true }, stale)).rejects.toThrow("--sarif - with --json");
    await expect(run("-", { sarif: join(folder, "no", "x.sarif") }, stale)).rejects.toThrow(
      /^--sarif .*: no such file$/,
    );
  });

  test("reads compressed traces", async () => {
    expect((await run("-", {}, zlib.gzipSync(stale))).status).toBe(1);
  });

  test("names its input in every error", async () => {
    await expect(run("-", {}, "nothing\n")).rejects.toThrow("standard input: nothing to check in 1 lines");
    await expect(run("-", {}, "\0\n")).rejects.toThrow("standard input: line 1 holds zero bytes");
    await expect(run("/nowhere/trace.log")).rejects.toThrow("/nowhere/trace.log: no such file");
  });

  test("is a command of the program, with these options", async () => {
    const io = testIo(stale, { NO_COLOR: "1" });
    expect(await runProgram(["check", "-", "--profile", "amdvi-strict", "--sarif", "-"], io)).toBe(1);
    expect(JSON.parse(io.out())).toMatchObject({ version: "2.1.0" });
    const refused = testIo("nothing\n");
    expect(await runProgram(["check", "-"], refused)).toBe(2);
    expect(refused.err()).toMatch(/^intremap: standard input: nothing to check in 1 lines: .*\n$/);
  });
});
