import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { TracedDriver } from "./testing/traced-driver.ts";

type Batch = readonly (number | "g" | "t")[];

const batch: fc.Arbitrary<Batch> = fc.array(
  fc.oneof(fc.integer({ min: 1, max: 9 }), fc.constantFrom("g" as const, "t" as const)),
  { minLength: 2, maxLength: 3 },
);
/** More descriptors than the queue holds, so that its tail comes round. */
const batches = fc.array(batch, { minLength: 75, maxLength: 90 });

/** Where submissions and descriptors stand in a trace: first line and last, from 0. */
interface Span {
  readonly from: number;
  readonly to: number;
}

/** A driver that queues and waits as it should, and goes on after the last. */
function run(program: readonly Batch[]): { lines: string[]; submissions: Span[]; descriptors: Span[] } {
  const trace = new TracedDriver().bringUp();
  const submissions: Span[] = [];
  for (const one of program) {
    const from = trace.lines.length;
    trace.submit(...one, "w");
    submissions.push({ from, to: trace.lines.length - 1 });
  }
  const { lines } = trace.submit("t", "w").command(0x400_0000);
  const first = submissions[0]!.from;
  const last = submissions.at(-1)!.to;
  const descriptors: Span[] = [];
  lines.forEach((line, from) => {
    if (from < first || from > last || !/^vtd_inv_desc .* type iec /.test(line)) return;
    descriptors.push({ from, to: from + 2 });
  });
  return { lines, submissions, descriptors };
}

function rules(lines: readonly string[]): string[] {
  const trace = new TracedDriver();
  trace.lines.push(...lines);
  return trace.check("vtd-caching-mode").hazards.map(({ rule }) => rule);
}

function without(lines: readonly string[], { from, to }: Span): string[] {
  return lines.filter((_, i) => i < from || i > to);
}

const lost = ["vtd.check.invalidation-missing"];

describe("the books of the invalidation queue", () => {
  test("are in order while every descriptor is carried out", () => {
    fc.assert(
      fc.property(batches, (program) => {
        expect(rules(run(program).lines)).toEqual([]);
      }),
      { numRuns: 20 },
    );
  });

  test("show every descriptor whose lines are gone, once", () => {
    fc.assert(
      fc.property(batches, fc.nat(), (program, pick) => {
        const { lines, descriptors } = run(program);
        fc.pre(descriptors.length > 0);
        const span = descriptors[pick % descriptors.length]!;
        expect(rules(without(lines, span))).toEqual(lost);
        // Nor may the line that fetches it be gone alone, nor the one that carries it out.
        expect(rules(without(lines, { from: span.from, to: span.from }))).toEqual(lost);
        expect(rules(without(lines, { from: span.from + 1, to: span.from + 1 }))).toEqual(lost);
      }),
      { numRuns: 20 },
    );
  });

  test("show every submission that is gone, once", () => {
    fc.assert(
      fc.property(batches, fc.nat(), (program, pick) => {
        const { lines, submissions } = run(program);
        expect(rules(without(lines, submissions[pick % submissions.length]!))).toEqual(lost);
      }),
      { numRuns: 20 },
    );
  });

  test("tell nothing of a queue whose size the trace does not show, where its tail comes round", () => {
    const { lines } = run(Array.from({ length: 150 }, (_, i) => [i, "t"]));
    expect(rules(lines.filter((line) => !line.startsWith("vtd_reg_write addr 0x90")))).toEqual([
      "vtd.check.qie-without-iqa",
    ]);
  });

  test("count descriptors of 256 bits", () => {
    const trace = new TracedDriver().write(0x90, 0x11c_8800, 8).command(0x400_0000);
    trace.other("vtd_reg_write addr 0x88 size 0x4 value 0x40").other("vtd_inv_qi_tail write tail 2");
    const wait = "vtd_inv_desc invalidate desc type wait high 0x1046004 low 0x200000025";
    const half = [...trace.lines, wait];
    const whole = [...trace.lines, "vtd_inv_desc invalidate desc type iotlb high 0x0 low 0x12", wait];
    const after = "vtd_reg_write addr 0x34 size 0x4 value 0x0";
    expect(rules([...whole, after])).toEqual([]);
    expect(rules([...half, after])).toEqual(lost);
  });

  test("go on after an error that software clears", () => {
    const trace = new TracedDriver().bringUp();
    trace.write(0x88, 0x40).other("vtd_inv_qi_tail write tail 4").write(0x34, 0x10);
    // The queue halts at the descriptor in error, and goes on with the next submission.
    expect(rules(trace.submit(1, "w").submit(2, "w").lines)).toEqual(lost);
  });
});
