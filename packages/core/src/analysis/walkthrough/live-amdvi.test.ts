import { describe, expect, test } from "vitest";
import { amdviQemu100, amdviQemu111, amdviStrict } from "../../hardware/amdvi/profile.ts";
import { messageAddress, place, testbed } from "../../hardware/amdvi/testbed.ts";
import { Outcome } from "../../hardware/delivery.ts";
import * as dte from "../../spec/accessors/amdvi-dte.ts";
import { IntCtl } from "../../spec/amdvi/dte.ts";
import { irteGuest, irteRemapped128 } from "../../spec/amdvi/irte.ts";
import { encode, toWords } from "../../spec/codec.ts";
import { LiveAmdvi } from "./live-amdvi.ts";
import { written } from "./structures.ts";

type Bed = ReturnType<typeof testbed>;

const liveOf = (bed: Bed): LiveAmdvi => new LiveAmdvi(bed.unit, bed.memory);
const changed = "amdvi.check.entry-changed";
const silent = encode(irteRemapped128, { remapen: 0, supiopf: 1 });

/** A unit after some requests, of which it blocks the last. */
function blocked(
  { profile = amdviStrict, setup = {}, times = 1 },
  prepare: (bed: Bed) => void = () => {},
  data = 5,
): Bed {
  const bed = testbed(profile, { ga: true, ...setup });
  prepare(bed);
  for (let i = 0; i < times; i++) bed.send(data);
  return bed;
}

describe("a fault that is not logged says why", () => {
  test.each([
    [
      "its request is aborted without an event",
      blocked({}, undefined, 0x305),
      "the request is aborted without an event",
      "amdvi.ir.type-reserved",
    ],
    [
      "the device's entry keeps it out",
      blocked({}, (bed) => bed.device({ ig: 1 })),
      "IG=1",
      "amdvi.ir.log-suppressed",
    ],
    [
      "its entry keeps it out",
      blocked({}, (bed) => bed.entry(5, irteRemapped128, silent)),
      "SupIOPF=1",
      "amdvi.ir.log-suppressed",
    ],
    ["the log is full", blocked({ times: 300 }), "EventOverflow=1", "amdvi.event.overflow"],
    ["the log is off", blocked({ setup: { events: undefined } }), "EventLogRun=0", "amdvi.event.log"],
    [
      "the unit logs no fault of a message",
      blocked({ profile: amdviQemu111 }),
      "this unit logs no fault of a message",
      "qemu.amdvi.faults-not-logged",
    ],
    [
      "the unit logs nothing",
      blocked({ profile: amdviQemu100 }),
      "this unit logs nothing",
      "qemu.amdvi.event-log-dead",
    ],
  ])("%s", (_, bed, why, rule) => {
    expect(bed.unit.fault).toMatchObject({ logged: false });
    expect(liveOf(bed).unrecorded()).toEqual({ why, rule });
  });
});

describe("a change of an entry is held against what software owes for it", () => {
  const guest = { remapen: 1, guestmode: 1, root: 0x3000n, vector: 0x31 } as const;
  const running = encode(irteGuest, { ...guest, isrun: 1, dest: 2 });
  test.each([
    ["its vector", running, encode(irteGuest, { ...guest, isrun: 1, dest: 2, vector: 0x32 }), changed],
    ["where a vCPU runs", running, encode(irteGuest, { ...guest, dest: 3 }), "amdvi.ga.not-cached"],
    [
      "whether its log is written",
      running,
      encode(irteGuest, { ...guest, dest: 2, galogintr: 1 }),
      "amdvi.ga.log-request-not-cached",
    ],
    ["its mode", encode(irteRemapped128, { remapen: 1, vector: 0x31 }), running, changed],
  ])("%s", (_, before, value, rule) => {
    const entry = liveOf(testbed(amdviStrict, { ga: true })).entry(0, place.device);
    const layout = entry.layout(toWords(value, 128));
    expect(entry.rule(written(entry.what, layout, before, value))).toBe(rule);
  });
});

test("the device's entry is the one that the unit keeps, whatever memory says meanwhile", () => {
  const bed = testbed();
  const live = liveOf(bed);
  const request = { requester: place.device, address: messageAddress, data: 5, source: "nic" };
  bed.device({ intctl: IntCtl.pass });
  expect(bed.send(5)).toBe(Outcome.passed);
  bed.device({ intctl: IntCtl.remap });
  expect(bed.send(5)).toBe(Outcome.passed);
  const rule = live.passedBy(request);
  expect(rule).toBe("amdvi.ir.intctl-pass");
  const { device } = live.facts(request, undefined, { outcome: "passed", rule }, "");
  expect(dte.intctl(device, 0)).toBe(IntCtl.pass);
});
