import { readFileSync, readdirSync } from "node:fs";
import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { accessorSource, constantName } from "./accessor-source.ts";
import { decode, encode, fromWords, table, toWords, validate } from "./codec.ts";
import { hotLayouts } from "./hot-layouts.ts";
import { type Layout, fieldsOf, reservedMask, widthOf } from "./layout.ts";
import { ruleOf, rules } from "./rules.ts";

type Module = Record<string, unknown>;

/** Every module of a folder beside this file, so that a layout is tested as soon as it is declared. */
async function modulesOf(folder: string, keep: (file: string) => boolean): Promise<Map<string, Module>> {
  const root = new URL(folder, import.meta.url);
  const files = readdirSync(root, { recursive: true, encoding: "utf8" }).filter((file) =>
    /(?<!\.test)\.ts$/.test(file),
  );
  const found = new Map<string, Module>();
  for (const file of files.filter(keep)) found.set(file, (await import(new URL(file, root).href)) as Module);
  return found;
}

const modules = await modulesOf("./", (file) => !file.startsWith("accessors"));
const accessors = await modulesOf("./accessors/", () => true);

function isLayout(value: unknown): value is Layout {
  return (
    typeof value === "object" && value !== null && "fields" in value && "width" in value && "name" in value
  );
}

const layouts = [
  ...new Set([...modules.values()].flatMap((module) => Object.values(module).filter(isLayout))),
];

function anyValue(width: number): fc.Arbitrary<bigint> {
  return fc.bigInt({ min: 0n, max: (1n << BigInt(width)) - 1n });
}

function anyFields(layout: Layout): fc.Arbitrary<Record<string, bigint>> {
  return fc.record(
    Object.fromEntries(
      fieldsOf(layout).map(([name, field]) => [
        name,
        anyValue(widthOf(field)).map((value) => value << BigInt(field.scale ?? 0)),
      ]),
    ),
  );
}

test("every layout has a name of its own", () => {
  expect(new Set(layouts.map(({ name }) => name)).size).toBe(layouts.length);
});

test("every rule is one sentence with a section", () => {
  for (const [id, { section, text }] of Object.entries(rules)) {
    expect(id).toMatch(/^[a-z0-9]+(\.[a-z0-9-]+)+$/);
    expect(section).not.toBe("");
    expect(text).toMatch(/^[A-Z0-9].*\.$/s);
  }
});

describe.each(layouts.map((layout) => ({ name: layout.name, layout })))("$name", ({ layout }) => {
  test("decodes what it encodes", () => {
    fc.assert(
      fc.property(anyFields(layout), (fields) => {
        const decoded = decode(layout, encode(layout, fields));
        for (const [name, value] of Object.entries(fields)) expect(BigInt(decoded[name]!)).toBe(value);
      }),
      { numRuns: 30 },
    );
  });

  test("encodes what it decodes, but for the bits that no field claims", () => {
    fc.assert(
      fc.property(anyValue(layout.width), (value) => {
        expect(encode(layout, decode(layout, value))).toBe(value & ~reservedMask(layout));
      }),
      { numRuns: 30 },
    );
  });

  test("reports set bits that are reserved, and names existing rules only", () => {
    fc.assert(
      fc.property(anyValue(layout.width), (value) => {
        const found = validate(layout, value, { haw: 39 });
        for (const { rule } of found) expect(ruleOf(rule)).toBeDefined();
        const stray = (value & reservedMask(layout)) !== 0n && layout.reserved !== undefined;
        expect(
          found.some(({ rule, found: text }) => rule === layout.reserved && text.startsWith("reserved bit")),
        ).toBe(stray);
      }),
      { numRuns: 30 },
    );
  });

  test("lists every field in its table", () => {
    expect(table(layout, 0n, "linux")).toHaveLength(Object.keys(layout.fields).length);
  });
});

describe.each(hotLayouts.map((layout) => ({ name: layout.name, layout })))(
  "the accessors of $name",
  ({ name, layout }) => {
    const generated = accessors.get(`${name}.ts`) as Record<
      string,
      number | ((...args: unknown[]) => number)
    >;

    test("are what the generator writes", () => {
      const file = new URL(`./accessors/${name}.ts`, import.meta.url);
      expect(readFileSync(file, "utf8")).toBe(accessorSource(layout));
    });

    test("read what the decoder reads", () => {
      fc.assert(
        fc.property(anyValue(layout.width), fc.nat(5), (value, at) => {
          const width = Math.ceil(layout.width / 32) * 32;
          const words = new Int32Array(at + width / 32);
          words.set(toWords(value, width), at);
          const read = (accessor: string): bigint => {
            const get = generated[accessor] as (...args: unknown[]) => number;
            return BigInt(layout.width <= 32 ? get(words[at]) : get(words, at)) & 0xffff_ffffn;
          };
          const decoded = decode(layout, value);
          for (const [field, declaration] of fieldsOf(layout)) {
            const size = widthOf(declaration) + (declaration.scale ?? 0);
            if (size > 64) continue;
            if (`${field}Of` in generated) {
              const word = words[at + (generated[`${constantName(field)}_WORD`] as number)];
              const get = generated[`${field}Of`] as (word: unknown) => number;
              expect(BigInt(get(word)) & 0xffff_ffffn).toBe(BigInt(decoded[field]!));
            }
            const got = size <= 32 ? read(field) : read(`${field}Low`) | (read(`${field}High`) << 32n);
            expect(got).toBe(BigInt(decoded[field]!));
          }
          expect(fromWords(words, at, width)).toBe(value);
        }),
        { numRuns: 30 },
      );
    });

    test("have masks and shifts that fit", () => {
      const all = toWords((1n << BigInt(layout.width)) - 1n, Math.ceil(layout.width / 32) * 32);
      for (const [constant, mask] of Object.entries(generated)) {
        const [, field] = /^(.*)_MASK$/.exec(constant) ?? [];
        if (field === undefined) continue;
        const word = generated[`${field}_WORD`] as number;
        const shift = generated[`${field}_SHIFT`] as number;
        expect(((mask as number) >>> shift) & 1).toBe(1);
        expect((mask as number) & all[word]!).toBe(mask);
      }
    });
  },
);
