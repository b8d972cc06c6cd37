import * as fc from "fast-check";
import { expect, test } from "vitest";
import { enableRemapping, invalidateEntries } from "../../hardware/vtd/bring-up.ts";
import { Outcome } from "../../hardware/delivery.ts";
import { Memory } from "../../hardware/memory.ts";
import { type VtdProfile, vtdCachingMode, vtdStrict } from "../../hardware/vtd/profile.ts";
import { VtdUnit } from "../../hardware/vtd/unit.ts";
import { RecordingFabric } from "../../hardware/recording-fabric.ts";
import { encode, toWords } from "../../spec/codec.ts";
import { irteBytes, irteRemapped } from "../../spec/vtd/irte.ts";
import { TracedDriver } from "./testing/traced-driver.ts";

const table = 0x10_0000;
const requester = 0x0018;

/** A driver's step: it writes an entry (vector 0: not present), invalidates it or all, or its device sends. */
type Step =
  | readonly ["write", number, number]
  | readonly ["invalidate", number | "g"]
  | readonly ["use", number];

const index = fc.nat(2);
const step: fc.Arbitrary<Step> = fc.oneof(
  fc.tuple(fc.constant("write" as const), index, fc.constantFrom(0, 0x30, 0x31)),
  fc.tuple(fc.constant("invalidate" as const), fc.oneof(index, index, fc.constant("g" as const))),
  fc.tuple(fc.constant("use" as const), index),
  fc.tuple(fc.constant("use" as const), index),
);

/** Runs the steps on a unit that caches. @returns by entry, the line of the trace where it first used a stale one. */
function staleUses(profile: VtdProfile, steps: readonly Step[], trace: TracedDriver): Map<number, number> {
  const memory = new Memory();
  const fabric = new RecordingFabric();
  const unit = new VtdUnit({ memory, fabric, profile });
  enableRemapping(unit, { base: table, size: 15 });
  trace.bringUp();
  const vectors = [0, 0, 0];
  const stale = new Map<number, number>();
  for (const [kind, at, vector] of [["invalidate", "g", 0] as const, ...steps]) {
    if (kind === "write") {
      vectors[at] = vector;
      const fields = { p: vector === 0 ? 0 : 1, v: vector, dst: 0x100, sid: requester, svt: 1 };
      memory.writeWords(table + at * irteBytes, toWords(encode(irteRemapped, fields), 128));
    } else if (kind === "invalidate") {
      if (at === "g") invalidateEntries(unit);
      else invalidateEntries(unit, at);
      trace.submit(at, "w");
    } else {
      const blocked = unit.interrupt(0xfee0_0018 + (at << 5), 0, requester) === Outcome.blocked;
      const used = blocked ? 0 : fabric.deliveries.at(-1)!.vector;
      trace.use(at, vectors[at]!);
      if (used !== vectors[at] && !stale.has(at)) stale.set(at, trace.line);
    }
  }
  return stale;
}

test.each([vtdStrict, vtdCachingMode])(
  "$name: an entry is named where a unit uses a stale one, and nowhere else",
  (profile) => {
    let found = 0;
    fc.assert(
      fc.property(fc.array(step, { minLength: 4, maxLength: 40, size: "max" }), (steps) => {
        const trace = new TracedDriver();
        const stale = staleUses(profile, steps, trace);
        const { hazards } = trace.check(profile.name);
        expect(new Map(hazards.map(({ index: entry, at }) => [entry, at]))).toEqual(
          new Map([...stale].sort(([, a], [, b]) => a - b)),
        );
        expect(hazards.every(({ rule }) => rule === "vtd.check.entry-changed")).toBe(true);
        found += stale.size;
      }),
      { numRuns: 300 },
    );
    expect(found).toBeGreaterThan(25);
  },
);
