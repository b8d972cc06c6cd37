import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { Pattern, fieldLimit } from "./pattern.ts";

function match(format: string, text: string): number[] | undefined {
  const bytes = Uint8Array.from(`<${text}>`, (char) => char.charCodeAt(0));
  const fields = new Int32Array(fieldLimit);
  return new Pattern(format).match(bytes, 1, bytes.length - 1, fields) ? [...fields] : undefined;
}

const start = (values: number[]): unknown => expect.arrayContaining(values);

describe("a pattern", () => {
  test("reads every 64-bit number as two halves", () => {
    fc.assert(
      fc.property(fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }), (value) => {
        const [low, high] = match("addr %x", `addr 0x${value.toString(16)}`)!;
        expect((BigInt(high! >>> 0) << 32n) | BigInt(low! >>> 0)).toBe(value);
      }),
    );
  });

  test("reads every 32-bit number, signed or not, in decimal and hex", () => {
    fc.assert(
      fc.property(fc.integer({ min: -(2 ** 31), max: 2 ** 32 - 1 }), (value) => {
        expect(match("index %d", `index ${value}`)![0]).toBe(value | 0);
        if (value >= 0)
          expect(match("data %w!", `data 0x${value.toString(16).toUpperCase()}!`)![0]).toBe(value | 0);
      }),
    );
  });

  test("reads numbers without 0x, skips words, and tells where the rest of the line lies", () => {
    expect(match("devid: %h:%h.%h", "devid: 1f:0a.7")!.slice(0, 3)).toEqual([0x1f, 0x0a, 7]);
    expect(match("type %s high %x", "type context-cache high 0x5")!.slice(0, 2)).toEqual([5, 0]);
    expect(match("%*", "any text")!.slice(0, 2)).toEqual([1, 9]);
    expect(match("%*", "")!.slice(0, 2)).toEqual([1, 1]);
  });

  test("takes an optional end where it stands, and gives -1 where it does not", () => {
    expect(match("addr %x[ sid %w]", "addr 0x1 sid 0x18")).toEqual(start([1, 0, 0x18]));
    expect(match("addr %x[ sid %w]", "addr 0x1")!.slice(0, 3)).toEqual([1, 0, -1]);
    expect(match("addr %x[ sid %w]", "addr 0x1 sid")).toBeUndefined();
  });

  test("allows spaces behind the last argument, and nothing else", () => {
    expect(match("", "  ")).toBeDefined();
    expect(match("index %d", "index 1 ")).toBeDefined();
    expect(match("index %d", "index 1 x")).toBeUndefined();
  });

  test.each([
    ["a number without its digits", "addr %x", "addr 0x"],
    ["a number without 0x", "addr %x", "addr 12"],
    ["17 hex digits", "addr %x", "addr 0x12345678123456781"],
    ["9 hex digits where 32 bits are meant", "data %w", "data 0x123456789"],
    ["a 32-bit number without 0x", "data %w", "data 12"],
    ["a letter that is no hex digit", "addr %x,", "addr 0x1g,"],
    ["a decimal number past 32 bits", "index %d", "index 4294967296"],
    ["a sign without a number", "index %d", "index -"],
    ["bare hex without a digit", "%h", "z"],
    ["a cut off line", "index %d low %x", "index 12 lo"],
    ["another word", "index %d", "idxxx 12"],
  ])("refuses %s", (_what, format, text) => {
    expect(match(format, text)).toBeUndefined();
  });
});
