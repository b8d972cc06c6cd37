import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { decode, encode, toWords } from "../../spec/codec.ts";
import { irtePosted, irteRemapped } from "../../spec/vtd/irte.ts";
import { unknownRequester } from "../delivery.ts";
import type { Observer } from "../event.ts";
import { Memory } from "../memory.ts";
import { RecordingFabric } from "../recording-fabric.ts";
import { enableRemapping } from "./bring-up.ts";
import { type VtdProfile, vtdQemu111, vtdQemu72, vtdStrict } from "./profile.ts";
import { VtdUnit } from "./unit.ts";

const base = 0x10_0000;
const descriptor = 0x20_0000;
const entries = 16;
const sids = [0x0018, 0x0019, 0x0305, 0x0503, 0xffff];

const remapped = fc
  .record({
    p: fc.constantFrom(1, 1, 1, 0),
    fpd: fc.nat(1),
    dm: fc.constantFrom(0, 0, 1),
    rh: fc.constantFrom(0, 0, 1),
    tm: fc.constantFrom(0, 0, 1),
    dlm: fc.constantFrom(0, 0, 0, 1, 2, 3, 4),
    v: fc.nat(255),
    dst: fc.constantFrom(0x0300, 0x0300, 0x1_0300, 0x0005),
    sid: fc.constantFrom(...sids),
    sq: fc.nat(3),
    svt: fc.constantFrom(0, 1, 1, 1, 2, 3),
  })
  .map((fields) => encode(irteRemapped, fields));

const posted = fc
  .record({
    p: fc.constantFrom(1, 1, 0),
    im: fc.constant(1),
    urg: fc.nat(1),
    vv: fc.nat(255),
    pda: fc.constantFrom(descriptor, descriptor + 64, descriptor + 128),
    sid: fc.constantFrom(...sids),
    sq: fc.nat(3),
    svt: fc.constantFrom(0, 1, 1, 2, 3),
  })
  .map((fields) => encode(irtePosted, fields));

/** The commonest kind: fixed, edge-triggered, to one destination, the source id verified in full. */
const plain = fc
  .record({ v: fc.integer({ min: 16, max: 255 }), sid: fc.constantFrom(...sids) })
  .map(({ v, sid }) => encode(irteRemapped, { p: 1, v, dst: 0x0300, sid, svt: 1 }));

const entry = fc
  .tuple(
    fc.oneof(plain, remapped, remapped, posted),
    fc.constantFrom(0n, 0n, 0n, 1n << 12n, 1n << 100n, 1n << 86n),
  )
  .map(([value, stray]) => value ^ stray);

const request = fc.record({
  index: fc.nat(entries + 1),
  format: fc.constantFrom(1, 1, 1, 0),
  shv: fc.nat(1),
  data: fc.constantFrom(0, 0, 1, 0x1_0000, -1),
  requester: fc.constantFrom(...sids, unknownRequester),
});

const quiet: Observer = { record: () => {} };

/** A unit on a machine of its own, brought up on a table of the entries. */
function unitOf(profile: VtdProfile, table: readonly bigint[], eime: boolean, observer?: Observer) {
  const memory = new Memory();
  const fabric = new RecordingFabric();
  const unit = new VtdUnit({ memory, fabric, profile, ...(observer === undefined ? {} : { observer }) });
  enableRemapping(unit, { base, size: 3, eime });
  table.forEach((value, i) => memory.writeWords(base + 16 * i, toWords(value, 128)));
  // The third descriptor carries a reserved bit.
  memory.write32(descriptor + 128 + 32, 4);
  return { unit, memory, fabric };
}

describe.each([vtdStrict, vtdQemu111, vtdQemu72])("under $name", (profile) => {
  test("an entry that is held, one that is fetched, and one whose steps are observed end alike", () => {
    fc.assert(
      fc.property(
        fc.array(entry, { minLength: entries, maxLength: entries }),
        fc.array(request, { minLength: 1, maxLength: 40 }),
        fc.boolean(),
        (table, requests, eime) => {
          const machines = [
            unitOf({ ...profile, entryCache: "entry" }, table, eime),
            unitOf({ ...profile, entryCache: "none" }, table, eime),
            unitOf({ ...profile, entryCache: "none" }, table, eime, quiet),
          ];
          const seen = machines.map(({ unit, memory, fabric }) => {
            // Twice each, so that the second finds what the first has left behind.
            const outcomes = requests.flatMap(({ index, format, shv, data, requester }) => {
              const address = 0xfee0_0000 | (index << 5) | (format << 4) | (shv << 3) | 0;
              return [0, 1].map(() => [unit.interrupt(address, data, requester), unit.fault]);
            });
            const descriptors = Array.from({ length: 48 }, (_, i) => memory.read32(descriptor + 4 * i));
            return { outcomes, descriptors, deliveries: fabric.deliveries, messages: fabric.messages };
          });
          expect(seen[1]).toEqual(seen[0]);
          expect(seen[2]).toEqual(seen[0]);
        },
      ),
      { numRuns: 150 },
    );
  });
});

test("the entries of these runs are of every kind", () => {
  const kinds = fc.sample(entry, { numRuns: 2000, seed: 1 }).map((value) => {
    const { p, im, svt, dlm } = decode(irteRemapped, value);
    return `${p}${im}${svt}${im === 1 ? "" : dlm}`;
  });
  for (const kind of ["1010", "1020", "1000", "111", "112", "0010", "1012"]) expect(kinds).toContain(kind);
});
