import { spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdtempSync, readFileSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Search, baseSize, protocols } from "@intremap/core";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { run } from "../program.ts";
import { packedCommand } from "../testing/packed-command.ts";
import { testIo } from "../testing/test-io.ts";
import { type Times, drive } from "../verify-crew.ts";

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "intremap-verify-"));
});
afterAll(() => rmSync(folder, { recursive: true }));

async function verify(...args: string[]): Promise<{ status: number; out: string; err: string }> {
  const io = testIo("", { NO_COLOR: "1" });
  const status = await run(["verify", ...args], io);
  return { status, out: io.out(), err: io.err() };
}

interface Document {
  readonly schema: string;
  readonly states: number;
  readonly exhausted: boolean;
  readonly counterexample: { readonly property: string; readonly steps: { readonly step: string }[] } | null;
  readonly plays: readonly { readonly name: string; readonly states: number; readonly transitions: number }[];
}

async function json(...args: string[]): Promise<{ status: number; document: Document }> {
  const { status, out, err } = await verify(...args, "--workers", "1", "--json");
  expect(err).toBe("");
  return { status, document: JSON.parse(out) as Document };
}

describe("the outcome is the exit status:", () => {
  test.each(["intel", "amd"])("0 when every state was seen and nothing goes wrong (%s)", async (vendor) => {
    const { status, document } = await json("--vendor", vendor, "--play", "base");
    expect(status).toBe(0);
    expect(document).toMatchObject({
      schema: "intremap/verify/1",
      vendor,
      size: baseSize,
      without: null,
      workers: 1,
      exhausted: true,
      counterexample: null,
      plays: [{ name: "base", exhausted: true, stopped: null, counterexample: null }],
    });
    expect(document.states).toBe(document.plays[0]!.states);
    expect(document.states).toBeGreaterThan(5000);
  });

  test("1 when there is a counterexample, which is told step by step", async () => {
    const { status, out } = await verify("--without", "recompute-on");
    expect(status).toBe(1);
    expect(out).toContain("VMX posting without recompute-on");
    expect(out).toContain("lost interrupt: base, devices post to vCPUs that halt, are preempted and move");
    expect(out).toMatch(/^ +\d+\. device 0 {2}device-post \(hardware: posting\)$/m);
    const numbers = [...out.matchAll(/^ +(\d+)\. /gm)].map(([, number]) => Number(number));
    expect(numbers).toEqual(numbers.map((_, i) => i + 1));
    expect(numbers.length).toBeGreaterThan(4);
  });

  test("2 when not every state was seen, which is not called clean", async () => {
    const { status, out } = await verify("--play", "base", "--states", "1000", "--workers", "1");
    expect(status).toBe(2);
    expect(out).toContain("not exhausted: the states of --states are reached");
    expect(out).toContain("1 play not exhausted: nothing was found so far");
    expect(out).not.toContain("every state was seen");
    const { document } = await json("--play", "base", "--posts", "4", "--memory", "1M");
    expect(document).toMatchObject({
      exhausted: false,
      counterexample: null,
      plays: [{ stopped: "memory" }],
    });
  });
});

test("by default every play goes that is not asked for by name", { timeout: 120_000 }, async () => {
  const { status, document } = await json("--posts", "1");
  expect(status).toBe(0);
  const byDefault = protocols.intel.plays.filter((play) => play.byDefault).map(({ name }) => name);
  expect(document.plays.map(({ name }) => name)).toEqual(byDefault);
  expect(document.exhausted).toBe(true);
});

test("each step that can be left out has a counterexample", { timeout: 60_000 }, async () => {
  for (const vendor of ["intel", "amd"] as const) {
    for (const { id } of protocols[vendor].removable) {
      const { status, document } = await json("--vendor", vendor, "--without", id);
      expect([id, status]).toEqual([id, 1]);
      expect(document.counterexample!.steps.length).toBeGreaterThan(0);
    }
  }
});

test("--list has a line for each step, with its bug, and for each play", async () => {
  const { status, out } = await verify("--list");
  expect(status).toBe(0);
  for (const { id, bug } of protocols.intel.removable) {
    expect(out.split("\n").filter((line) => line.startsWith(`${id} `) && line.endsWith(bug))).toHaveLength(1);
  }
  for (const { name } of protocols.intel.plays) expect(out).toMatch(new RegExp(`^${name} `, "m"));
});

const protoc = spawnSync("protoc", ["--version"]).status === 0;
if (!protoc) console.warn("skipped: protoc is not here, which reads traces");

describe("--timeline", () => {
  test.skipIf(!protoc)("is a trace of who does what, and what is wrong then", async () => {
    const path = join(folder, "lost.pftrace");
    const { status, err } = await verify("--without", "recompute-on", "--timeline", path);
    expect({ status, err }).toEqual({ status: 1, err: "" });
    const { status: read, stdout } = spawnSync("protoc", ["--decode_raw"], { input: readFileSync(path) });
    expect(read).toBe(0);
    for (const name of ["device 0", "vcpu 0", "device-post", "ndst-update", "lost interrupt"]) {
      expect(stdout.toString()).toContain(`"${name}"`);
    }
  });

  test("is not written when there is nothing to show", async () => {
    const path = join(folder, "none.pftrace");
    const { status, err } = await verify("--play", "base", "--posts", "1", "--timeline", path);
    expect({ status, err }).toEqual({
      status: 0,
      err: `intremap: no counterexample: ${path} is not written\n`,
    });
    expect(existsSync(path)).toBe(false);
    expect(readdirSync(folder).filter((name) => name.includes("partial"))).toEqual([]);
  });
});

describe("what there is not is refused in one line:", () => {
  test.each<[string[], string]>([
    [["--vcpus", "9"], '--vcpus "9": expected a whole number from 1 to 4'],
    [["--cpus", "0"], '--cpus "0": expected a whole number from 1 to 4'],
    [["--posts", "-1"], '--posts "-1": expected a whole number from 0 to 6'],
    [["--posts", "1e1"], '--posts "1e1": expected a whole number from 0 to 6'],
    [["--halts", "4"], '--halts "4": expected a whole number from 0 to 3'],
    [["--workers", "0"], '--workers "0": expected a whole number from 1 to 15'],
    [["--states", "x"], '--states "x": expected a whole number from 1 to 1099511627776'],
    [["--memory", "4T"], '--memory "4T": expected a size from 1M to 64G, as 4G or 512M'],
    [["--memory", "65G"], '--memory "65G": expected a size from 1M to 64G, as 4G or 512M'],
    [
      ["--play", "chess"],
      `--play "chess": expected ${protocols.intel.plays.map(({ name }) => name).join(", ")}`,
    ],
    [
      ["--without", "put-set-sn"],
      `--without "put-set-sn": expected ${protocols.intel.removable.map(({ id }) => id).join(", ")}`,
    ],
    [["--timeline", "/nowhere/x"], "--timeline /nowhere/x: no such folder"],
  ])("%j", async (args, message) => {
    expect(await verify(...args)).toEqual({ status: 2, out: "", err: `intremap: ${message}\n` });
  });
});

test("two threads see the same states as one", { timeout: 120_000 }, async () => {
  const size = { ...baseSize, vcpus: 2, posts: 2, migrations: 0 };
  const question = { vendor: "intel", play: "base", size, without: undefined } as const;
  const found = [];
  for (const workers of [1, 2]) {
    const times: Times = { exploring: 0, rounds: 0 };
    const search = new Search(protocols.intel.world("base", size), { mostBytes: 2 ** 28, walkers: workers });
    // From the first state on.
    const { states, transitions, depth, exhausted } = await drive(
      search,
      question,
      workers,
      times,
      () => {},
      0,
    );
    found.push({ states, transitions, depth, exhausted });
  }
  expect(found[1]).toEqual(found[0]);
  expect(found[0]!.exhausted).toBe(true);
});

test("an interrupt from the keyboard ends it with 130, and its threads", { timeout: 60_000 }, async () => {
  const path = join(folder, "interrupted.pftrace");
  const args = ["verify", "--vcpus", "2", "--posts", "4", "--play", "base", "--timeline", path];
  const child = spawn(process.execPath, [packedCommand(), ...args]);
  try {
    const beside = (): string[] => readdirSync(folder).filter((name) => name.includes("interrupted"));
    while (beside().length === 0) await new Promise((resolve) => setTimeout(resolve, 50));
    await new Promise((resolve) => setTimeout(resolve, 1000));
    child.kill("SIGINT");
    const [status] = (await once(child, "close")) as [number];
    expect(status).toBe(130);
    expect(beside()).toEqual([]);
  } finally {
    child.kill("SIGKILL");
  }
});
