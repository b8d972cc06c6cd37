import * as fc from "fast-check";
import { expect, test } from "vitest";
import { readPciConfig } from "./pci-config.ts";

/** 256 bytes of an e1000e of QEMU, which a Linux guest uses through MSI-X. */
const e1000e = space(
  "8680d310070510000000000200000000000058fe00005afe41d0000000005cfe000000000000000000000000868000000000" +
    "54fec8000000000000000a010000",
  [0xa0, "1100048003000000032000000000"],
  [0xc8, "01d0220000000000"],
  [0xd0, "05e08000000000000000000000000000"],
  [0xe0, "10a09100"],
);

/** Configuration space: a header, and bytes at offsets. */
function space(header: string, ...parts: [number, string][]): Uint8Array {
  const bytes = new Uint8Array(256);
  for (const [at, hex] of [[0, header] as [number, string], ...parts])
    bytes.set(Buffer.from(hex.replaceAll(" ", ""), "hex"), at);
  return bytes;
}

/** The same with capabilities that begin at 40h. */
function withCapabilities(...parts: [number, string][]): Uint8Array {
  return space(
    "8680d31007001000000000020000000000000000000000000000000000000000000000000000000000000000000000000000000040",
    ...parts,
  );
}

test("a function's ids, class, MSI and MSI-X are read", () => {
  expect(readPciConfig(e1000e)).toEqual({
    vendorId: 0x8086,
    deviceId: 0x10d3,
    classCode: 0x020000,
    msi: { enabled: false, used: 1, available: 1, message: { address: 0n, data: 0 } },
    msix: { enabled: true, masked: false, available: 5, bar: 3, offset: 0 },
    complete: true,
  });
});

test.each([
  // 32-bit: control, address, data. 64-bit: upper address between them.
  [
    "32-bit",
    "05000100 1803e0fe 0000",
    { enabled: true, used: 1, available: 1, message: { address: 0xfee00318n, data: 0 } },
  ],
  [
    "64-bit",
    "05008b00 1806e0fe 01000000 0500",
    { enabled: true, used: 1, available: 32, message: { address: 0x1_fee0_0618n, data: 5 } },
  ],
  [
    "two of 32",
    "05009b01 1806e0fe 00000000 0000",
    { enabled: true, used: 2, available: 32, message: { address: 0xfee00618n, data: 0 } },
  ],
])("an MSI capability, %s, is read", (_, bytes, msi) => {
  expect(readPciConfig(withCapabilities([0x40, bytes]))?.msi).toEqual(msi);
});

test("an MSI-X capability has its table's place in bytes", () => {
  const { msix } = readPciConfig(withCapabilities([0x40, "11003fc0 04200000 04300000"]))!;
  expect(msix).toEqual({ enabled: true, masked: true, available: 64, bar: 4, offset: 0x2000 });
});

test("a list that turns back on itself ends", () => {
  expect(readPciConfig(withCapabilities([0x40, "09500000"], [0x50, "09400000"]))).toMatchObject({
    complete: true,
  });
});

test("64 bytes have no capabilities, and say that there are some", () => {
  const config = readPciConfig(e1000e.subarray(0, 64))!;
  expect(config).toMatchObject({ vendorId: 0x8086, complete: false });
  expect(config).not.toHaveProperty("msi");
});

test("a function that does not answer says nothing", () => {
  expect(readPciConfig(new Uint8Array(256).fill(0xff))).toBeUndefined();
  expect(readPciConfig(new Uint8Array(63))).toBeUndefined();
});

test("any bytes are read without an exception", () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 300 }), fc.nat({ max: 255 }), (bytes, first) => {
      if (bytes.length > 0x34) {
        bytes[6] = 0x10;
        bytes[0x34] = first;
      }
      readPciConfig(bytes);
    }),
  );
});
