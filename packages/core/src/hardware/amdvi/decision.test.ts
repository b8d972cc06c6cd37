import { describe, expect, test } from "vitest";
import { decode, encode } from "../../spec/codec.ts";
import {
  eventCodes,
  eventGeneric,
  illegalDevTableEntry,
  invalidDeviceRequest,
  ioPageFault,
} from "../../spec/amdvi/events.ts";
import { type FaultName, faultReasons } from "../../spec/amdvi/faults.ts";
import { irte32, irteRemapped128 } from "../../spec/amdvi/irte.ts";
import { htInterruptAddress } from "../../spec/amdvi/request.ts";
import { Outcome, unknownRequester } from "../delivery.ts";
import { eventKinds } from "../event.ts";
import { amdviStrict } from "./profile.ts";
import { type DteValues, messageAddress, place, testbed } from "./testbed.ts";

const good32 = { remapen: 1, dest: 0x03, vector: 0x41 } as const;
const good128 = { remapen: 1, dest: 0x03, vector: 0x41 } as const;
const delivered = { destination: 3, logical: 0, redirectionHint: 0, deliveryMode: 0, vector: 0x41, level: 0 };

type Irte32Values = Parameters<typeof encode<keyof typeof irte32.fields>>[1];
type Irte128Values = Parameters<typeof encode<keyof typeof irteRemapped128.fields>>[1];

describe("what becomes of a request", () => {
  interface Case {
    readonly name: string;
    readonly dte?: DteValues;
    readonly entry?: Irte32Values;
    /** Data of the message; index 5 unless told. */
    readonly data?: number;
    /** Bits of the message's address. */
    readonly bits?: number;
    readonly expected: "passed" | "remapped" | FaultName;
  }

  const nmi = 0x400;
  const cases: readonly Case[] = [
    { name: "a fixed message is remapped with IntCtl=10b", expected: "remapped" },
    {
      name: "an arbitrated message is remapped, bit 8 of its data being bit 8 of the index",
      data: 0x105,
      expected: "remapped",
    },
    { name: "a message passes with IV=0", dte: { iv: 0 }, expected: "passed" },
    { name: "V=0 does not matter to interrupts", dte: { v: 0 }, expected: "remapped" },
    { name: "a fixed message passes with IntCtl=01b", dte: { intctl: 1 }, expected: "passed" },
    { name: "a fixed message is aborted with IntCtl=00b", dte: { intctl: 0 }, expected: "controlAbort" },
    { name: "IntCtl=11b is an illegal device entry", dte: { intctl: 3 }, expected: "controlReserved" },
    { name: "an SMI passes", data: 0x200, dte: { intctl: 0 }, expected: "passed" },
    { name: "an SMI in logical mode does not", data: 0x200, bits: 4, expected: "typeLogical" },
    { name: "an NMI passes with NMIPass", data: nmi, dte: { nmipass: 1, intctl: 0 }, expected: "passed" },
    {
      name: "an NMI is aborted without NMIPass",
      data: nmi,
      dte: { initpass: 1, extintpass: 1 },
      expected: "typeFiltered",
    },
    { name: "an INIT passes with INITPass", data: 0x500, dte: { initpass: 1 }, expected: "passed" },
    {
      name: "an INIT is aborted without INITPass",
      data: 0x500,
      dte: { nmipass: 1, extintpass: 1 },
      expected: "typeFiltered",
    },
    { name: "an ExtINT passes with ExtIntPass", data: 0x700, dte: { extintpass: 1 }, expected: "passed" },
    {
      name: "an ExtINT is aborted without ExtIntPass",
      data: 0x700,
      dte: { initpass: 1, nmipass: 1 },
      expected: "typeFiltered",
    },
    { name: "type 011b is reserved", data: 0x300, expected: "typeReserved" },
    { name: "type 110b is reserved", data: 0x600, expected: "typeReserved" },
    {
      name: "an NMI in logical mode is aborted",
      data: nmi,
      bits: 4,
      dte: { nmipass: 1 },
      expected: "typeLogical",
    },
    { name: "a fixed message in logical mode is remapped", bits: 4, expected: "remapped" },
    { name: "RemapEn=0 is a page fault", entry: { ...good32, remapen: 0 }, expected: "notEnabled" },
    {
      name: "GuestMode without guest mode is a page fault",
      entry: { ...good32, guestmode: 1 },
      expected: "guestMode",
    },
    { name: "IntType 2 is a page fault", entry: { ...good32, inttype: 2 }, expected: "interruptType" },
    { name: "IntType 1 is delivered", entry: { ...good32, inttype: 1 }, expected: "remapped" },
  ];

  test.each(cases)("$name", ({ dte, entry, data = 5, bits = 0, expected }) => {
    const bed = testbed();
    bed.device(dte);
    bed.entry(data & 0x7ff, irte32, encode(irte32, entry ?? good32));
    const outcome = bed.send(data, bits);
    if (expected === "passed" || expected === "remapped") {
      expect(outcome).toBe(Outcome[expected]);
      expect(bed.unit.fault).toBeUndefined();
    } else {
      expect(outcome).toBe(Outcome.blocked);
      expect(bed.unit.fault).toMatchObject({
        name: expected,
        rule: faultReasons[expected].rule,
        requester: place.device,
      });
    }
    expect(bed.fabric.deliveries.length).toBe(expected === "remapped" ? 1 : 0);
    expect(bed.fabric.messages.filter(({ data }) => data !== 0x26)).toEqual(
      expected === "passed" ? [{ address: BigInt((messageAddress | bits) >>> 0), data }] : [],
    );
  });

  test.each([12, 13, 14, 15])("IntTabLen %i is an illegal device entry", (inttablen) => {
    const bed = testbed();
    bed.device({ inttablen });
    expect(bed.send(0)).toBe(Outcome.blocked);
    expect(bed.unit.fault).toMatchObject({
      name: "tableLength",
      rule: "amdvi.dte.inttablen",
      event: "ILLEGAL_DEV_TABLE_ENTRY",
    });
  });

  test.each([0, 1, 2, 3, 4, 5, 6, 7, 8, 9])(
    "IntTabLen %i bounds the index at a power of two",
    (inttablen) => {
      const bed = testbed();
      bed.device({ inttablen });
      const last = 2 ** inttablen - 1;
      bed.entry(last, irte32, encode(irte32, good32));
      bed.entry(last + 1, irte32, encode(irte32, good32));
      expect(bed.send(last)).toBe(Outcome.remapped);
      if (inttablen === 9) return; // index 512 is an SMI with 512 interrupts a device
      expect(bed.send(last + 1)).toBe(Outcome.blocked);
      expect(bed.unit.fault).toMatchObject({
        name: "indexOutOfRange",
        index: last + 1,
        event: "IO_PAGE_FAULT",
        flags: 8,
      });
    },
  );

  test.each([0x0100_0000, 0x8000_0000])("reserved bits %i of a 32-bit entry are a page fault", (stray) => {
    const bed = testbed();
    const value = encode(irte32, good32) | BigInt(stray);
    bed.entry(5, irte32, value);
    expect(bed.send(5)).toBe(Outcome.blocked);
    expect(bed.unit.fault).toMatchObject({ name: "entryReserved", index: 5, entry: value });
  });
});

describe("the order of the checks", () => {
  interface Pair {
    readonly name: string;
    readonly dte: DteValues;
    readonly entry?: bigint;
    readonly data?: number;
    readonly bits?: number;
    readonly first: FaultName | "passed";
  }

  const bad = encode(irte32, { ...good32, inttype: 7 }) | 0xff00_0000n;
  const pairs: readonly Pair[] = [
    { name: "IV=0 comes before IntCtl=11b", dte: { iv: 0, intctl: 3 }, first: "passed" },
    { name: "IV=0 comes before a reserved type", dte: { iv: 0 }, data: 0x300, first: "passed" },
    { name: "the type comes before IntCtl=00b", dte: { intctl: 0 }, data: 0x400, first: "typeFiltered" },
    { name: "the type comes before IntCtl=11b", dte: { intctl: 3 }, data: 0x600, first: "typeReserved" },
    {
      name: "a reserved type comes before logical mode",
      dte: {},
      data: 0x600,
      bits: 4,
      first: "typeReserved",
    },
    {
      name: "logical mode comes before the pass bit",
      dte: { nmipass: 0 },
      data: 0x400,
      bits: 4,
      first: "typeLogical",
    },
    { name: "IntCtl=00b comes before IntTabLen", dte: { intctl: 0, inttablen: 15 }, first: "controlAbort" },
    { name: "IntCtl=01b comes before IntTabLen", dte: { intctl: 1, inttablen: 15 }, first: "passed" },
    {
      name: "IntCtl=11b comes before IntTabLen",
      dte: { intctl: 3, inttablen: 15 },
      first: "controlReserved",
    },
    { name: "IntTabLen comes before the entry", dte: { inttablen: 12 }, entry: 0n, first: "tableLength" },
    { name: "the index comes before the entry", dte: { inttablen: 2 }, entry: 0n, first: "indexOutOfRange" },
    { name: "RemapEn comes before reserved bits", dte: {}, entry: bad & ~1n, first: "notEnabled" },
    { name: "GuestMode comes before reserved bits", dte: {}, entry: bad | 0x80n, first: "guestMode" },
    { name: "reserved bits come before IntType", dte: {}, entry: bad, first: "entryReserved" },
  ];

  test.each(pairs)("$name", ({ dte, entry = encode(irte32, good32), data = 5, bits = 0, first }) => {
    const bed = testbed();
    bed.device(dte);
    bed.entry(5, irte32, entry);
    const outcome = bed.send(data, bits);
    expect(outcome === Outcome.passed ? "passed" : bed.unit.fault?.name).toBe(first);
  });

  test("a disabled unit looks at nothing", () => {
    const bed = testbed(amdviStrict, null);
    bed.device({ intctl: 3 });
    expect(bed.send(0x300)).toBe(Outcome.passed);
    expect(bed.unit.malformed(messageAddress, place.device)).toBe(Outcome.passed);
    expect(bed.unit.fault).toBeUndefined();
  });
});

describe("a remapped interrupt", () => {
  test("takes everything from a 32-bit entry but hint and trigger mode", () => {
    const bed = testbed();
    bed.entry(5, irte32, encode(irte32, { remapen: 1, inttype: 1, dm: 1, dest: 0xff, vector: 0xfe }));
    bed.send(0xc005, 8);
    expect(bed.fabric.deliveries).toEqual([
      { destination: 0xff, logical: 1, redirectionHint: 1, deliveryMode: 1, vector: 0xfe, level: 1 },
    ]);
    expect(bed.reported(eventKinds.request)).toEqual([[place.device, messageAddress | 8, 0xc005, 0, 0, 0]]);
    expect(bed.reported(eventKinds.remapped)).toEqual([[0xff, 1, 1, 1, 0xfe, 1]]);
    expect(bed.reported(eventKinds.entry)).toEqual([[5, 0, 0xfeff45, 0, 0, 0]]);
  });

  test("is level-triggered where the entry asks for an EOI", () => {
    const bed = testbed();
    bed.entry(5, irte32, encode(irte32, { ...good32, rqeoi: 1 }));
    bed.send(5);
    expect(bed.fabric.deliveries).toEqual([{ ...delivered, level: 1 }]);
  });

  const wide: readonly [string, boolean, Irte128Values, number][] = [
    ["8 bits of destination with XTEn=0", false, { dest: 0xfe }, 0xfe],
    ["32 bits of destination with XTEn=1", true, { dest: 0x8765_4321 }, 0x8765_4321],
  ];
  test.each(wide)("takes %s from a 128-bit entry", (_, x2apic, values, destination) => {
    const bed = testbed(amdviStrict, { ga: true, x2apic });
    bed.entry(
      5,
      irteRemapped128,
      encode(irteRemapped128, { ...good128, dm: 1, inttype: 1, gatag: 0xffff_ffff, ...values }),
    );
    expect(bed.send(5)).toBe(Outcome.remapped);
    expect(bed.fabric.deliveries).toEqual([{ ...delivered, destination, logical: 1, deliveryMode: 1 }]);
    expect(bed.reported(eventKinds.entry)[0]!.slice(0, 2)).toEqual([5, 0]);
  });

  test.each([
    ["bit 72", 1n << 72n],
    ["bit 119", 1n << 119n],
    ["destination bit 8", 1n << 16n],
    ["destination bit 31", 1n << 127n],
  ])("is a page fault with %s of a 128-bit entry set while XTEn=0", (_, stray) => {
    const bed = testbed(amdviStrict, { ga: true });
    bed.entry(5, irteRemapped128, encode(irteRemapped128, good128) | stray);
    bed.send(5);
    expect(bed.unit.fault).toMatchObject({
      name: "entryReserved",
      entry: encode(irteRemapped128, good128) | stray,
    });
  });

  test("finds its table behind a 1 MiB and a 4 GiB boundary", () => {
    const bed = testbed(amdviStrict, { ga: true });
    const table = 0xf_ffff_ff80;
    bed.device({ inttableptr: table });
    for (const [index, vector] of [7, 8].entries()) {
      bed.memory.write32(table + 16 * vector, 0x301);
      bed.memory.write32(table + 16 * vector + 8, 0x60 + index);
    }
    bed.send(7);
    bed.send(8);
    expect(bed.fabric.deliveries.map(({ vector }) => vector)).toEqual([0x60, 0x61]);
  });
});

describe("the number of interrupts a device", () => {
  const twoK = { ga: true, index2048: true };

  test.each([512, 0x2ff, 0x400, 0x7ff])(
    "index %i is remapped in 2048 mode by a message with DM=1",
    (index) => {
      const bed = testbed(amdviStrict, twoK);
      bed.entry(index, irteRemapped128, encode(irteRemapped128, good128));
      expect(bed.send(index, 4)).toBe(Outcome.remapped);
      expect(bed.fabric.deliveries).toEqual([delivered]);
    },
  );

  test("a message with DM=0 keeps its type in 2048 mode", () => {
    const bed = testbed(amdviStrict, twoK);
    expect(bed.send(0x400)).toBe(Outcome.blocked);
    expect(bed.unit.fault?.name).toBe("typeFiltered");
  });

  test("IntTabLen bounds the index in 2048 mode too", () => {
    const bed = testbed(amdviStrict, twoK);
    bed.device({ inttablen: 9 });
    bed.send(0x200, 4);
    expect(bed.unit.fault).toMatchObject({ name: "indexOutOfRange", index: 512 });
  });

  test("is 512 where EFR2 reports no more", () => {
    const bed = testbed({ ...amdviStrict, efr2: 0n }, twoK);
    bed.send(0x400, 4);
    expect(bed.unit.fault?.name).toBe("typeLogical");
  });
});

describe("the device table", () => {
  test("ends where its size says", () => {
    const bed = testbed(amdviStrict, { pages: 1 });
    bed.device({}, 127);
    bed.entry(0, irte32, encode(irte32, good32));
    expect(bed.send(0, 0, 127)).toBe(Outcome.remapped);
    expect(bed.send(0, 0, 128)).toBe(Outcome.blocked);
    expect(bed.unit.fault).toMatchObject({
      name: "deviceOutOfRange",
      requester: 128,
      event: "ILLEGAL_DEV_TABLE_ENTRY",
    });
  });

  test("holds the last of 65,536 devices", () => {
    const bed = testbed();
    bed.device({}, 0xffff);
    bed.entry(0, irte32, encode(irte32, good32));
    expect(bed.send(0, 0, 0xffff)).toBe(Outcome.remapped);
  });

  test("has no entry for an unknown requester", () => {
    const bed = testbed();
    expect(bed.send(0, 0, unknownRequester)).toBe(Outcome.blocked);
    expect(bed.unit.fault).toMatchObject({
      name: "requesterUnknown",
      requester: -1,
      event: null,
      logged: false,
    });
  });

  test("lets a device with V=0 pass under the reading that looks at V", () => {
    const bed = testbed({ ...amdviStrict, validGatesInterrupts: true });
    bed.entry(5, irte32, encode(irte32, good32));
    expect(bed.send(5)).toBe(Outcome.remapped);
    const other = testbed({ ...amdviStrict, validGatesInterrupts: true });
    other.device({ v: 0 });
    expect(other.send(5)).toBe(Outcome.passed);
  });
});

describe("memory that cannot be read", () => {
  test("blocks at the device table, and the event names the entry", () => {
    const bed = testbed();
    bed.memory.injectError(place.deviceTable + 32 * place.device, 4);
    expect(bed.send(5)).toBe(Outcome.blocked);
    expect(bed.unit.fault).toMatchObject({
      name: "deviceTableAccess",
      event: "DEV_TAB_HARDWARE_ERROR",
      logged: true,
    });
    expect(decode(eventGeneric, bed.events()[0]!)).toMatchObject({
      code: eventCodes.DEV_TAB_HARDWARE_ERROR,
      devid: place.device,
      address: place.deviceTable + 32 * place.device,
    });
  });

  test.each([false, true])(
    "blocks at the interrupt table, and the event names the entry (GAEn: %s)",
    (ga) => {
      const bed = testbed(amdviStrict, { ga });
      const address = place.interruptTable + (ga ? 16 : 4) * 5;
      bed.memory.injectError(address, 1);
      expect(bed.send(5)).toBe(Outcome.blocked);
      expect(bed.unit.fault).toMatchObject({
        name: "tableAccess",
        index: 5,
        event: "PAGE_TAB_HARDWARE_ERROR",
      });
      expect(decode(eventGeneric, bed.events()[0]!)).toMatchObject({
        code: eventCodes.PAGE_TAB_HARDWARE_ERROR,
        address,
      });
    },
  );

  test("elsewhere does not matter", () => {
    const bed = testbed();
    bed.entry(5, irte32, encode(irte32, good32));
    bed.memory.injectError(0x9000, 1);
    expect(bed.send(5)).toBe(Outcome.remapped);
  });
});

describe("the event of a fault", () => {
  test("is an IO_PAGE_FAULT with I set, the domain, and the message as its address", () => {
    const bed = testbed();
    bed.send(0xc105, 4 | (0x12 << 12));
    const event = bed.events()[0]!;
    expect(decode(ioPageFault, event)).toMatchObject({
      devid: place.device,
      domainid: 0x2c,
      i: 1,
      pr: 0,
      code: 2,
    });
    const address = event >> 64n;
    expect(address >> 24n).toBe(0xff_ffff_fdf8n);
    expect(decode(htInterruptAddress, address)).toMatchObject({
      vector: 5,
      type: 1,
      dm: 1,
      destination: 0x12,
      level: 1,
    });
    expect(bed.unit.fault).toMatchObject({ logged: true, flags: 0x008, event: "IO_PAGE_FAULT" });
  });

  test("is an INVALID_DEVICE_REQUEST of type 101b, printed as flags 0x0a00, with IntCtl=00b", () => {
    const bed = testbed();
    bed.device({ intctl: 0 });
    bed.send(0);
    const event = bed.events()[0]!;
    expect(decode(invalidDeviceRequest, event)).toMatchObject({
      type: 5,
      code: 8,
      devid: place.device,
      pasid: 0,
    });
    expect(decode(eventGeneric, event).flags).toBe(0xa00);
    expect(event >> 64n).toBe(0xffff_fffd_f800_0000n);
  });

  test("is an ILLEGAL_DEV_TABLE_ENTRY with I set for a bad IntTabLen", () => {
    const bed = testbed();
    bed.device({ inttablen: 15 });
    bed.send(0x14);
    expect(decode(illegalDevTableEntry, bed.events()[0]!)).toMatchObject({ i: 1, rz: 0, code: 1, pasid: 0 });
    expect(bed.events()[0]! >> 64n).toBe(0xffff_fffd_f814_0000n); // as an SNP host printed it
  });

  test("is an INVALID_DEVICE_REQUEST of type 000b for what is no message", () => {
    const bed = testbed();
    expect(bed.unit.malformed(messageAddress, place.device)).toBe(Outcome.blocked);
    expect(bed.unit.fault).toMatchObject({ name: "malformedRequest", flags: 0, logged: true });
    expect(decode(invalidDeviceRequest, bed.events()[0]!)).toMatchObject({ type: 0, code: 8 });
    expect(bed.reported(eventKinds.request)).toEqual([]);
  });

  test("names device FFFFh where a malformed request has none", () => {
    const bed = testbed();
    bed.unit.malformed(messageAddress, unknownRequester);
    expect(decode(eventGeneric, bed.events()[0]!)).toMatchObject({ devid: 0xffff, pasidhigh: 0 });
  });

  test("is none at all for a type that does not pass", () => {
    const bed = testbed();
    bed.send(0x400);
    expect(bed.unit.fault).toMatchObject({ event: null, logged: false });
    expect(bed.events()).toEqual([]);
  });

  const suppressions: readonly [string, DteValues, Irte32Values, number, number][] = [
    ["is kept out by IG", { ig: 1 }, { remapen: 0 }, 5, 0],
    ["is kept out by SupIOPF", {}, { remapen: 0, supiopf: 1 }, 5, 0],
    ["of an index out of range is kept out by IG", { ig: 1, inttablen: 1 }, {}, 5, 0],
    ["of an index out of range does not ask for SupIOPF", { inttablen: 1 }, { supiopf: 1 }, 5, 1],
    ["of an illegal device entry is not kept out by IG", { ig: 1, inttablen: 14 }, {}, 5, 1],
    ["of IntCtl=00b is not kept out by IG", { ig: 1, intctl: 0 }, {}, 5, 1],
  ];
  test.each(suppressions)("%s", (_, dte, entry, data, count) => {
    const bed = testbed();
    bed.device(dte);
    bed.entry(5, irte32, encode(irte32, entry));
    bed.send(data);
    expect(bed.events().length).toBe(count);
    expect(bed.unit.fault).toMatchObject({ logged: count === 1 });
    expect(bed.reported(eventKinds.fault)[0]![3]).toBe(count);
  });
});
