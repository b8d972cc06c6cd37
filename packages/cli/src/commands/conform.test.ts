import { spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { fileURLToPath } from "node:url";
import {
  type ConformResult,
  amdviDeviations,
  amdviProfileNamed,
  vtdDeviations,
  vtdProfileNamed,
} from "@intremap/core";
import { afterEach, describe, expect, test } from "vitest";
import { run } from "../program.ts";
import { type FakeQemu, fakeQemu, isAlive, until, upTo } from "../testing/fake-qemu.ts";
import { packedCommand } from "../testing/packed-command.ts";
import { testIo } from "../testing/test-io.ts";

const qemu = process.env["INTREMAP_QEMU"] ?? "qemu-system-x86_64";
/** Where tests must run, a QEMU that is missing fails them. */
const isMissing = spawnSync(qemu, ["--version"]).status !== 0 && process.env["CI"] !== "true";
const longest = 240_000;
/** Where processes and threads are started. */
const patience = 60_000;
const page = fileURLToPath(new URL("../../../../docs/qemu-deviations.md", import.meta.url));

let fake: FakeQemu | undefined;

afterEach(() => {
  fake?.remove();
  fake = undefined;
});

async function call(...args: string[]): Promise<{ status: number; out: string; err: string }> {
  const io = testIo(undefined, { NO_COLOR: "1" });
  const status = await run(["conform", ...args], io);
  return { status, out: io.out(), err: io.err() };
}

/** The same in a program of its own, whose threads start at once. */
async function callPacked(...args: string[]): Promise<{ status: number; out: string; err: string }> {
  const child = spawn(process.execPath, [packedCommand(), "conform", ...args], {
    env: { ...process.env, NO_COLOR: "1" },
    stdio: ["ignore", "pipe", "pipe"],
  });
  const [out, err, [status]] = await Promise.all([
    text(child.stdout),
    text(child.stderr),
    once(child, "close") as Promise<[number]>,
  ]);
  return { status, out, err };
}

function withoutTimes(key: string, value: unknown): unknown {
  return key === "seconds" || key === "casesPerSecond" ? 0 : value;
}

/** What a run of a real QEMU finds, but for examples and times. */
async function countsOf(workers: number): Promise<object> {
  const command = ["--qemu", qemu, "--cases", "700", "--workers", String(workers), "--json"];
  const { status, out } = await callPacked(...command);
  const { known, runs } = JSON.parse(out, withoutTimes) as ConformResult & { runs: ConformResult[] };
  return { status, runs, known: known.map(({ flag, cases }) => [flag, cases]) };
}

describe("what cannot be run ends in one line and 2:", () => {
  test.each([
    [["--cases", "many"], '--cases "many": expected a whole number from 0 to 100000000'],
    [["--cases", "-1"], '--cases "-1": expected a whole number from 0 to 100000000'],
    [["--cases", "1000000000"], '--cases "1000000000": expected a whole number from 0 to 100000000'],
    [["--seed", "4294967296"], '--seed "4294967296": expected a whole number from 0 to 4294967295'],
    [["--workers", "0"], '--workers "0": expected a whole number from 1 to 64'],
    [["--workers", "65"], '--workers "65": expected a whole number from 1 to 64'],
    [["--workers", "all"], '--workers "all": expected a whole number from 1 to 64'],
    [["--cases", "0", "--no-corpus"], "--cases 0 without the corpus leaves nothing to run"],
    [
      ["--qemu", "/nowhere/qemu"],
      "/nowhere/qemu: no such program; install qemu-system-x86 10.0 or newer, or name one with --qemu",
    ],
  ])("%j", { timeout: patience }, async (args, message) => {
    expect(await call(...args)).toEqual({ status: 2, out: "", err: `intremap: ${message}\n` });
  });

  test.each(["--vendor=arm", "--target=bochs", "--bogus"])("%s", async (arg) => {
    const { status, out, err } = await call(arg);
    expect({ status, out }).toEqual({ status: 2, out: "" });
    expect(err).toMatch(/^intremap: [^\n]+\n$/);
  });

  test.each(["1", "2", "3"])(
    "a QEMU that dies in the middle, of %s",
    // The command does not wait for it as long as for one that hangs.
    { timeout: 25_000 },
    async (workers) => {
      fake = fakeQemu({ machine: upTo("exit 9") });
      const { status, out, err } = await callPacked(
        "--qemu",
        fake.path,
        "--vendor",
        "intel",
        "--workers",
        workers,
      );
      expect({ status, out }).toEqual({ status: 2, out: "" });
      expect(err).toBe(`intremap: ${fake.path}: QEMU 10.0.2: ended with status 9\n`);
      await until(() => !fake!.started().some(isAlive));
    },
  );

  test("one of several QEMUs that dies, while the others run", { timeout: patience }, async () => {
    const first = 'test "$(head -n 1 "$(dirname "$0")/started")" = $$';
    fake = fakeQemu({ machine: upTo(`if ${first}; then exit 9; else exec sleep 1000; fi`) });
    const { status, out, err } = await callPacked("--qemu", fake.path, "--vendor", "intel", "--workers", "2");
    expect({ status, out }).toEqual({ status: 2, out: "" });
    expect(err).toMatch(/^intremap: [^\n]*: QEMU 10\.0\.2: ended with status 9\n$/);
    await until(() => !fake!.started().some(isAlive));
  });

  test("no QEMU, for several workers", { timeout: patience }, async () => {
    expect((await callPacked("--qemu", "/nowhere/qemu", "--workers", "2")).err).toMatch(
      /^intremap: \/nowhere\/qemu: no such program; [^\n]*\n$/,
    );
  });
});

describe("no QEMU outlives the command that is ended by", () => {
  test.each([
    ["SIGINT", 130, 1],
    ["SIGTERM", 143, 1],
    ["SIGKILL", null, 1],
    ["SIGINT", 130, 2],
    ["SIGTERM", 143, 2],
    ["SIGKILL", null, 2],
  ] as const)("%s", { timeout: patience }, async (signal, status, workers) => {
    fake = fakeQemu({ machine: "exec sleep 1000" });
    const command = [packedCommand(), "conform", "--qemu", fake.path, "--workers", String(workers)];
    const child = spawn(process.execPath, command);
    await until(() => fake!.started().length >= workers);
    expect(fake.started().some(isAlive)).toBe(true);
    child.kill(signal);
    const [code] = (await once(child, "close")) as [number | null];
    expect(code).toBe(status);
    await until(() => !fake!.started().some(isAlive));
  });
});

describe.skipIf(isMissing)("a real QEMU (wants qemu-system-x86_64)", () => {
  test.each(["intel", "amd"])(
    "does what its profile does in the corpus and 20,000 cases: %s",
    { timeout: longest },
    async (vendor) => {
      const { status, out, err } = await callPacked("--qemu", qemu, "--vendor", vendor, "--json");
      expect(err).toBe("");
      const result = JSON.parse(out) as Record<string, unknown> & { runs: Record<string, unknown>[] };
      expect(result).toMatchObject({
        schema: "intremap/conform/1",
        disagreed: 0,
        unexplained: [],
        modelFailed: [],
      });
      const [{ compared, apicsCompared, agreed, deviating }] = result.runs as [Record<string, number>];
      expect(compared).toBeGreaterThanOrEqual(20_000);
      expect(agreed! + deviating!).toBe(compared);
      expect(apicsCompared! / compared!).toBeGreaterThanOrEqual(0.01);
      expect((result["known"] as unknown[]).length).toBeGreaterThan(10);
      expect(status).toBe(0);
    },
  );

  test("is found to do the same by one worker and by several", { timeout: longest }, async () => {
    expect(await countsOf(4)).toEqual(await countsOf(1));
  });

  test("is told of for people, and on a page", { timeout: longest }, async () => {
    const folder = mkdtempSync(join(tmpdir(), "intremap-"));
    try {
      const file = join(folder, "page.md");
      const { status, out } = await call("--qemu", qemu, "--cases", "300", "--no-corpus", "--page", file);
      expect(status).toBe(0);
      expect(out).toMatch(
        /^VT-d, QEMU \d+\.\d+\.\d+, profile vtd-qemu-\d+\.\d+, 300 cases \(300 generated, seed 1\)$/m,
      );
      expect(out).toMatch(/^AMD-Vi, QEMU .*$/m);
      expect(out).toMatch(/^qemu\.vtd\.bus-range-swapped +busRangeSwapped +vtd\.ir\.sid-mismatch +\d+$/m);
      expect(readFileSync(file, "utf8")).toContain("### qemu.amdvi.faults-not-logged");
    } finally {
      rmSync(folder, { recursive: true });
    }
    expect(
      (await call("--qemu", qemu, "--cases", "1", "--no-corpus", "--page", "/nowhere/page.md")).err,
    ).toBe("intremap: --page /nowhere/page.md: no such file\n");
  });

  test("is gone with a command that is killed", { timeout: longest }, async () => {
    const command = [packedCommand(), "conform", "--qemu", qemu, "--cases", "100000000", "--no-corpus"];
    const child = spawn(process.execPath, command);
    let machines: number[] = [];
    await until(() => (machines = qemusOf(child.pid!)).length > 0);
    // Both of its machines, once it is well under way.
    await until(() => (machines = qemusOf(child.pid!)).length > 1);
    child.kill("SIGKILL");
    await once(child, "close");
    await until(() => !machines.some(isAlive));
  });
});

/** The QEMUs among a process' children. */
function qemusOf(parent: number): number[] {
  const { stdout } = spawnSync("ps", ["-o", "pid=,args=", "--ppid", String(parent)], { encoding: "utf8" });
  return stdout.split("\n").flatMap((line) => (/ -qtest /.test(line) ? [Number.parseInt(line, 10)] : []));
}

/** Deviations of which no case that can be put before a machine shows anything, and why. */
const hidden: Readonly<Record<string, string>> = {
  "qemu.amdvi.guest-mode-refused": "EFR reports no guest mode, so that the specification refuses it too",
  "qemu.amdvi.type-from-data": "EFR2 reports no 2048-interrupt mode",
  "qemu.amdvi.xt-by-capability": "EFR reports no XTSup",
};

test("the page in docs/ has every deviation of QEMU 10.0 that can be seen", () => {
  const text = readFileSync(page, "utf8");
  const rules = [
    ...vtdProfileNamed("vtd-qemu-10.0")!.deviations.map((flag) => vtdDeviations[flag]),
    ...amdviProfileNamed("amdvi-qemu-10.0")!.deviations.map((flag) => amdviDeviations[flag]),
  ];
  const missing = rules.filter((rule) => !text.includes(`### ${rule}\n`));
  expect(missing.sort()).toEqual(Object.keys(hidden).sort());
});
