import * as fc from "fast-check";
import { expect, test } from "vitest";
import { InputError } from "./input-error.ts";
import { readMadt } from "./madt.ts";

/** QEMU's for four processors: their local APICs, one IOAPIC, five overrides and an NMI. */
const real = hexBytes(
  "4150494390000000014b424f4348532042585043202020200100000042585043010000000000e0fe010000000008000001000000" +
    "000801010100000000080202010000000008030301000000010c00000000c0fe00000000020a0000020000000000020a0005050000000d00" +
    "020a0009090000000d00020a000a0a0000000d00020a000b0b0000000d000406ff000001",
);

function hexBytes(hex: string): Uint8Array {
  return new Uint8Array(Buffer.from(hex.replaceAll(" ", ""), "hex"));
}

/** The table with other structures, its length and checksum made good. */
function tableOf(structures: string): Uint8Array {
  const body = hexBytes(structures);
  const bytes = new Uint8Array(44 + body.length);
  bytes.set(real.subarray(0, 44));
  bytes.set(body, 44);
  new DataView(bytes.buffer).setUint32(4, bytes.length, true);
  bytes[9] = 0;
  bytes[9] = -bytes.reduce((sum, byte) => sum + byte, 0);
  return bytes;
}

test("processors and IOAPICs of a real table are read, and nothing is wrong with it", () => {
  expect(readMadt(real)).toMatchObject({
    processors: [0, 1, 2, 3].map((apicId) => ({ apicId, enabled: true, x2apic: false })),
    ioapics: [{ id: 0, address: 0xfec0_0000, gsiBase: 0 }],
    findings: [],
  });
});

test("an x2APIC structure has an id of 32 bits", () => {
  const { processors } = readMadt(tableOf("09100000 04030201 00000000 2a000000"));
  expect(processors).toEqual([{ apicId: 0x01020304, enabled: false, x2apic: true }]);
});

test.each([
  ["of no length", "7f00"],
  ["shorter than its type", "00060000 0100"],
  ["past the end", "0008000001"],
  ["cut in its header", "00"],
])("a structure %s ends the reading with a finding", (_, bad) => {
  const table = readMadt(tableOf(`0008000001000000${bad}`));
  expect(table.processors).toHaveLength(1);
  expect(table.findings.map(({ rule, offset }) => [rule, offset])).toEqual([
    ["acpi.madt.structure-length", 52],
  ]);
});

test("another table is refused", () => {
  expect(() => readMadt(tableOf("").fill(0x44, 0, 4))).toThrow(InputError);
  expect(() => readMadt(real.subarray(0, 40))).toThrow(InputError);
});

test("any bytes behind the header are read without an exception", () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 200 }), (body) => {
      const bytes = new Uint8Array(44 + body.length);
      bytes.set(real.subarray(0, 44));
      bytes.set(body, 44);
      readMadt(bytes);
    }),
  );
});
