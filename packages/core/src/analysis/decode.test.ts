import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { InputError } from "../evidence/input-error.ts";
import { encode } from "../spec/codec.ts";
import { faultReasons } from "../spec/vtd/faults.ts";
import { irtePosted, irteRemapped, postedDescriptor } from "../spec/vtd/irte.ts";
import { msiRemappableAddress } from "../spec/msi/message.ts";
import { decodeKind, kindNames } from "./decode.ts";

/** Rules that a value breaks, with the setting on which that depends. */
function broken(kind: string, values: string[], options: Parameters<typeof decodeKind>[2] = {}): unknown[] {
  return decodeKind(kind, values, options).violations.map(({ rule, when }) => [rule, when]);
}

const digits = (value: bigint, count: number): string => value.toString(16).padStart(count, "0");

describe("irte", () => {
  test("reads the pair that debugfs prints, by the document's names", () => {
    const { kind, mode, fields, violations, notes } = decodeKind("irte", [
      "0000000000040050",
      "000000800024000d",
    ]);
    expect({ kind, mode, fields }).toEqual({
      kind: "irte",
      mode: "remapped",
      fields: {
        p: 1,
        fpd: 0,
        dm: 1,
        rh: 1,
        tm: 0,
        dlm: 0,
        avail: 0,
        im: 0,
        v: 0x24,
        dst: 0x80,
        sid: 0x50,
        sq: 0,
        svt: 1,
      },
    });
    expect(violations).toMatchObject([{ rule: "vtd.irte.xapic-destination", when: "EIME=0" }]);
    expect(notes).toEqual(["requester 00:0a.0"]);
  });

  test("takes prefixes, separators, upper case, and one value of 32 digits", () => {
    const expected = decodeKind("irte", ["0000000000040050", "000000800024000d"]);
    expect(decodeKind("irte", ["0x40050", "0x80_0024_000D"])).toEqual(expected);
    expect(decodeKind("irte", ["00000000`00040050", "00000080`0024000d"])).toEqual(expected);
    expect(decodeKind("irte", ["0000000000040050000000800024000D"])).toEqual(expected);
    expect(decodeKind("irte", ["0x0000000000040050000000800024000d"])).toEqual(expected);
  });

  test("says what depends on a setting only while it is not given", () => {
    const pair = ["0000000000040050", "000000800024000d"];
    expect(broken("irte", pair)).toEqual([["vtd.irte.xapic-destination", "EIME=0"]]);
    expect(broken("irte", pair, { eime: 0 })).toEqual([["vtd.irte.xapic-destination", null]]);
    expect(broken("irte", pair, { eime: 1 })).toEqual([]);
    const posted = ["0000000100040050", "2345604000f78001"];
    expect(broken("irte", posted)).toEqual([["vtd.irte.mode-unsupported", "PI=0"]]);
    expect(broken("irte", posted, { pi: 0 })).toEqual([["vtd.irte.mode-unsupported", null]]);
    expect(broken("irte", posted, { pi: 1 })).toEqual([]);
  });

  test("tells posted entries by IM, and puts the descriptor's address together", () => {
    const { mode, fields } = decodeKind("irte", ["0000000100040050", "2345604000f7c001"]);
    expect(mode).toBe("posted");
    expect(fields).toMatchObject({ urg: 1, im: 1, vv: 0xf7, pda: 0x123456040 });
    expect(decodeKind("irte", ["ffffffff00040050", "ffffffc000f78001"]).fields["pda"]).toBe(
      "0xffffffffffffffc0",
    );
  });

  test("by Linux's names has its members, the address in two of them", () => {
    const { fields } = decodeKind("irte", ["0000000100040050", "2345604000f7c001"], { names: "linux" });
    expect(fields).toMatchObject({ present: 1, p_urgent: 1, pda_l: 0x23456040 >> 6, pda_h: 1 });
    expect(decodeKind("irte", ["40050", "800024000d"], { names: "linux" }).fields).toMatchObject({
      dst_mode: 1,
      redir_hint: 1,
      dlvry_mode: 0,
      dest_id: 0x80,
    });
  });

  test("judges no field of an entry that is not present", () => {
    const { violations, notes } = decodeKind("irte", ["fff0000000000000", "000000000000f002"]);
    expect(violations).toEqual([]);
    expect(notes[1]).toContain("not recorded");
  });

  test("reads back every field of every entry", () => {
    const remapped = fc.record({
      p: fc.constant(1),
      dst: fc.nat(0xffffffff),
      v: fc.nat(255),
      sid: fc.nat(0xffff),
      dlm: fc.nat(7),
    });
    fc.assert(
      fc.property(remapped, (fields) => {
        const value = digits(encode(irteRemapped, fields), 32);
        expect(decodeKind("irte", [value]).fields).toMatchObject(fields);
        expect(decodeKind("irte", [value.slice(0, 16), value.slice(16)]).fields).toMatchObject(fields);
      }),
    );
    const posted = fc.record({
      p: fc.constant(1),
      im: fc.constant(1),
      vv: fc.nat(255),
      sid: fc.nat(0xffff),
      urg: fc.nat(1),
    });
    fc.assert(
      fc.property(posted, (fields) => {
        expect(decodeKind("irte", [digits(encode(irtePosted, fields), 32)])).toMatchObject({
          mode: "posted",
          fields,
        });
      }),
    );
  });
});

describe("AMD-Vi", () => {
  test("entries of both widths and both modes", () => {
    expect(decodeKind("amd-irte", ["0000000000000020", "0000000000000241"])).toMatchObject({
      mode: "remapped",
      fields: { remapen: 1, dm: 1, dest: 2, vector: 0x20 },
      violations: [],
    });
    expect(decodeKind("amd-irte", ["00000000000000200000000000000241"]).fields["dest"]).toBe(2);
    expect(decodeKind("amd-irte", ["0000000123456020", "0000000100000ac5"])).toMatchObject({
      mode: "guest",
      fields: {
        remapen: 1,
        galogintr: 1,
        isrun: 1,
        guestmode: 1,
        dest: 10,
        gatag: 1,
        vector: 0x20,
        root: 0x123456000,
      },
    });
    expect(decodeKind("amd-irte", ["00210241"])).toMatchObject({
      mode: "remapped",
      fields: { dest: 2, vector: 0x21 },
    });
    expect(broken("amd-irte", ["0021_0281"])).toEqual([["amdvi.irte.guest-mode", null]]);
    expect(broken("amd-irte", ["20", "20041"])).toEqual([["amdvi.irte.xapic-destination", "XTEn=0"]]);
    expect(broken("amd-irte", ["20", "20041"], { xten: 1 })).toEqual([]);
  });

  test("entries with RemapEn=0 hold what software likes", () => {
    expect(decodeKind("amd-irte", ["fffffffe"])).toMatchObject({
      violations: [],
      notes: ["RemapEn is 0: a message for it is an I/O page fault"],
    });
  });

  test("device table entries, highest quadword first", () => {
    const words = ["0000000000000000", "20000001373b8013", "0000000000000038", "6000000114d7b603"];
    const expected = decodeKind("dte", words);
    expect(expected).toMatchObject({
      kind: "dte",
      mode: null,
      fields: { v: 1, iv: 1, inttablen: 9, intctl: 2, inttableptr: 0x1373b8000, domainid: 0x38 },
      violations: [],
      notes: ["interrupts are remapped by 512 entries from 0x1373b8000"],
    });
    expect(decodeKind("dte", [words.join("")])).toEqual(expected);
    expect(broken("dte", ["0", "20000001373b801b", "0", "3"])).toEqual([["amdvi.dte.inttablen", null]]);
    expect(broken("dte", ["0", "20000001373b801a", "0", "3"])).toEqual([]);
  });
});

describe("pid", () => {
  const value = encode(postedDescriptor, {
    pir: (1n << 0x24n) | (1n << 0xefn),
    on: 1,
    nv: 0xf2,
    ndst: 0x300,
  });
  const whole = digits(value, 128);
  const inMemory = Array.from({ length: 8 }, (_, i) => whole.slice(128 - 16 * (i + 1), 128 - 16 * i));

  test("is one value, or its quadwords in the order of memory", () => {
    const decoded = decodeKind("pid", [whole]);
    expect(decoded).toMatchObject({ fields: { on: 1, sn: 0, nv: 0xf2, ndst: 0x300 } });
    expect(decoded.fields["pir"]).toMatch(/^0x8/);
    expect(decoded.notes).toEqual(["pending vectors: 0x24, 0xef"]);
    expect(decoded.violations).toEqual([]);
    expect(decodeKind("pid", inMemory)).toEqual(decoded);
    expect(decodeKind("pid", ["0".repeat(128)]).notes).toEqual(["no vector is pending"]);
  });

  test("has an 8-bit destination while EIME is 0", () => {
    const reserved = digits(encode(postedDescriptor, { ndst: 0x10000 }), 128);
    expect(broken("pid", [reserved])).toEqual([["vtd.pid.xapic-destination", "EIME=0"]]);
    expect(broken("pid", [reserved], { eime: 0 })).toEqual([["vtd.pid.xapic-destination", null]]);
  });
});

describe("msi", () => {
  test.each([
    ["fee00338", 0x19],
    ["fee00578", 43],
    ["fee00618", 48],
    ["fee0001c", 0x8000],
  ])("%s with data 0 is remappable and has index %i", (address, index) => {
    expect(decodeKind("msi", [address, "0000"])).toMatchObject({
      mode: "remappable",
      fields: { shv: 1, format: 1, handle: index, subhandle: 0, index },
      violations: [],
      readings: [{ as: "AMD-Vi remapping", fields: { index: 0 } }],
    });
  });

  test("every handle and subhandle make an index, and one past every table is a violation", () => {
    fc.assert(
      fc.property(fc.nat(0xffff), fc.nat(0xffff), fc.nat(1), (handle, subhandle, shv) => {
        const address = encode(msiRemappableAddress, { prefix: 0xfee, format: 1, shv, handle });
        const { fields, violations } = decodeKind("msi", [
          address.toString(16),
          digits(BigInt(subhandle), 4),
        ]);
        const index = handle + (shv === 1 ? subhandle : 0);
        expect(fields["index"]).toBe(index);
        expect(violations.length).toBe(index > 0xffff ? 1 : 0);
      }),
    );
  });

  test("reserved data counts with a subhandle only", () => {
    expect(broken("msi", ["fee003d8", "10000"])).toEqual([["msi.remappable.data-reserved", null]]);
    expect(broken("msi", ["fee003d0", "10000"])).toEqual([]);
  });

  test("is no interrupt outside FEExxxxxh", () => {
    expect(broken("msi", ["fed00018", "0"])).toEqual([["msi.address.prefix", null]]);
    expect(broken("msi", ["1fee00018", "00"])).toEqual([["msi.address.prefix", null]]);
    expect(broken("msi", ["fed00000", "4039"])).toEqual([["msi.address.prefix", null]]);
  });

  test("in compatibility format has a destination and a vector, and other readings", () => {
    expect(decodeKind("msi", ["fee01004", "4121"])).toMatchObject({
      mode: "compatibility",
      fields: { dm: 1, rh: 0, dst: 1, v: 0x21, dlm: 1, level: 1, tm: 0 },
      violations: [],
      readings: [
        { as: "AMD-Vi remapping", fields: { index: 0x121 } },
        { as: "extended destination id", fields: { dst: 1 } },
      ],
    });
  });

  test("what another reading allows is a violation only where that reading is not in use", () => {
    expect(broken("msi", ["fee01fe0", "4039"])).toEqual([["msi.address.reserved", "EXTDEST=0"]]);
    expect(decodeKind("msi", ["fee01fe0", "4039"]).readings[1]).toMatchObject({ fields: { dst: 0x7f01 } });
    expect(broken("msi", ["fee00000", "0000"])).toEqual([["msi.data.vector", "AMDIR=0"]]);
    expect(broken("msi", ["fee00000", "03ff"])).toEqual([["msi.data.delivery-mode", "AMDIR=0"]]);
    expect(broken("msi", ["fee00001", "00ff"])).toEqual([
      ["msi.address.reserved", null],
      ["msi.data.vector", "AMDIR=0"],
    ]);
    expect(broken("msi", ["fee00000", "12039"])).toEqual([["msi.data.reserved", null]]);
  });
});

describe("ioapic-rte", () => {
  test("in remappable format scatters its index over bits 63:49 and 11", () => {
    expect(decodeKind("ioapic-rte", ["00050000_00000802"])).toMatchObject({
      mode: "remappable",
      fields: { format: 1, v: 2, index: 0x8002 },
      violations: [],
    });
    expect(broken("ioapic-rte", ["0001000000000100"])).toEqual([
      ["ioapic.rte.remappable-delivery-mode", null],
    ]);
  });

  test("in compatibility format is one value or two words, high first", () => {
    const expected = decodeKind("ioapic-rte", ["0100000000008931"]);
    expect(expected).toMatchObject({
      mode: "compatibility",
      fields: { dst: 1, v: 0x31, dlm: 1, dm: 1, tm: 1 },
    });
    expect(decodeKind("ioapic-rte", ["01000000", "00008931"])).toEqual(expected);
    expect(decodeKind("ioapic-rte", ["0x100000000008931"])).toEqual(expected);
    expect(broken("ioapic-rte", ["0102000000000031"])).toEqual([["ioapic.rte.reserved", "EXTDEST=0"]]);
    expect(broken("ioapic-rte", ["0000000000100031"])).toEqual([["ioapic.rte.reserved", null]]);
    expect(broken("ioapic-rte", ["0000000000000331"])).toEqual([["ioapic.rte.delivery-mode", "AMDIR=0"]]);
  });
});

describe("iec", () => {
  test("is read in the queue's order and in that of an entry", () => {
    const expected = decodeKind("iec", ["0000000000000014", "0000000000000000"]);
    expect(expected).toMatchObject({
      mode: "iec",
      fields: { type: 4, g: 1, im: 0, iidx: 0 },
      notes: ["drops entry 0"],
    });
    expect(decodeKind("iec", ["0000000000000000", "0000000000000014"])).toEqual(expected);
    expect(decodeKind("iec", ["14"])).toEqual(expected);
    expect(decodeKind("iec", [`${"0".repeat(30)}14`])).toEqual(expected);
  });

  test("says which entries it drops", () => {
    expect(decodeKind("iec", ["4", "0"]).notes).toEqual(["drops every entry"]);
    expect(decodeKind("iec", ["0000003110000014", "0"]).notes).toEqual(["drops entries 48 to 51"]);
    expect(decodeKind("iec", ["0000fffff8000014", "0"]).notes).toEqual(["drops entries 0 to 65535"]);
  });

  test("reads other descriptors of the queue too, and names a type that there is not", () => {
    expect(decodeKind("iec", ["0000000200000025", "0000000100059804"])).toMatchObject({
      mode: "wait",
      fields: { sw: 1, statusdata: 2, statusaddress: 0x100059804 },
    });
    expect(decodeKind("iec", ["0000000100059800", "0000000200000025"]).mode).toBe("wait");
    expect(decodeKind("iec", ["11", "0"]).mode).toBe("context-cache");
    expect(broken("iec", ["0", "0"])).toEqual([["vtd.qi.invalid-type", null]]);
    expect(broken("iec", ["0000000000000114", "0"])).toEqual([["vtd.qi.reserved", null]]);
    expect(broken("iec", ["14", "0", "0", "1"])).toEqual([["vtd.qi.reserved", null]]);
    expect(broken("iec", [`${"0".repeat(62)}14`])).toEqual([]);
  });
});

describe("registers", () => {
  test("a fault record of an interrupt has an index, unless its reason leaves it undefined", () => {
    for (const { code, rule, indexed } of Object.values(faultReasons)) {
      const { mode, fields, notes } = decodeKind("frcd", [
        `800000${digits(BigInt(code), 2)}00003a05`,
        "0025000000000000",
      ]);
      expect(mode).toBe("interrupt");
      expect(fields).toMatchObject({ f: 1, fr: code, sid: 0x3a05 });
      expect(fields["index"]).toBe(indexed ? 0x25 : undefined);
      expect(notes.join()).toContain(rule);
      expect(notes).toContain("requester 3a:00.5");
    }
    expect(decodeKind("frcd", ["8000000600000010", "000000007f000000"])).toMatchObject({ mode: "dma" });
  });

  test("IRTA, CAP and ECAP are one value each", () => {
    expect(decodeKind("irta", ["10090080f"])).toMatchObject({
      fields: { s: 15, eime: 1, irta: 0x100900000 },
      notes: ["65536 entries from 0x100900000"],
      violations: [],
    });
    expect(broken("irta", ["100900810"])).toEqual([["vtd.register.reserved", null]]);
    expect(decodeKind("cap", ["8d2078c106f0466"]).fields).toMatchObject({ pi: 1, nd: 6 });
    expect(decodeKind("ecap", ["f020df"]).fields).toMatchObject({ ir: 1, eim: 1, mhmv: 15 });
  });
});

describe("input that cannot be used is named in one line", () => {
  test.each([
    ["foo", ["1"], /unknown kind "foo", expected one of irte, amd-irte/],
    ["constructor", ["1"], /unknown kind/],
    ["irte", ["40050"], /5 hex digits, expected HIGH LOW, or one 32-digit value/],
    ["irte", ["0000000000040050000000800024000"], /31 hex digits with leading zeros.*is one missing/],
    ["irte", ["000000000004005", "000000800024000d"], /value 1 "000000000004005": 15 hex digits/],
    ["irte", ["40050", "80002g000d"], /value 2 "80002g000d": "g" at digit 6 is no hex digit/],
    ["irte", ["1", "2", "3"], /3 values, expected HIGH LOW/],
    ["irte", ["1", "00000000000000001"], /value 2/],
    ["irte", ["1", "000000000000000011"], /18 hex digits, expected at most 16/],
    ["irte", ["", "1"], /value 1 "": expected hex digits/],
    ["irte", ["1", "0x"], /value 2 "0x": expected hex digits/],
    ["irte", ["1", "-1"], /"-" at digit 1/],
    ["irte", ["1", "f".repeat(1000)], /1000 characters, expected at most 128 hex digits/],
    ["amd-irte", ["123456789"], /9 hex digits, expected HI LO/],
    ["amd-irte", ["ff", "ff", "ff"], /3 values/],
    ["dte", ["1", "2"], /2 values, expected QWORD/],
    ["pid", ["1"], /expected one 128-digit value/],
    ["msi", ["fee00000"], /1 values?, expected ADDRESS DATA/],
    ["msi", ["1fee0000000000000", "0"], /address: 17 hex digits/],
    ["msi", ["fee00000", "123456789"], /data: 9 hex digits/],
    ["ioapic-rte", ["123456789", "1"], /9 hex digits, expected at most 8/],
    ["ioapic-rte", ["1".repeat(17)], /17 hex digits, expected one 16-digit value/],
    ["iec", ["1", "2", "3"], /3 values/],
    ["cap", ["1", "2"], /2 values, expected one value/],
  ])("%s %j", (kind, values, message) => {
    expect(() => decodeKind(kind, values)).toThrow(InputError);
    expect(() => decodeKind(kind, values)).toThrow(message);
    try {
      decodeKind(kind, values);
    } catch (error) {
      expect((error as Error).message).not.toContain("\n");
      expect((error as Error).message.length).toBeLessThan(200);
    }
  });

  test("whatever it is", () => {
    fc.assert(
      fc.property(
        fc.constantFrom(...kindNames()),
        fc.array(fc.string(), { maxLength: 9 }),
        (kind, values) => {
          try {
            decodeKind(kind, values);
          } catch (error) {
            expect(error).toBeInstanceOf(InputError);
          }
        },
      ),
    );
  });
});
