import { mkdtempSync, rmSync } from "node:fs";
import { readFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { execFileSync } from "node:child_process";
import { Ajv } from "ajv";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { run } from "../program.ts";
import { type CapturedHost, capturePath, capturedHosts } from "../testing/captured-host.ts";
import { testIo } from "../testing/test-io.ts";

const schema = JSON.parse(
  readFileSync(new URL("../testing/sarif-2.1.0/sarif-schema-2.1.0.json", import.meta.url), "utf8"),
) as object;
const valid = new Ajv({ strict: false, validateFormats: false, unicodeRegExp: false }).compile(schema);

/** A captured host whose firmware wants to stay out of x2APIC mode, which is low, and whose sources are not checked, which is high. */
let faulty: string;
let folder: string;

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "intremap-audit-"));
  execFileSync("tar", ["--xz", "--extract", "--file", capturePath("intel61-hold"), "--directory", folder]);
  faulty = join(folder, "intel61-hold");
  execFileSync("sed", ["-i", "s/intel_iommu=on/& intremap=nosid kernel_name=a|b/", join(faulty, "cmdline")]);
  execFileSync("sh", [
    "-c",
    `printf '[9] DMAR-IR: x2apic is disabled because BIOS sets x2apic opt out bit.\\n' >> "$0/dmesg.txt"`,
    faulty,
  ]);
});

afterAll(() => rmSync(folder, { recursive: true }));

interface Ended {
  readonly status: number;
  readonly out: string;
  readonly err: string;
}

async function audit(...args: string[]): Promise<Ended> {
  const io = testIo(undefined, { NO_COLOR: "1" });
  const status = await run(["audit", ...args], io);
  return { status, out: io.out(), err: io.err() };
}

describe("audit", () => {
  test.each(capturedHosts)(
    "finds nothing above info in a sound host, and says what it did not see: %s",
    async (host: CapturedHost) => {
      const { status, out } = await audit("--from", capturePath(host), "--fail-on", "low");
      expect(status).toBe(0);
      expect(out).toContain("no findings");
      expect(out).toMatch(/^not checked /m);
    },
  );

  test("prints the gravest first, each with evidence, why, fix and rule", async () => {
    const { status, out } = await audit("--from", faulty);
    expect(status).toBe(1);
    expect(out.split("\n").slice(1, 10)).toEqual([
      expect.stringMatching(/^1 high, 1 low; \d+ rules checked, \d+ not$/),
      "",
      "high  this host",
      "  Source ids are not checked: intremap=nosid.",
      "  seen intremap=nosid: SVT is 0 in every entry (proc/cmdline)",
      "  why  Every entry takes interrupts from every function: one guest can send another's, and VFIO does",
      "       not notice.",
      "  fix  Take nosid from intremap=; a device that needs it is to be named to its maker, not trusted.",
      "  by   linux.ir.nosid (Linux 7.0 drivers/iommu/intel/irq_remapping.c, implementation-defined)",
    ]);
    expect(out.indexOf("low  DMAR")).toBeGreaterThan(out.indexOf("high  this host"));
  });

  test.each([
    ["info", 1],
    ["medium", 1],
    ["high", 1],
    ["never", 0],
  ])("with --fail-on %s ends with %i", async (severity, status) => {
    expect(await audit("--from", faulty, "--fail-on", severity)).toMatchObject({ status, err: "" });
  });

  test("prints one JSON document", async () => {
    const { out } = await audit("--from", faulty, "--json");
    expect((await audit("--from", faulty, "--format", "json")).out).toBe(out);
    const document = JSON.parse(out) as Record<string, unknown>;
    expect(document).toMatchObject({
      schema: "intremap/audit/1",
      source: faulty,
      vendor: "intel",
      findings: [
        {
          rule: "linux.ir.nosid",
          severity: "high",
          subject: { kind: "host", name: "this host" },
          evidence: [{ origin: { source: "proc/cmdline" } }],
          section: "Linux 7.0 drivers/iommu/intel/irq_remapping.c",
        },
        { rule: "audit.dmar.x2apic-opt-out", severity: "low" },
      ],
      omitted: 0,
    });
    expect(Object.keys(document)).toEqual([
      "schema",
      "source",
      "vendor",
      "findings",
      "omitted",
      "checked",
      "notChecked",
      "notApplicable",
      "missing",
    ]);
  });

  test("writes a SARIF 2.1.0 log with the parts of the host as places", async () => {
    const { status, out } = await audit("--from", faulty, "--format", "sarif");
    expect(status).toBe(1);
    const log = JSON.parse(out) as { runs: { results: object[]; invocations: object[] }[] };
    expect(valid(log) ? [] : valid.errors).toEqual([]);
    expect(log.runs[0]!.results).toMatchObject([
      {
        ruleId: "linux.ir.nosid",
        level: "error",
        locations: [{ logicalLocations: [{ kind: "host", name: "this host" }] }],
      },
      { ruleId: "audit.dmar.x2apic-opt-out", level: "note" },
    ]);
    expect(log.runs[0]!.invocations[0]).toMatchObject({
      toolExecutionNotifications: expect.arrayContaining([
        expect.objectContaining({
          properties: expect.objectContaining({ rule: "audit.entry.stale" }) as object,
        }),
      ]) as object[],
    });
  });

  test("writes Markdown in which nothing of the host is markup", async () => {
    const { out } = await audit("--from", faulty, "--format", "markdown");
    expect(out).toContain(
      "| high | this host | Source ids are not checked: intremap=nosid. | `linux.ir.nosid` |",
    );
    expect(out).toContain("## high: this host");
    expect(out).toContain("intel61-hold");
    expect(out).toContain("## Not checked");
    expect(out).not.toContain("\\\\");
  });

  test.each([
    [["--json", "--format", "sarif"], "--json with --format sarif"],
    [["--fail-on", "bad"], "--fail-on"],
    [["--format", "xml"], "--format"],
    [["--from", "/nonexistent-host"], "/nonexistent-host"],
  ])("refuses %j in one line", async (args, part) => {
    const { status, out, err } = await audit(...args);
    expect({ status, out }).toEqual({ status: 2, out: "" });
    expect(err).toMatch(/^intremap: [^\n]*\n$/);
    expect(err).toContain(part);
  });
});
