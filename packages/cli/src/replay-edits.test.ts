import * as fc from "fast-check";
import { beforeAll, describe, expect, test } from "vitest";
import { bootLines, replayLines } from "./testing/captured-boot.ts";
import { type Manner, disagreements } from "./testing/reference.ts";

/** Events that neither the model nor an edit has to do with. */
const noise =
  /^(ioapic_|apic_local|msix_|amdvi_(mmio|pages|iotlb|cache|translation|command|completion|devtab|mem_ir))/;

let intel: string[];
let amd: string[];

beforeAll(async () => {
  intel = thin(await bootLines("intel"));
  amd = thin(await bootLines("amd"));
});

const keptOfIoapic = 12;

/** Leaves the noise out, and all but one in twelve of the requests of the IOAPIC, which are most and all alike. */
function thin(lines: string[]): string[] {
  let requests = 0;
  let dropping = false;
  return lines.filter((line) => {
    if (noise.test(line)) return false;
    if (/_ir_remap_msi_req /.test(line)) {
      const ioapic = line.endsWith("devid 0xa0") || /^vtd.* addr 0xfee....[0-7] /.test(line);
      dropping = ioapic && requests++ % keptOfIoapic !== 0;
    } else if (!/^(vtd_ir_(irte|remap)|vtd_warn|amdvi_ir_|apic_deliver)/.test(line)) dropping = false;
    return !dropping;
  });
}

const vendors: [string, () => string[], Record<Manner, string>][] = [
  ["the Intel boot", () => intel, { strict: "vtd-strict", qemu: "vtd-qemu-11.1" }],
  ["the AMD boot", () => amd, { strict: "amdvi-strict", qemu: "amdvi-qemu-11.1" }],
];
const manners: Manner[] = ["strict", "qemu"];

interface Edit {
  /** Chooses among the lines that can be edited, and among a line's numbers. */
  readonly line: number;
  readonly number: number;
  /** The bit that is flipped, modulo the number's width. */
  readonly bit: number;
}

const edit: fc.Arbitrary<Edit> = fc.record({ line: fc.nat(), number: fc.nat(), bit: fc.nat(127) });

/** What of a line may be edited, as a pattern with one number, and the bits of that number. */
interface Editable {
  readonly pattern: RegExp;
  readonly bits: number;
}

const outcomes: Editable[] = [
  { pattern: /(?<=_ir_remap_msi .*-> \(addr )0x[0-9a-f]+/, bits: 64 },
  { pattern: /(?<=_ir_remap_msi .*-> \(addr .*data )0x[0-9a-f]+/, bits: 32 },
  ...["dest", "dest_mode", "delivery_mode", "vector", "trigger_mode"].map((name) => ({
    pattern: new RegExp(`(?<=^apic_deliver_irq .*\\b${name} )\\d+`),
    bits: 8,
  })),
];
const entries: Editable[] = [
  { pattern: /(?<=^vtd_ir_irte_get .*low )0x[0-9a-f]+/, bits: 64 },
  { pattern: /(?<=^vtd_ir_irte_get .*high )0x[0-9a-f]+/, bits: 64 },
  { pattern: /(?<=^amdvi_ir_irte_ga_val hi )0x[0-9a-f]+/, bits: 64 },
  { pattern: /(?<=^amdvi_ir_irte_ga_val .*lo )0x[0-9a-f]+/, bits: 64 },
];

const outcomeLine = /^(vtd_ir_remap_msi|amdvi_ir_remap_msi|apic_deliver_irq) /;
const entryLine = /^(vtd_ir_irte_get|amdvi_ir_irte_ga_val) /;

function positions(lines: readonly string[], which: RegExp): number[] {
  return lines.flatMap((text, i) => (which.test(text) ? [i] : []));
}

/** Flips one bit of one number of one of the lines. Returns the line's number, from 1. */
function apply(
  lines: string[],
  { line, number, bit }: Edit,
  candidates: number[],
  editable: Editable[],
): number {
  const at = candidates[line % candidates.length]!;
  const choices = editable.filter(({ pattern }) => pattern.test(lines[at]!));
  const { pattern, bits } = choices[number % choices.length]!;
  lines[at] = lines[at]!.replace(pattern, (old) => {
    const value = BigInt(old) ^ (1n << BigInt(bit % bits));
    return old.startsWith("0x") ? `0x${value.toString(16)}` : value.toString();
  });
  return at + 1;
}

describe.each(vendors)("%s", { timeout: 60_000 }, (_name, boot, profiles) => {
  describe.each(manners)("under the %s profile", (manner) => {
    const disagreed = (lines: string[]): number[] =>
      replayLines(lines, { profile: profiles[manner] }).disagreed.map(({ line }) => line);

    test("is whole before it is edited", () => {
      expect(disagreed(boot())).toEqual([]);
      expect(disagreements(boot(), manner)).toEqual([]);
    });

    test("with one outcome line edited disagrees exactly once, at that line", () => {
      fc.assert(
        fc.property(edit, (change) => {
          const lines = [...boot()];
          const line = apply(lines, change, positions(lines, outcomeLine), outcomes);
          expect(disagreed(lines)).toEqual([line]);
        }),
        { numRuns: 30, endOnFailure: true },
      );
    });

    test("with one entry edited disagrees exactly where that follows from it", () => {
      fc.assert(
        fc.property(edit, (change) => {
          const lines = [...boot()];
          apply(lines, change, positions(lines, entryLine), entries);
          expect(disagreed(lines)).toEqual(disagreements(lines, manner));
        }),
        { numRuns: 40, endOnFailure: true },
      );
    });

    test("with hundreds of outcomes and entries edited disagrees exactly where that follows from them", () => {
      fc.assert(
        fc.property(fc.array(edit, { minLength: 50, maxLength: 300 }), (changes) => {
          const lines = [...boot()];
          const [entryAt, outcomeAt] = [positions(lines, entryLine), positions(lines, outcomeLine)];
          for (const [i, change] of changes.entries()) {
            if (i % 2 === 0) apply(lines, change, entryAt, entries);
            else apply(lines, change, outcomeAt, outcomes);
          }
          expect(disagreed(lines)).toEqual(disagreements(lines, manner));
        }),
        { numRuns: 6, endOnFailure: true },
      );
    });

    test("with an outcome taken away disagrees at the request, unless the trace ends there", () => {
      const lines = [...boot()];
      const request = lines.findIndex((line, i) => i > lines.length / 2 && /_ir_remap_msi_req /.test(line));
      const outcome = lines.findIndex((line, i) => i > request && /_ir_remap_msi /.test(line));
      lines.splice(outcome, 2);
      expect(disagreed(lines)).toEqual([request + 1]);
      expect(replayLines(lines.slice(0, outcome), { profile: profiles[manner] })).toMatchObject({
        disagreed: [],
        notChecked: { outcome: 1 },
      });
    });
  });

  test.each(manners)(
    "with any bit of its first entries flipped disagrees where that follows, under the %s profile",
    (manner) => {
      const start = boot().slice(0, 1200);
      for (const at of [positions(start, entryLine)[0]!, positions(start, entryLine).at(-1)!]) {
        for (let bit = 0; bit < 128; bit++) {
          const lines = [...start];
          apply(lines, { line: 0, number: bit >> 6, bit: bit & 63 }, [at], entries);
          const { disagreed } = replayLines(lines, { profile: profiles[manner] });
          expect(disagreed.map(({ line }) => line)).toEqual(disagreements(lines, manner));
        }
      }
    },
  );

  test("has edits of an entry that follow on to later requests only where entries are kept", () => {
    const counts = manners.map((manner) => {
      const lines = [...boot()];
      const at = lines.findIndex((line) => entryLine.test(line));
      lines[at] = lines[at]!.replace(/(?<=high 0x1000030)000d|(?<=lo )0x141/, (old) =>
        old === "000d" ? "0009" : "0x101",
      );
      return replayLines(lines, { profile: profiles[manner] }).disagreedCount;
    });
    expect(counts[1]).toBe(1);
    expect(counts[0]).toBeGreaterThan(1);
  });
});
