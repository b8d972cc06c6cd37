import { Check, type CheckResult } from "@intremap/core";
import { beforeAll, describe, expect, test } from "vitest";
import { bootLines } from "./testing/captured-boot.ts";

/** What no check of a unit reads: left out, so that each of many runs is short. */
const noise = /^(ioapic_|apic_|msix_|vtd_warn|vtd_ir_remap(_type|_msi)? |vtd_reg_read)/;
const queueSize = 256;

let boot: string[];
/** The first line of each invalidation of the interrupt-entry cache. */
let invalidations: number[];

beforeAll(async () => {
  boot = thin(await bootLines("intel"));
  invalidations = boot.flatMap((line, i) => (/^vtd_inv_desc .* type iec /.test(line) ? [i] : []));
});

/** Leaves the noise out, and all but a few of the requests that are alike. */
function thin(lines: readonly string[]): string[] {
  const seen = new Map<string, number>();
  return lines.filter((line) => {
    if (noise.test(line)) return false;
    if (!line.startsWith("vtd_ir_")) return true;
    const count = (seen.get(line) ?? 0) + 1;
    seen.set(line, count);
    return count <= 8;
  });
}

function check(lines: readonly string[], profile: string): CheckResult {
  const run = new Check({ profile });
  run.feed(Buffer.from(`${lines.join("\n")}\n`, "latin1"));
  return run.finish();
}

function without(from: number, to: number): string[] {
  return boot.filter((_, i) => i < from || i > to);
}

/** The submission that an invalidation is in: from the write of the tail to the wait that ends it. */
function submission(at: number): [from: number, to: number] {
  let from = at;
  while (!boot[from]!.startsWith("vtd_reg_write addr 0x88 ")) from--;
  let to = at;
  while (!boot[to]!.startsWith("vtd_inv_desc_wait_sw ")) to++;
  return [from, to];
}

/** Moves the queue's positions behind a line back, as if nothing had ever been there. */
function renumbered(lines: readonly string[], from: number, by: number): string[] {
  const back = (position: number): number => (position - by + queueSize) % queueSize;
  return lines.map((line, i) => {
    if (i < from) return line;
    return line
      .replace(
        /(?<=^vtd_reg_write addr 0x88 .* value )0x[0-9a-f]+/,
        (value) => `0x${(back(Number(value) / 16) * 16).toString(16)}`,
      )
      .replace(/(?<=^vtd_inv_qi_(?:tail write tail|head read head) )\d+/, (value) =>
        String(back(Number(value))),
      );
  });
}

/** The ways in which an invalidation can be missing from a trace. */
const shapes: [shape: string, edit: (at: number) => string[]][] = [
  ["the descriptor's lines alone", (at) => without(at, at + 2)],
  ["the descriptor's lines and its fetch", (at) => without(at - 1, at + 2)],
  ["the line that fetches it", (at) => without(at, at)],
  ["the line that carries it out", (at) => without(at + 1, at + 1)],
  [
    "the descriptor, and every position moved",
    (at) => renumbered(without(at - 1, at + 2), submission(at)[0], 1),
  ],
  ["the submission, but for the tail", (at) => without(submission(at)[0] + 2, submission(at)[1])],
];
const profiles = ["vtd-strict", "vtd-line-cache", "vtd-caching-mode", "vtd-non-coherent"];

/** Leaves all invalidations of one entry between two lines out, by one of the shapes. */
function leftOut(index: number, from: number, to: number, consistent: boolean): string[] {
  const of = `low 0x${(index * 2 ** 32 + 0x14).toString(16)}`;
  const gone = invalidations.filter((at) => at > from && at < to && boot[at]!.endsWith(of)).map(submission);
  expect(gone.length).toBeGreaterThan(0);
  let lines = boot;
  for (const [first, last] of gone.reverse()) {
    lines = lines.filter((_, i) => i < first || i > last);
    if (consistent) lines = renumbered(lines, first, 2);
  }
  return lines;
}

/** Where a request was looked up in an entry. */
function uses(index: number): number[] {
  return boot.flatMap((line, i) => (line.startsWith(`vtd_ir_irte_get index ${index} `) ? [i] : []));
}

describe("the Intel boot", () => {
  test.each([...profiles, "vtd-qemu-7.2", "vtd-qemu-10.0", "vtd-qemu-11.1"])(
    "has no hazard under %s",
    async (profile) => {
      const whole = check(await bootLines("intel"), profile);
      expect(whole).toMatchObject({ lines: 92_966, hazards: [], hazardCount: 0, skipped: {} });
    },
  );

  test("has none when the machine is booted again and the trace shows no reset", () => {
    for (const profile of profiles) expect(check([...boot, ...boot], profile).hazards).toEqual([]);
  });

  test("makes 103 invalidations", () => {
    expect(invalidations).toHaveLength(103);
  });

  test.each(shapes)("shows each of them that is missing as one hazard: %s", (_, edit) => {
    const counts = invalidations.map((at, i) => check(edit(at), profiles[i % profiles.length]!).hazardCount);
    expect(counts.every((count) => count === 1)).toBe(true);
  });

  test("shows each submission that is missing as one hazard, but for the last: nothing comes behind it", () => {
    const counts = invalidations.map(
      (at, i) => check(without(...submission(at)), profiles[i % profiles.length]!).hazardCount,
    );
    expect(counts.slice(0, -1).every((count) => count === 1)).toBe(true);
    expect(counts.at(-1)).toBe(0);
  });

  test("shows of submissions that never were only the global one: every entry is invalidated more than once between uses", () => {
    const found = invalidations.flatMap((at, i) => {
      const [from, to] = submission(at);
      return check(renumbered(without(from, to), from, 2), profiles[i % profiles.length]!).hazards;
    });
    expect(found.map(({ rule }) => rule)).toEqual(["vtd.iec.global-after-sirtp"]);
  });

  test.each([false, true])(
    "shows an entry that changes and is not invalidated (positions moved: %s)",
    (consistent) => {
      const before = uses(28).findLast((at) => boot[at]!.endsWith("0x2000025000d"))!;
      const after = uses(28).find((at) => at > before)!;
      for (const profile of profiles) {
        const { hazards, hazardCount } = check(leftOut(28, before, after, consistent), profile);
        expect(hazards).toMatchObject([{ rule: "vtd.check.entry-changed", index: 28, since: before + 1 }]);
        expect(hazardCount).toBe(1);
      }
      expect(
        check(leftOut(28, before, after, consistent), "vtd-qemu-7.2").hazards.every(
          ({ rule }) => rule === "vtd.check.invalidation-missing",
        ),
      ).toBe(true);
    },
  );

  test.each([false, true])(
    "shows each entry that was not invalidated before its first use, where such are kept (positions moved: %s)",
    (consistent) => {
      const used = [
        ...new Set(boot.flatMap((line) => /^vtd_ir_irte_get index (\d+)/.exec(line)?.[1] ?? [])),
      ].map(Number);
      expect(used).toHaveLength(16);
      for (const index of used) {
        const lines = leftOut(index, 0, uses(index)[0]!, consistent);
        for (const profile of ["vtd-line-cache", "vtd-caching-mode"]) {
          const { hazards } = check(lines, profile);
          expect(hazards).toMatchObject([{ rule: "vtd.check.first-use", index }]);
          expect(hazards).toHaveLength(1);
        }
        if (consistent) expect(check(lines, "vtd-strict").hazardCount).toBe(0);
      }
    },
  );
});
