import { expect, test } from "vitest";
import { paintFor, table, wrap, writeJson } from "./output.ts";
import { testIo } from "./testing/test-io.ts";

const plain = paintFor({ write: () => {} }, {});

function painted(...args: Parameters<typeof paintFor>): boolean {
  return paintFor(...args)("red", "x") !== "x";
}

test("a terminal has colours, NO_COLOR takes them away, FORCE_COLOR gives them to anything", () => {
  const terminal = { write: () => {}, isTTY: true };
  const pipe = { write: () => {}, isTTY: false };
  expect(painted(terminal, {})).toBe(true);
  expect(painted(terminal, { TERM: "dumb" })).toBe(false);
  expect(painted(terminal, { NO_COLOR: "1" })).toBe(false);
  expect(painted(terminal, { NO_COLOR: "" })).toBe(true);
  expect(painted(pipe, {})).toBe(false);
  expect(painted(pipe, { FORCE_COLOR: "1" })).toBe(true);
  expect(painted(terminal, { FORCE_COLOR: "0" })).toBe(false);
  expect(painted(pipe, { FORCE_COLOR: "1", NO_COLOR: "1" })).toBe(false);
});

test("a table's columns are as wide as their widest cell, and no line ends in blanks", () => {
  expect(
    table(
      ["a", "bb", "c"],
      [
        ["1", "2", "3"],
        ["long", "", ""],
      ],
      plain,
    ),
  ).toBe("a     bb  c\n1     2   3\nlong\n");
});

test("text is broken at spaces, a word that is too long never", () => {
  expect(wrap("one two three", "  ", 10)).toBe("one two\n  three");
  expect(wrap("incomprehensibilities one", "", 5)).toBe("incomprehensibilities\none");
});

test("a JSON document names its schema first", () => {
  const io = testIo();
  writeJson(io, "decode", { kind: "irte" });
  expect(io.out()).toBe('{\n  "schema": "intremap/decode/1",\n  "kind": "irte"\n}\n');
});
