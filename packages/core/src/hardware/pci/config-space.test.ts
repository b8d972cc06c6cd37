import * as fc from "fast-check";
import { expect, test } from "vitest";
import { ConfigSpace, type Width } from "./config-space.ts";

const width = fc.constantFrom<Width>(1, 2, 4);

test("bytes, words and dwords see the same little-endian space", () => {
  const config = new ConfigSpace(256);
  config.declare(0x40, 0x84030201 | 0);
  expect(config.read(0x40, 4)).toBe(0x84030201);
  expect([0x40, 0x41, 0x42, 0x43].map((offset) => config.read(offset, 1))).toEqual([1, 2, 3, 0x84]);
  expect(config.read(0x42, 2)).toBe(0x8403);
});

test("a write changes the writable bits of its bytes and no others", () => {
  fc.assert(
    fc.property(
      fc.integer(),
      fc.integer(),
      fc.integer(),
      width,
      fc.integer({ min: 0, max: 3 }),
      (before, writable, value, width, lane) => {
        const offset = 0x40 + lane - (lane % width);
        const config = new ConfigSpace(4096);
        config.declare(0x40, before, writable);
        expect(config.write(offset, width, value)).toBe(0x10);
        for (let bit = 0; bit < 32; bit++) {
          const touched = bit >= 8 * (offset - 0x40) && bit < 8 * (offset - 0x40 + width);
          const from =
            touched && (writable >>> bit) & 1 ? value >>> (bit - 8 * (offset - 0x40)) : before >>> bit;
          expect((config.words[0x10]! >>> bit) & 1).toBe(from & 1);
        }
      },
    ),
  );
});

test("a bit that writing a one clears is not set by it, nor cleared by a zero", () => {
  const config = new ConfigSpace(256);
  config.declare(4, 0xf9000000 | 0, 0, 0xff000000);
  config.write(7, 1, 0x80);
  expect(config.read(7, 1)).toBe(0x79);
  config.write(4, 4, 0);
  expect(config.read(7, 1)).toBe(0x79);
});

test.each([
  [256, 4],
  [254, 4],
  [-1, 1],
  [0x41, 4],
  [0x43, 2],
  [0.5, 1],
] as const)("an access at %d of %d bytes lies in no dword of the space", (offset, width) => {
  const config = new ConfigSpace(256);
  expect(() => config.read(offset, width)).toThrow(RangeError);
  expect(() => config.write(offset, width, 0)).toThrow(/config space/);
});
