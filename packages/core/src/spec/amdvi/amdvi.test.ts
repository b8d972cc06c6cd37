import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { decode, encode, toWords, validate } from "../codec.ts";
import * as remapped from "../accessors/amdvi-irte-remapped.ts";
import { commandCodes, commandLayouts, commandNameOf } from "./commands.ts";
import { dte, qemuReserved, qemuReservedWide } from "./dte.ts";
import { eventCodes, eventFlags, eventGeneric, eventLayoutOf, eventNameOf, ioPageFault } from "./events.ts";
import { type FaultReason, faultNameOf, faultReasons } from "./faults.ts";
import { irte32, irteGuest, irteRemapped128 } from "./irte.ts";
import { registers } from "./registers.ts";
import type { Register } from "../register.ts";
import { htInterruptAddress, isHtInterruptAddress } from "./request.ts";

const rulesOf = (violations: readonly { rule: string; when?: string }[]): string[] =>
  violations.map(({ rule, when }) => (when === undefined ? rule : `${rule} ${when}`));

/** A 256-bit mask as four hexadecimal numbers, the lowest first. */
const quarters = (mask: bigint): string[] =>
  [0n, 64n, 128n, 192n].map((at) => BigInt.asUintN(64, mask >> at).toString(16));

describe("a device table entry", () => {
  test("of an SNP host has a table of 512 entries", () => {
    const entry = (0x2008_0001_0025_8013n << 128n) | 3n;
    const table = { iv: 1, inttablen: 9, ig: 0, inttableptr: 0x8_0001_0025_8000, intctl: 2 };
    expect(decode(dte, entry)).toMatchObject({ v: 1, tv: 1, ...table, nmipass: 0 });
    expect(validate(dte, entry)).toEqual([]);
  });

  test("as the debugfs documentation prints it", () => {
    expect(decode(dte, 0x2000_0001_373b_8013n << 128n)).toMatchObject({
      iv: 1,
      inttablen: 9,
      inttableptr: 0x1_373b_8000,
    });
  });

  test("names the values that are illegal", () => {
    expect(rulesOf(validate(dte, encode(dte, { inttablen: 12, intctl: 3 })))).toEqual([
      "amdvi.dte.inttablen",
      "amdvi.dte.intctl-reserved",
    ]);
  });

  test("has QEMU's masks of reserved bits, quarter by quarter", () => {
    expect(quarters(qemuReserved)).toEqual(["800000000000007c", "0", "30000000000000", "3f000000007fff"]);
    expect(quarters(qemuReservedWide)).toEqual([
      "80300000000000fc",
      "100",
      "8f0000000000000",
      "ffffffffffffffff",
    ]);
  });
});

describe("an interrupt table entry", () => {
  test("of 128 bits as debugfs prints it: vector 20h, logical, destination 2", () => {
    const entry = (0x20n << 64n) | 0x241n;
    expect(decode(irteRemapped128, entry)).toMatchObject({
      remapen: 1,
      dm: 1,
      dest: 2,
      vector: 0x20,
      guestmode: 0,
    });
    expect(validate(irteRemapped128, entry, { xten: 0 })).toEqual([]);
  });

  test("has its destination in two places, for the accessor too", () => {
    fc.assert(
      fc.property(fc.nat(0xffff_ffff), (dest) => {
        const entry = encode(irteRemapped128, { dest });
        expect(entry & ~((0xffn << 120n) | 0xffff_ff00n)).toBe(0n);
        expect(remapped.dest(toWords(entry, 128), 0) >>> 0).toBe(dest);
      }),
    );
  });

  test("says which of its bits depend on XTEn", () => {
    const entry = encode(irteGuest, { remapen: 1, guestmode: 1, dest: 0x1_0000_01 });
    expect(rulesOf(validate(irteGuest, entry))).toEqual(["amdvi.irte.xapic-destination XTEn=0"]);
    expect(validate(irteGuest, entry, { xten: 1 })).toEqual([]);
    expect(rulesOf(validate(irteGuest, entry, { xten: 0 }))).toEqual(["amdvi.irte.xapic-destination"]);
  });

  test("of 32 bits with everything wrong breaks each rule", () => {
    expect(rulesOf(validate(irte32, 0xffff_ffffn))).toEqual([
      "amdvi.irte.reserved",
      "amdvi.irte.int-type",
      "amdvi.irte.guest-mode",
    ]);
  });
});

describe("an event", () => {
  test("of an interrupt has flag 8h and the flags that Linux prints", () => {
    const event = encode(ioPageFault, {
      code: 2,
      i: 1,
      devid: 0x0800,
      domainid: 0x2c,
      address: 0xffff_fffd_f800_0000n,
    });
    const common = decode(eventGeneric, event);
    expect(common).toMatchObject({ flags: eventFlags.i, code: 2, devid: 0x0800, domainid: 0x2c });
  });

  test.each(Object.entries(eventFlags))("has flag %s where Linux prints %i", (name, flag) => {
    const event = encode(eventGeneric, { flags: flag });
    expect(decode(ioPageFault, event)).toMatchObject({ [name]: 1 });
  });

  test.each(Object.entries(eventCodes))("has code %s", (name, code) => {
    expect(eventNameOf(code)).toBe(name);
    expect(eventLayoutOf(code).fields).toHaveProperty("address");
  });

  test("with a code that the document does not define has no name and the common layout", () => {
    expect([eventNameOf(0), eventNameOf(15), eventLayoutOf(15)]).toEqual([
      undefined,
      undefined,
      eventGeneric,
    ]);
  });
});

describe("the address of an interrupt's event", () => {
  test.each([
    [0xffff_fffd_f800_0000n, { vector: 0, destination: 0, dm: 0, level: 0, type: 0 }],
    [0xffff_fffd_f805_0000n, { vector: 5, destination: 0, dm: 0, level: 0, type: 0 }],
    [0xffff_fffd_f814_0200n, { vector: 0x14, destination: 2, dm: 0, level: 0, type: 0 }],
    [0xfd_f801_0140n, { vector: 1, destination: 1, dm: 1, level: 0, type: 0 }],
    [0xfd_f80f_0160n, { vector: 0xf, destination: 1, dm: 1, level: 1, type: 0 }],
  ])("%s was printed by real machines", (address, expected) => {
    expect(isHtInterruptAddress(address)).toBe(true);
    expect(decode(htInterruptAddress, address)).toMatchObject(expected);
  });

  test.each([0xfee0_0000n, 0xcff4_9550n, 0x1fd_f800_0000n, 0xfffd_f800_0000n])("%s is none", (address) => {
    expect(isHtInterruptAddress(address)).toBe(false);
  });
});

describe("names and numbers", () => {
  test("of opcodes go both ways", () => {
    for (const [name, code] of Object.entries(commandCodes)) expect(commandNameOf(code)).toBe(name);
    expect([commandNameOf(0), commandNameOf(11)]).toEqual([undefined, undefined]);
    for (const code of Object.keys(commandLayouts)) expect(commandNameOf(Number(code))).toBeDefined();
  });

  test("of fault reasons go both ways, and none is given twice", () => {
    const reasons: [string, FaultReason][] = Object.entries(faultReasons);
    for (const [name, { number }] of reasons) expect(faultNameOf(number)).toBe(name);
    expect(faultNameOf(0)).toBeUndefined();
  });

  test("of the interrupts' page faults are IO_PAGE_FAULT with I set", () => {
    for (const { suppressed, event, flags } of Object.values(faultReasons) as FaultReason[]) {
      if (suppressed !== "never") expect([event, flags]).toEqual([eventCodes.IO_PAGE_FAULT, eventFlags.i]);
    }
  });
});

describe("the register file", () => {
  const all: [string, Register][] = Object.entries(registers);

  test("has no two registers in one place", () => {
    expect(new Set(all.map(([, { offset }]) => offset)).size).toBe(all.length);
    for (const [, { offset, width }] of all) expect(offset % (width / 8)).toBe(0);
  });

  test.each(all)(
    "%s has a layout as wide as it is, and fixes fields that it has",
    (_, { width, layout, fixed }) => {
      if (layout !== undefined) expect(layout.width).toBe(width);
      for (const name of fixed ?? []) expect(layout!.fields).toHaveProperty(name);
    },
  );
});
