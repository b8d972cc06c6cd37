import { describe, expect, test } from "vitest";
import { InputError } from "../evidence/input-error.ts";
import { decodeTable, isTableKind } from "./decode-table.ts";

/** A DMAR table of one unit that claims everything, and names IOAPIC 2 at f0:1f.7. */
function dmar(): Uint8Array {
  const bytes = new Uint8Array(72);
  const view = new DataView(bytes.buffer);
  bytes.set(new TextEncoder().encode("DMAR"));
  view.setUint32(4, bytes.length, true);
  bytes[8] = 1;
  bytes[36] = 38;
  bytes[37] = 1;
  view.setUint16(50, 24, true);
  bytes[52] = 1;
  view.setBigUint64(56, 0xfed91000n, true);
  bytes.set([3, 8, 0, 0, 2, 0xf0, 0x1f, 7], 64);
  bytes[9] = 256 - (bytes.reduce((sum, byte) => sum + byte, 0) % 256);
  return bytes;
}

describe("decodeTable", () => {
  test("gives a table's fields and structures, names in lower case", () => {
    const { kind, mode, fields, violations } = decodeTable("dmar", dmar());
    expect([kind, mode, violations]).toEqual(["dmar", null, []]);
    expect(fields).toMatchObject({
      signature: "DMAR",
      length: 72,
      hostaddresswidth: 39,
      interruptremapping: true,
      structures: [
        {
          kind: "DRHD",
          includepciall: true,
          base: 0xfed91000,
          scopes: [{ type: 3, enumerationid: 2, bus: 0xf0, requester: 0xf0ff }],
        },
      ],
    });
    expect(JSON.parse(JSON.stringify(fields))).toEqual(fields);
  });

  test("names the rule and the offset of what is wrong", () => {
    const bytes = dmar();
    bytes[9]!++;
    expect(decodeTable("dmar", bytes).violations).toMatchObject([
      { rule: "acpi.checksum", when: null, offset: 9 },
    ]);
  });

  test("refuses what is no such table in one line", () => {
    expect(() => decodeTable("ivrs", dmar())).toThrow(InputError);
    expect(() => decodeTable("ivrs", dmar())).toThrow(/expected signature IVRS/);
    expect(() => decodeTable("dmar", dmar().subarray(0, 20))).toThrow(/48 bytes, found 20/);
  });

  test("knows the kinds that are tables", () => {
    expect(["dmar", "ivrs", "irte", "toString"].map(isTableKind)).toEqual([true, true, false, false]);
  });
});
