import { expect, test } from "vitest";
import { bytesSource, latin1, littleEndian, readAll } from "./byte-source.ts";

const source = bytesSource(Uint8Array.of(1, 2, 3, 4), "four");

test("bytes can be read at any position", () => {
  expect(source.size).toBe(4);
  expect(source.read(1, 2)).toEqual(Uint8Array.of(2, 3));
  expect(source.read(4, 0)).toEqual(new Uint8Array(0));
  expect(readAll(source)).toEqual(Uint8Array.of(1, 2, 3, 4));
});

test.each([
  [3, 2],
  [-1, 1],
  [0, -1],
  [Number.NaN, 1],
])("a read at %d of %d bytes that do not lie in the source says so", (offset, length) => {
  expect(() => source.read(offset, length)).toThrow(/^four: offset .*: expected .* bytes, the end is at 4$/);
});

test("numbers are little-endian, text ends before its padding", () => {
  expect(littleEndian(Uint8Array.of(1, 2, 3))).toBe(0x030201n);
  expect(latin1(Uint8Array.of(0x42, 0x4f, 0x20, 0x58, 0x20, 0))).toBe("BO X");
  expect(bytesSource(new Uint8Array(1)).name).toBe("bytes");
});
