import * as fc from "fast-check";
import { expect, test } from "vitest";
import { canonicalName, splitArguments } from "./arguments.ts";

const arg = (name: string, value: string | null = null) => ({ name, value });

test.each([
  ["", []],
  ["  \t ", []],
  ["quiet", [arg("quiet")]],
  ["a=1 b=", [arg("a", "1"), arg("b", "")]],
  ["a=b=c", [arg("a", "b=c")]],
  ["=x", [arg("=x")]],
  ['a="1 2" b', [arg("a", "1 2"), arg("b")]],
  ['"a=1 2" b', [arg("a", "1 2"), arg("b")]],
  ['"a b" c', [arg("a b"), arg("c")]],
  ['a=1" "2 b', [arg("a", '1" "2'), arg("b")]],
  ['a="1', [arg("a", "1")]],
  ['a="', [arg("a", "")]],
  ['a=1"', [arg("a", '1"')]],
  ['"', [arg("")]],
  ["a\u00a0b", [arg("a"), arg("b")]],
])("%j is taken apart at spaces outside of quotes", (text, kernel) => {
  expect(splitArguments(text)).toEqual({ kernel, init: null });
});

test("what stands behind -- is init's, a -- with a value or in quotes is not the end", () => {
  expect(splitArguments("a -- b=1 c")).toEqual({ kernel: [arg("a")], init: "b=1 c" });
  expect(splitArguments("a --")).toEqual({ kernel: [arg("a")], init: "" });
  expect(splitArguments("a --=1 b").init).toBeNull();
  expect(splitArguments('a="x -- y" b').init).toBeNull();
});

test("words without quotes and spaces come back as they were", () => {
  const word = fc.stringMatching(/^[a-z._-]{1,8}$/).filter((name) => name !== "--");
  const value = fc.stringMatching(/^[a-z0-9,= ]{0,12}$/);
  fc.assert(
    fc.property(fc.array(fc.tuple(word, fc.option(value))), (wanted) => {
      const text = wanted.map(([name, of]) => (of === null ? name : `${name}="${of}"`)).join("  ");
      expect(splitArguments(text).kernel).toEqual(wanted.map(([name, of]) => arg(name, of)));
    }),
  );
});

test("no text makes it fail, and every argument is a part of the text", () => {
  fc.assert(
    fc.property(fc.string({ unit: fc.constantFrom("a", "=", '"', " ", "-", ",") }), (text) => {
      for (const { name, value } of splitArguments(text).kernel) {
        expect(text).toContain(name);
        expect(text).toContain(value ?? "");
      }
    }),
  );
});

test("names compare with dashes as underscores", () => {
  expect(canonicalName("kvm-intel.enable-apicv")).toBe("kvm_intel.enable_apicv");
});
