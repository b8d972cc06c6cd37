import { Check, profileNames } from "@intremap/core";
import { beforeAll, describe, expect, test } from "vitest";
import { bootLines } from "./testing/captured-boot.ts";

const bufferBytes = 0x2000;
const commandBytes = 16;
const execution =
  /^(amdvi_command_exec command buffer head at )(0x[0-9a-f]+)( command buffer tail at )(0x[0-9a-f]+)/;
/** Events that the check has no use for. */
const noise = /^(ioapic_|apic_|msix_|amdvi_(mmio|iotlb|cache|translation|command_error|mem_ir))/;

let whole: string[];
/** The boot without what does not matter, and of the IOAPIC's requests, which are most and all alike, the first of each. */
let boot: Log;
/** The same as it would stand behind one command less: every position in the buffer is one command lower. */
let shifted: Log;

/** A log's lines, its bytes, and where in them each line begins, the end last. */
interface Log {
  readonly lines: readonly string[];
  readonly bytes: Uint8Array;
  readonly starts: readonly number[];
}

function logOf(lines: readonly string[]): Log {
  const starts = [0];
  for (const line of lines) starts.push(starts.at(-1)! + line.length + 1);
  return { lines, bytes: Buffer.from(`${lines.join("\n")}\n`, "latin1"), starts };
}

function lower(offset: string): string {
  return `0x${((Number(offset) + bufferBytes - commandBytes) % bufferBytes).toString(16)}`;
}

beforeAll(async () => {
  whole = await bootLines("amd");
  const seen = new Set<string>();
  let dropping = false;
  const lines = whole.filter((line, i) => {
    if (line.startsWith("amdvi_ir_remap_msi_req ")) {
      const entry = `${whole[i + 3]} ${whole[i + 4]}`;
      dropping = line.endsWith("devid 0xa0") && seen.has(entry);
      seen.add(entry);
    } else if (!line.startsWith("amdvi_ir_")) dropping = false;
    return !dropping && !noise.test(line);
  });
  boot = logOf(lines);
  shifted = logOf(
    lines.map((line) =>
      line.replace(
        execution,
        (_, before: string, head: string, between: string, tail: string) =>
          `${before}${lower(head)}${between}${lower(tail)}`,
      ),
    ),
  );
});

function rules(log: Log, profile?: string, from = 0, to = 0, rest = log): string {
  const check = new Check({ profile });
  check.feed(log.bytes.subarray(0, log.starts[from]));
  check.feed(rest.bytes.subarray(rest.starts[to]));
  return check
    .finish()
    .hazards.map(({ rule }) => rule)
    .join(" + ");
}

function positions(pattern: RegExp): number[] {
  return boot.lines.flatMap((line, i) => (pattern.test(line) ? [i] : []));
}

/** What the lack of one line comes to. */
const withoutLine = (at: number): string => rules(boot, undefined, at, at + 1);
/** What the lack of a command's submission comes to. */
const withoutSubmission = (at: number): string => rules(boot, undefined, at - 1, at + 1);
/** What it comes to that a command was never given: those behind it stand where they do then. */
const neverGiven = (at: number): string => rules(boot, undefined, at - 1, at + 1, shifted);

/** How many came to which rules. */
function tally(found: readonly string[]): Record<string, number> {
  const counts: Record<string, number> = {};
  for (const one of found) counts[one] = (counts[one] ?? 0) + 1;
  return counts;
}

const missing = "amdvi.check.invalidation-missing";
const tables = /^amdvi_intr_inval /;
const waits = /^amdvi_completion_wait /;
/** Of the 1024 invalidations of the sweep behind IommuEn so many are tried: one in 64. */
const stride = 64;

describe("the AMD boot", { timeout: 60_000 }, () => {
  test("is clean under every profile, whole and thinned", () => {
    for (const profile of profileNames.filter((name) => name.startsWith("amdvi"))) {
      expect({ profile, rules: rules(logOf(whole), profile) }).toEqual({ profile, rules: "" });
    }
    expect(rules(boot)).toBe("");
  });

  test("has 1190 invalidations of interrupt tables: a sweep of 1024, and 166 that are waited for one by one", () => {
    const all = positions(tables);
    const alone = all.filter((at) => waits.test(boot.lines[at + 2]!));
    // The sweep's last one has the sweep's wait behind it.
    expect([all.length, alone.length]).toEqual([1190, 167]);
    expect(all.indexOf(alone[0]!)).toBe(1023);
  });

  test("without the line of any invalidation has one hazard: a command that left no line", () => {
    const tried = positions(tables).filter((_, i) => i >= 1024 || i % stride === 0);
    expect(tally(tried.map(withoutLine))).toEqual({ [missing]: tried.length });
  });

  test("without the lines of any invalidation's submission has one hazard: a hole in the buffer", () => {
    const tried = positions(tables).filter((_, i) => i >= 1024 || i % stride === 0);
    expect(tally(tried.map(withoutSubmission))).toEqual({ [missing]: tried.length });
  });

  test("with any invalidation never given, and the buffer without a hole, has one hazard: a wait for nothing", () => {
    const tried = positions(tables).slice(1024);
    expect(tally(tried.map(neverGiven))).toEqual({ [missing]: 166 });
  });

  test("with one of the sweep's invalidations never given has none: the trace does not say whose tables they were", () => {
    const tried = positions(tables).filter((_, i) => i < 1024 && i % stride === 0);
    expect(tally(tried.map(neverGiven))).toEqual({ "": tried.length });
  });

  test("without any wait has one hazard where that shows: its line, its submission, or an entry used before the next", () => {
    const all = positions(waits);
    const tried = all.filter((_, i) => i % 4 === 0);
    expect(tally(tried.map(withoutLine))).toEqual({ [missing]: tried.length });
    // Behind the last one nothing is executed: no hole is seen, but the driver goes on.
    expect(tally(tried.map(withoutSubmission))).toEqual({
      [missing]: tried.length - 1,
      "amdvi.check.not-waited": 1,
    });
    const tallied = tally(all.map(neverGiven));
    expect(Object.keys(tallied).sort()).toEqual(["", "amdvi.check.not-waited"]);
    expect(tallied["amdvi.check.not-waited"]).toBe(12);
  });
});
