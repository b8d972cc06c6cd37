import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { run } from "./program.ts";
import { testIo } from "./testing/test-io.ts";

interface Outcome {
  readonly status: number;
  readonly out: string;
  readonly err: string;
}

async function call(args: readonly string[], input?: string | Uint8Array): Promise<Outcome> {
  const io = testIo(input);
  const status = await run(args, io);
  return { status, out: io.out(), err: io.err() };
}

async function json(args: readonly string[], input?: string): Promise<Record<string, unknown>> {
  return JSON.parse((await call([...args, "--json"], input)).out) as Record<string, unknown>;
}

const irte = ["0000000000040050", "000000800024000d"];
const posted = ["0000000100040050", "2345604000f78001"];
const fault =
  "DMAR: [INTR-REMAP] Request device [42:00.2] fault index 1600 [fault reason 37] Blocked a compatibility format interrupt request";

describe("the command line", () => {
  test.each([
    [["decod"], /^intremap: unknown command 'decod' \(Did you mean decode\?\)\n$/],
    [
      ["map", "host.tar.gz"],
      /^intremap: too many arguments for 'map'\..* What a host is read from is given with --from\.\n$/,
    ],
    [["collect", "host.tar.gz"], /^intremap: too many arguments for 'collect'\..* got 1\.\n$/],
    [["explain", "--jsn"], /^intremap: unknown option '--jsn' \(Did you mean --json\?\)\n$/],
    [
      ["decode", "irte", "1", "2", "--eime", "2"],
      /^intremap: option '--eime <bit>' argument '2' is invalid.*\n$/,
    ],
    [["decode", "irte"], /^intremap: missing required argument 'value'\n$/],
    [["decode", "foo", "1"], /^intremap: unknown kind "foo", expected one of irte.*, dmar, ivrs\n$/],
    [
      ["decode", "irte", "40050", "80002g000d"],
      /^intremap: value 2 "80002g000d": "g" at digit 6 is no hex digit\n$/,
    ],
    [["decode", "dmar", "/no/such/file"], /^intremap: \/no\/such\/file: no such file\n$/],
    [["decode", "dmar", "a", "b"], /^intremap: 2 values, expected one FILE\n$/],
    [["decode", "ivrs", "-"], /^intremap: IVRS: offset 0x0: expected a header.*\n$/],
    [["explain", "hello"], /^intremap: nothing understood; explain accepts .*\n$/],
    [["explain"], /^intremap: no text: .*\n$/],
  ])("%j ends in one line on stderr and status 2", async (args, message) => {
    const { status, out, err } = await call(args);
    expect({ status, out }).toEqual({ status: 2, out: "" });
    expect(err).toMatch(message);
  });

  test("help and version go to stdout, without a command help is shown", async () => {
    expect(await call(["--version"])).toMatchObject({ status: 0, out: "0.1.0\n", err: "" });
    expect((await call(["--help"])).out).toContain("Usage: intremap");
    expect((await call(["explain", "--help"])).out).toContain("intremap explain");
  });
});

describe("decode", () => {
  test("prints bits, names, values and meanings, then the rules that are broken", async () => {
    const { status, out, err } = await call(["decode", "irte", ...irte]);
    expect({ status, err }).toEqual({ status: 0, err: "" });
    expect(out).toContain("7:5    dlm    0      Delivery Mode: fixed\n");
    expect(out).toContain("breaks vtd.irte.xapic-destination with EIME=0: ");
    expect((await call(["decode", "cap", "0"])).out).toContain("breaks no rule\n");
    expect((await call(["decode", "msi", "fee00000", "4039"])).out).toContain(
      "read by AMD-Vi remapping: index 57\n",
    );
  });

  test("fails only for a rule that is broken whatever the settings", async () => {
    const statusWith = async (...flags: string[]): Promise<number> =>
      (await call(["decode", "irte", ...irte, ...flags])).status;
    expect(await statusWith()).toBe(0);
    expect(await statusWith("--eime", "0")).toBe(1);
    expect(await statusWith("--eime", "1")).toBe(0);
    expect((await call(["decode", "irte", ...posted])).status).toBe(0);
    expect((await call(["decode", "irte", ...posted, "--pi", "0"])).status).toBe(1);
    expect((await call(["decode", "amd-irte", "20", "20041", "--xten", "0"])).status).toBe(1);
  });

  test("has the keys of its schema", async () => {
    expect(await json(["decode", "irte", ...irte])).toEqual({
      schema: "intremap/decode/1",
      kind: "irte",
      mode: "remapped",
      title: "Interrupt Remapping Table Entry, remapped",
      section: "VT-d 5.10 §9.9",
      names: "spec",
      fields: {
        p: 1,
        fpd: 0,
        dm: 1,
        rh: 1,
        tm: 0,
        dlm: 0,
        avail: 0,
        im: 0,
        v: 36,
        dst: 128,
        sid: 80,
        sq: 0,
        svt: 1,
      },
      violations: [
        {
          rule: "vtd.irte.xapic-destination",
          section: "VT-d 5.10 §9.9",
          found: expect.any(String) as string,
          when: "EIME=0",
        },
      ],
      readings: [],
      notes: ["requester 00:0a.0"],
    });
    expect(await json(["decode", "irte", ...irte, "--names", "linux"])).toMatchObject({
      names: "linux",
      fields: { present: 1, dst_mode: 1 },
    });
  });

  test("reads a firmware table from a file or from standard input", async () => {
    const bytes = new Uint8Array(64);
    bytes.set(new TextEncoder().encode("DMAR"));
    bytes.set([64], 4);
    bytes.set([38, 1], 36);
    bytes.set([16], 50);
    bytes.set([0, 0x10, 0xd9, 0xfe], 56);
    bytes[9] = 256 - (bytes.reduce((sum, byte) => sum + byte, 0) % 256);
    const folder = mkdtempSync(join(tmpdir(), "intremap-"));
    try {
      const file = join(folder, "DMAR");
      writeFileSync(file, bytes);
      const fromFile = await call(["decode", "dmar", file]);
      expect(fromFile).toEqual(await call(["decode", "dmar", "-"], bytes));
      expect(fromFile.out).toContain("base 0xfed91000");
      expect(await json(["decode", "dmar", file])).toMatchObject({
        schema: "intremap/decode/1",
        kind: "dmar",
        mode: null,
        fields: { structures: [{ kind: "DRHD", base: 0xfed91000 }] },
      });
    } finally {
      rmSync(folder, { recursive: true });
    }
  });
});

describe("explain", () => {
  test("takes its text as one argument, as words, as lines, or from standard input", async () => {
    const reference = await json(["explain", fault]);
    expect(reference["findings"]).toMatchObject([{ reason: 0x25, requester: "42:00.2", index: null }]);
    expect(await json(["explain", ...fault.split(" ")])).toEqual(reference);
    expect(await json(["explain"], fault)).toEqual(reference);
    expect(await json(["explain", "-"], `${fault}\n`)).toEqual(reference);
    const two = ["INTR-REMAP: Request device [[f0:1f.7] fault index 48", "INTR-REMAP:[fault reason 34] x"];
    expect(await json(["explain", ...two])).toMatchObject({ findings: [{ reason: 0x22, index: 0x48 }] });
  });

  test("has the keys of its schema", async () => {
    const text = `${fault}\nAddress: 00000000fee00338  Data: 0000`;
    expect(await json(["explain", text])).toEqual({
      schema: "intremap/explain/1",
      understood: 2,
      findings: [
        {
          line: 1,
          kind: "interrupt",
          reason: 37,
          name: "Blocked a compatibility format interrupt request",
          rule: "vtd.ir.compatibility-blocked",
          section: "VT-d 5.10 §5.1.4",
          requester: "42:00.2",
          index: null,
          what: expect.any(String) as string,
          causes: expect.arrayContaining([expect.any(String)]) as string[],
          next: expect.arrayContaining([expect.any(String)]) as string[],
        },
      ],
      remarks: [{ line: 2, what: expect.stringContaining("index 25") as string }],
      omitted: 0,
    });
  });

  test("ends with 1 for findings and with 0 for what is in order", async () => {
    expect((await call(["explain", fault])).status).toBe(1);
    const clean = await call(["explain", "DMAR-IR: Enabled IRQ remapping in x2apic mode"]);
    expect(clean).toMatchObject({ status: 0, err: "" });
    expect(clean.out).toContain("nothing wrong in what was understood");
  });

  test("prints one finding for the same fault again and again, with its lines", async () => {
    const { out } = await call(["explain", Array.from({ length: 12 }, () => fault).join("\n")]);
    expect(out.match(/25h/g)?.length).toBeGreaterThan(0);
    expect(out.match(/^25h /gm)).toHaveLength(1);
    expect(out).toContain("12 times, lines 1, 2, 3, 4, 5, 6, 7, 8 and 4 more");
    expect(out).toContain("$ sudo lspci -vvs 42:00.2 | grep -A3 MSI");
  });

  test("says how much it left out", async () => {
    const { out } = await call(["explain", "-"], `${fault}\n`.repeat(10_003));
    expect(out).toContain("3 more findings and remarks are not shown");
  });

  test("survives binary input", async () => {
    const bytes = Uint8Array.from({ length: 100_000 }, (_, i) => (i * 7919) & 0xff);
    expect(await call(["explain"], bytes)).toMatchObject({ status: 2, out: "" });
  });
});
