import { describe, expect, test } from "vitest";
import { Memory } from "../../hardware/memory.ts";
import { RecordingFabric } from "../../hardware/recording-fabric.ts";
import { enableRemapping } from "../../hardware/vtd/bring-up.ts";
import { type VtdProfile, vtdQemu72, vtdStrict } from "../../hardware/vtd/profile.ts";
import { VtdUnit } from "../../hardware/vtd/unit.ts";
import { encode, toWords } from "../../spec/codec.ts";
import { irtePosted, irteRemapped } from "../../spec/vtd/irte.ts";
import { LiveVtd } from "./live-vtd.ts";
import { written } from "./structures.ts";

const base = 0x10_0000;
const device = 0x0100;
const compatibility = 0xfee0_0000 | 0;
const remappable = 0xfee0_0010 | 0;

/** A unit whose first entry is as given. */
function machine(profile: VtdProfile = vtdStrict, entry = 0n) {
  const memory = new Memory();
  memory.writeWords(base, toWords(entry, 128));
  const unit = new VtdUnit({ memory, fabric: new RecordingFabric(), profile });
  enableRemapping(unit, { base, size: 3 });
  return { unit, live: new LiveVtd(unit, memory) };
}

const silent = encode(irteRemapped, { p: 1, fpd: 1, svt: 1, sid: 0x0200, v: 0x31 });
const compressing: VtdProfile = { ...vtdStrict, compressesFaults: true };

describe("a fault that is not recorded says why", () => {
  test.each([
    ["its entry keeps it out", machine(vtdStrict, silent), remappable, 1, "FPD=1", "vtd.ir.fpd"],
    ["no record is free", machine(), compatibility, 9, "PFO=1", "vtd.fault.overflow"],
    [
      "no record is free, though the entry of an earlier one kept that out",
      machine(vtdStrict, silent),
      compatibility,
      9,
      "PFO=1",
      "vtd.fault.overflow",
    ],
    [
      "one of its requester stands in a record",
      machine(compressing),
      compatibility,
      2,
      "a record of this requester still has F=1",
      "vtd.fault.compression",
    ],
    [
      "the unit records no fault at all",
      machine(vtdQemu72),
      0xfee0_0ff0 | 0,
      1,
      "this unit records none",
      "qemu.vtd.faults-not-recorded",
    ],
  ] as const)("%s", (_, { unit, live }, address, times, why, rule) => {
    unit.interrupt(remappable, 0, device);
    for (let i = 0; i < times; i++) unit.interrupt(address, 0, device);
    expect(unit.fault).toMatchObject({ recorded: false });
    expect(live.unrecorded()).toEqual({ why, rule });
  });
});

describe("a change of an entry is held against what software owes for it", () => {
  const present = { p: 1, svt: 1, sid: device } as const;
  const remapped = encode(irteRemapped, { ...present, v: 0x31 });
  test.each([
    ["one that becomes present", 0n, remapped, "vtd.check.first-use"],
    [
      "one that is posted from now on",
      remapped,
      encode(irtePosted, { ...present, im: 1, vv: 0x31 }),
      "vtd.check.entry-changed",
    ],
    ["one that is given back", remapped, 0n, "vtd.check.entry-changed"],
    ["one that is not present, and stays so", 0n, encode(irteRemapped, { v: 0x31 }), null],
  ])("%s", (_, before, value, rule) => {
    const entry = machine().live.entry(0);
    const layout = entry.layout(toWords(value, 128));
    expect(entry.rule(written(entry.what, layout, before, value))).toBe(rule);
  });
});
