import { expect, test } from "vitest";
import { EventRing } from "./event-ring.ts";
import { type EventName, eventKinds } from "./event.ts";
import { Memory } from "./memory.ts";
import { RecordingFabric } from "./recording-fabric.ts";
import { enableRemapping } from "./vtd/bring-up.ts";
import { vtdStrict } from "./vtd/profile.ts";
import { VtdUnit } from "./vtd/unit.ts";

test("kinds are numbered without a gap", () => {
  expect(Object.values(eventKinds)).toEqual(Object.keys(eventKinds).map((_, i) => i + 1));
});

test("a ring reads events out by the names of their values", () => {
  const ring = new EventRing();
  const memory = new Memory();
  const unit = new VtdUnit({ memory, fabric: new RecordingFabric(), profile: vtdStrict, observer: ring });
  enableRemapping(unit, { base: 0x10_0000, size: 7 });
  memory.write64(0x10_0000, 0x0100_0041_0001n);
  const before = ring.recorded;
  unit.interrupt(0xfee0_0010, 0, 0x18);
  unit.interrupt(0xfee0_0030, 0, 0x18);
  const seen = ring.events().slice(before);
  expect(seen).toEqual([
    { kind: "request", requester: 0x18, address: 0xfee0_0010 | 0, data: 0 },
    { kind: "entry", index: 0, hit: 0, word0: 0x41_0001, word1: 0x100, word2: 0, word3: 0 },
    {
      kind: "remapped",
      destination: 1,
      logical: 0,
      redirectionHint: 0,
      deliveryMode: 0,
      vector: 0x41,
      level: 0,
    },
    { kind: "request", requester: 0x18, address: 0xfee0_0030 | 0, data: 0 },
    { kind: "entry", index: 1, hit: 0, word0: 0, word1: 0, word2: 0, word3: 0 },
    { kind: "fault", reason: 0x22, requester: 0x18, index: 1, recorded: 1 },
  ]);
});

test("a ring forgets the oldest events first, and says how many there were", () => {
  const ring = new EventRing(4);
  for (let i = 0; i < 6; i++) ring.record(eventKinds.virtual, 0, i, 0, 0, 0, 0);
  expect(ring.recorded).toBe(6);
  expect(ring.events().map((event) => event.kind === "virtual" && event.vector)).toEqual([2, 3, 4, 5]);
});

test.each([0, 3, -2, 0.5, 2 ** 25])("a ring of %s events is refused", (capacity) => {
  expect(() => new EventRing(capacity)).toThrow(RangeError);
});

test("every kind has a name for each of its values", () => {
  const ring = new EventRing();
  for (const kind of Object.values(eventKinds)) ring.record(kind, 1, 2, 3, 4, 5, 6);
  for (const event of ring.events()) {
    const { kind, ...values } = event;
    expect(Object.values(values)).toEqual(Object.keys(values).map((_, i) => i + 1));
    expect(eventKinds[kind satisfies EventName]).toBeGreaterThan(0);
  }
});
