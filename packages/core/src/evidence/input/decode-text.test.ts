import { expect, test } from "vitest";
import { decodeText } from "./decode-text.ts";

test("text may be UTF-8 or UTF-16, and bytes that are none become a mark", () => {
  expect(decodeText(Uint8Array.of(0xef, 0xbb, 0xbf, 0x41))).toBe("A");
  expect(decodeText(Uint8Array.of(0xff, 0xfe, 0x41, 0))).toBe("A");
  expect(decodeText(Uint8Array.of(0xfe, 0xff, 0, 0x41))).toBe("A");
  expect(decodeText(Uint8Array.of(0x41, 0xff))).toBe("A\ufffd");
});
