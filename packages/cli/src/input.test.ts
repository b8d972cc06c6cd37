import { InputError, decodeText } from "@intremap/core";
import { expect, test } from "vitest";
import { readBytes } from "./input.ts";
import { testIo } from "./testing/test-io.ts";

test("standard input is read to its end, whatever its chunks", async () => {
  const text = "DMAR: Gerät übersprungen";
  expect(decodeText(await readBytes("-", testIo(text).stdin))).toBe(text);
});

test("more than the limit is refused with its name and the limit", async () => {
  await expect(readBytes("-", testIo("x".repeat(101)).stdin, 100)).rejects.toThrow(
    "standard input: more than 100 bytes, which is the most that is read",
  );
  await expect(readBytes("/dev/zero", testIo().stdin, 3 << 20)).rejects.toThrow("/dev/zero: more than 3 MiB");
});

test("a file that cannot be read is named with the reason", async () => {
  const { stdin } = testIo();
  await expect(readBytes("/no/such/file", stdin)).rejects.toThrow(
    new InputError("/no/such/file: no such file"),
  );
  await expect(readBytes("/", stdin)).rejects.toThrow("/: is a directory");
});
