import { describe, expect, test } from "vitest";
import { decode, encode } from "../../spec/codec.ts";
import { commandCodes, invalidateInterruptTable } from "../../spec/amdvi/commands.ts";
import { eventCodes, eventGeneric } from "../../spec/amdvi/events.ts";
import { galogEntry } from "../../spec/amdvi/galog.ts";
import { irteGuest, irteRemapped128 } from "../../spec/amdvi/irte.ts";
import { registers, status } from "../../spec/amdvi/registers.ts";
import { Outcome } from "../delivery.ts";
import { eventKinds } from "../event.ts";
import { Memory } from "../memory.ts";
import { RecordingFabric } from "../recording-fabric.ts";
import { controlOf } from "./bring-up.ts";
import { amdviStrict } from "./profile.ts";
import { place, testbed, wide } from "./testbed.ts";
import { AmdviUnit } from "./unit.ts";

const setup = { ga: true, guestMode: true } as const;
const whole = {
  deviceTable: 0,
  commands: { base: 0 },
  events: { base: 0 },
  guestLog: { base: 0 },
  interrupts: true,
};

type GuestValues = Parameters<typeof encode<keyof typeof irteGuest.fields>>[1];
type Bed = ReturnType<typeof testbed>;

function guestEntry(values: GuestValues = {}): bigint {
  return encode(irteGuest, { remapen: 1, guestmode: 1, vector: 0x51, root: place.backingPage, ...values });
}

function guestBed(values: GuestValues = {}, more = {}): Bed {
  const bed = testbed(amdviStrict, { ...setup, ...more });
  bed.entry(5, irteGuest, guestEntry(values));
  return bed;
}

function irr(bed: Bed, vector: number, page: number = place.backingPage): number {
  return (bed.memory.read32(page + 0x200 + 0x10 * (vector >>> 5)) >>> (vector & 31)) & 1;
}

/** The guest log's entries, oldest first. */
function logged(bed: Bed): bigint[] {
  const tail = Number(bed.read("GA_LOG_TAIL"));
  return Array.from({ length: tail / 8 }, (_, i) => wide(bed.memory, place.guestLog + 8 * i, 2));
}

describe("a message through a guest-mode entry", () => {
  test.each([0, 31, 32, 0x51, 255])("sets vector %i alone in the backing page's IRR", (vector) => {
    const bed = guestBed({ vector });
    expect(bed.send(5)).toBe(Outcome.posted);
    for (let other = 0; other < 256; other++) expect(irr(bed, other)).toBe(other === vector ? 1 : 0);
    expect(bed.fabric.deliveries).toEqual([]);
  });

  test("leaves the other bits of the IRR as they are", () => {
    const bed = guestBed();
    bed.memory.write32(place.backingPage + 0x220, 1);
    bed.send(5);
    expect(bed.memory.read32(place.backingPage + 0x220)).toBe((1 << 0x11) | 1);
  });

  test("finds a backing page above 4 GiB", () => {
    const page = 0xa_bcde_f000;
    const bed = guestBed({ root: page });
    bed.send(5);
    expect(irr(bed, 0x51, page)).toBe(1);
  });

  test.each([
    [false, 0xfe, 0xfe],
    [true, 0x8000_0001, 0x8000_0001],
  ])("rings the doorbell of its destination while IsRun is 1 (XTEn: %s)", (x2apic, dest, apicId) => {
    const bed = guestBed({ isrun: 1, galogintr: 1, dest }, { x2apic });
    bed.send(5);
    expect(bed.doorbells).toEqual([apicId]);
    expect(logged(bed)).toEqual([]);
    expect(bed.reported(eventKinds.posted)).toEqual([[place.backingPage, 0, 0x51, 1, 0, 0]]);
  });

  test("posts without anyone to hear the doorbell", () => {
    const memory = new Memory();
    const unit = new AmdviUnit({ memory, fabric: new RecordingFabric(), profile: amdviStrict });
    const bed = guestBed({ isrun: 1 });
    memory.writeBytes(place.deviceTable, bed.memory.readBytes(place.deviceTable, 0x1000));
    memory.writeBytes(place.interruptTable, bed.memory.readBytes(place.interruptTable, 0x100));
    unit.enable({ deviceTable: place.deviceTable, ...setup });
    expect(unit.interrupt(0xfee0_0000 | 0, 5, place.device)).toBe(Outcome.posted);
    expect(memory.read32(place.backingPage + 0x220)).toBe(1 << 0x11);
  });

  test("does nothing more while IsRun and GALogIntr are 0", () => {
    const bed = guestBed();
    bed.send(5);
    expect([bed.doorbells, logged(bed), bed.fabric.messages]).toEqual([[], [], []]);
  });

  test("writes tag and device to the guest log while IsRun is 0 and GALogIntr is 1", () => {
    const bed = guestBed({ galogintr: 1, gatag: 0x8765_4321 });
    bed.send(5);
    expect(bed.doorbells).toEqual([]);
    expect(logged(bed).map((entry) => decode(galogEntry, entry))).toEqual([
      { gatag: 0x8765_4321, devid: place.device, code: 1 },
    ]);
    expect(decode(status, bed.read("STATUS"))).toMatchObject({ galogint: 1, galogrun: 1, galogoverflow: 0 });
    expect(bed.fabric.messages).toEqual([{ address: 0xfee0_3000n, data: 0x26 }]);
    expect(bed.reported(eventKinds.posted)).toEqual([[place.backingPage, 0, 0x51, 0, 1, 0]]);
  });
});

describe("what of a guest-mode entry is never kept", () => {
  test("IsRun and Destination", () => {
    const bed = guestBed({ isrun: 1, dest: 1 });
    bed.send(5);
    bed.entry(5, irteGuest, guestEntry({ isrun: 1, dest: 2 }));
    bed.send(5);
    bed.entry(5, irteGuest, guestEntry());
    bed.send(5);
    expect(bed.doorbells).toEqual([1, 2]);
    expect(bed.reported(eventKinds.entry).map(([, hit]) => hit)).toEqual([0, 1, 1]);
  });

  test("GATag, and GALogIntr with it", () => {
    const bed = guestBed({ isrun: 1 });
    bed.send(5);
    bed.entry(5, irteGuest, guestEntry({ galogintr: 1, gatag: 0x111 }));
    bed.send(5);
    bed.entry(5, irteGuest, guestEntry({ galogintr: 1, gatag: 0x222 }));
    bed.send(5);
    expect(logged(bed).map((entry) => decode(galogEntry, entry).gatag)).toEqual([0x111, 0x222]);
  });

  test("but vector, backing page and GuestMode are, until the table is invalidated", () => {
    const bed = guestBed();
    bed.send(5);
    bed.entry(5, irteRemapped128, encode(irteRemapped128, { remapen: 1, vector: 0x99 }));
    expect(bed.send(5)).toBe(Outcome.posted);
    expect(irr(bed, 0x99)).toBe(0);
    const opcode = commandCodes.INVALIDATE_INTERRUPT_TABLE;
    bed.command(encode(invalidateInterruptTable, { devid: place.device, opcode }));
    expect(bed.send(5)).toBe(Outcome.remapped);
  });

  test("so that an entry which cannot be read any more blocks", () => {
    const bed = guestBed();
    bed.send(5);
    bed.memory.injectError(place.interruptTable + 0x50, 1);
    expect(bed.send(5)).toBe(Outcome.blocked);
    expect(bed.unit.fault?.name).toBe("tableAccess");
  });
});

describe("a guest-mode entry is blocked", () => {
  test.each([
    ["GAMEn is 0", { guestMode: false }, amdviStrict],
    ["GAEn is 1 and the unit reports no guest mode", {}, { ...amdviStrict, efr: 0x80n }],
  ])("where %s", (_, more, profile) => {
    const bed = testbed(profile, { ...setup, ...more });
    bed.entry(5, irteGuest, guestEntry());
    expect(bed.send(5)).toBe(Outcome.blocked);
    expect(bed.unit.fault).toMatchObject({
      name: "guestMode",
      rule: "amdvi.irte.guest-mode",
      entry: guestEntry(),
    });
  });

  test.each([3, 4, 72, 75, 116, 119])("where reserved bit %i is set", (position) => {
    const bed = guestBed();
    bed.entry(5, irteGuest, guestEntry() | (1n << BigInt(position)));
    bed.send(5);
    expect(bed.unit.fault?.name).toBe("entryReserved");
  });

  test("where its backing page cannot be accessed, and the event names the page", () => {
    const page = 0xa_bcde_f000;
    const bed = guestBed({ root: page });
    bed.memory.injectError(page + 0x220, 4);
    expect(bed.send(5)).toBe(Outcome.blocked);
    expect(bed.unit.fault).toMatchObject({ name: "pageAccess", index: 5, entry: guestEntry({ root: page }) });
    expect(decode(eventGeneric, bed.events()[0]!)).toMatchObject({
      code: eventCodes.PAGE_TAB_HARDWARE_ERROR,
      address: page,
    });
  });

  test("while errors elsewhere do not matter", () => {
    const bed = guestBed();
    bed.memory.injectError(place.backingPage + 0x230, 4);
    expect(bed.send(5)).toBe(Outcome.posted);
  });
});

/** Fills the guest log but for the place that stays empty. */
const full = (bed: Bed): void => {
  for (let i = 0; i < 511; i++) bed.send(5);
};

describe("the guest log", () => {
  test("raises one interrupt until software has cleared GALogInt", () => {
    const bed = guestBed({ galogintr: 1 });
    bed.send(5);
    bed.send(5);
    expect(bed.fabric.messages.length).toBe(1);
    bed.write("STATUS", encode(status, { galogint: 1 }));
    bed.send(5);
    expect(bed.fabric.messages.length).toBe(2);
  });

  test("raises none while GAIntEn is 0", () => {
    const bed = guestBed({ galogintr: 1 }, { interrupts: false });
    bed.send(5);
    expect(bed.fabric.messages).toEqual([]);
    expect(decode(status, bed.read("STATUS")).galogint).toBe(1);
  });

  test("takes nothing while GALogEn is 0, and the vector is posted all the same", () => {
    const bed = guestBed({ galogintr: 1 });
    bed.write("CONTROL", controlOf({ ...setup, deviceTable: 0 }));
    expect(bed.send(5)).toBe(Outcome.posted);
    expect(logged(bed)).toEqual([]);
    expect(irr(bed, 0x51)).toBe(1);
  });

  test("copies its tail to the memory that software names", () => {
    const bed = guestBed({ galogintr: 1 });
    bed.memory.write64(0x1_0000_0008, 0xffff_ffff_ffff_ffffn);
    bed.write("GA_LOG_TAIL_ADDR", 0x1_0000_000fn);
    bed.send(5);
    bed.send(5);
    expect(bed.memory.read64(0x1_0000_0008)).toBe(16n);
  });

  test("overflows with one place left, stops, and raises the interrupt", () => {
    const bed = guestBed({ galogintr: 1 });
    full(bed);
    expect(decode(status, bed.read("STATUS"))).toMatchObject({ galogrun: 1, galogoverflow: 0 });
    expect(bed.fabric.messages.length).toBe(1);
    bed.send(5);
    expect(decode(status, bed.read("STATUS"))).toMatchObject({ galogrun: 0, galogoverflow: 1 });
    expect(Number(bed.read("GA_LOG_TAIL"))).toBe(511 * 8);
    expect(bed.fabric.messages.length).toBe(2);
    expect(bed.reported(eventKinds.posted).at(-1)![4]).toBe(0);
  });

  test("stays stopped though software makes room, until it is restarted", () => {
    const bed = guestBed({ galogintr: 1 });
    full(bed);
    bed.send(5);
    const on = controlOf({ ...whole, ...setup });
    bed.write("GA_LOG_HEAD", 511n * 8n);
    bed.send(5);
    bed.write("STATUS", encode(status, { galogoverflow: 1 }));
    bed.send(5);
    expect(Number(bed.read("GA_LOG_TAIL"))).toBe(511 * 8);
    bed.write("CONTROL", controlOf({ ...setup, deviceTable: 0 }));
    bed.write("CONTROL", on);
    bed.send(5);
    expect(Number(bed.read("GA_LOG_TAIL"))).toBe(0);
    expect(decode(status, bed.read("STATUS"))).toMatchObject({ galogrun: 1, galogoverflow: 0 });
  });

  test("does not restart while its overflow stands", () => {
    const bed = guestBed({ galogintr: 1 });
    full(bed);
    bed.send(5);
    bed.write("CONTROL", controlOf({ ...setup, deviceTable: 0 }));
    bed.write("CONTROL", controlOf({ ...whole, ...setup }));
    expect(decode(status, bed.read("STATUS")).galogrun).toBe(0);
  });

  test("starts anew with a new base", () => {
    const bed = guestBed({ galogintr: 1 });
    bed.send(5);
    bed.unit.write(registers.GA_LOG_BASE.offset, 64, bed.read("GA_LOG_BASE"));
    expect(bed.read("GA_LOG_TAIL")).toBe(0n);
  });
});
