import { readFileSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { describe, expect, test } from "vitest";
import { readCaseFile } from "./case-file.ts";

interface Schema {
  readonly $ref?: string;
  readonly type?: "object" | "array" | "string" | "integer" | "boolean" | "null";
  readonly enum?: readonly unknown[];
  readonly const?: unknown;
  readonly pattern?: string;
  readonly minimum?: number;
  readonly maximum?: number;
  readonly required?: readonly string[];
  readonly properties?: Readonly<Record<string, Schema>>;
  readonly propertyNames?: Schema;
  readonly additionalProperties?: boolean | Schema;
  readonly minProperties?: number;
  readonly maxProperties?: number;
  readonly items?: Schema;
  readonly anyOf?: readonly Schema[];
  readonly oneOf?: readonly Schema[];
  readonly allOf?: readonly Schema[];
}

const folder = fileURLToPath(new URL("../../../../../cases", import.meta.url));
const schema = JSON.parse(readFileSync(join(folder, "case.schema.json"), "utf8")) as Schema & {
  readonly $defs: Readonly<Record<string, Schema>>;
};

/** Holds a value against the part of JSON Schema that the corpus' schema uses. */
function obeys(value: unknown, one: Schema): boolean {
  if (one.$ref !== undefined && !obeys(value, schema.$defs[one.$ref.replace("#/$defs/", "")]!)) return false;
  if (one.const !== undefined && one.const !== value) return false;
  if (one.enum !== undefined && !one.enum.includes(value)) return false;
  if (one.type !== undefined && one.type !== typeOf(value)) return false;
  if (typeof value === "string" && one.pattern !== undefined && !new RegExp(one.pattern).test(value))
    return false;
  if (typeof value === "number" && (value < (one.minimum ?? value) || value > (one.maximum ?? value)))
    return false;
  if (Array.isArray(value) && one.items !== undefined && !value.every((item) => obeys(item, one.items!)))
    return false;
  if (typeOf(value) === "object" && !obeysAsObject(value as Readonly<Record<string, unknown>>, one))
    return false;
  if (one.allOf !== undefined && !one.allOf.every((part) => obeys(value, part))) return false;
  if (one.anyOf !== undefined && !one.anyOf.some((part) => obeys(value, part))) return false;
  return one.oneOf === undefined || one.oneOf.filter((part) => obeys(value, part)).length === 1;
}

function obeysAsObject(value: Readonly<Record<string, unknown>>, one: Schema): boolean {
  const keys = Object.keys(value);
  if (keys.length < (one.minProperties ?? 0) || keys.length > (one.maxProperties ?? Infinity)) return false;
  if (one.required?.some((key) => !keys.includes(key))) return false;
  return keys.every((key) => {
    if (one.propertyNames !== undefined && !obeys(key, one.propertyNames)) return false;
    const known = one.properties?.[key];
    if (known !== undefined) return obeys(value[key], known);
    const { additionalProperties: others = true } = one;
    return typeof others === "boolean" ? others : obeys(value[key], others);
  });
}

function typeOf(value: unknown): Schema["type"] {
  if (value === null) return "null";
  if (Array.isArray(value)) return "array";
  return typeof value === "number" ? "integer" : (typeof value as "object" | "string" | "boolean");
}

type Node = Record<string, unknown>;

/** Every object below a node, itself included. */
function objectsIn(value: unknown): Node[] {
  if (Array.isArray(value)) return value.flatMap(objectsIn);
  if (typeof value !== "object" || value === null) return [];
  return [value as Node, ...Object.values(value).flatMap(objectsIn)];
}

const files = readdirSync(folder, { recursive: true, encoding: "utf8" })
  .filter((name) => name.endsWith(".json") && name !== "case.schema.json")
  .sort()
  .map((name) => ({ name, content: readFileSync(join(folder, name), "utf8") }));

describe.each(files)("$name", ({ name, content }) => {
  test("obeys the schema", () => {
    expect(obeys(JSON.parse(content), schema)).toBe(true);
  });

  test("obeys it no more with an unknown key anywhere, and the reader says so too", () => {
    const file = JSON.parse(content) as { defaults: unknown; cases: unknown[] };
    const short = JSON.stringify({ ...file, cases: file.cases.slice(-3) });
    const count = objectsIn(JSON.parse(short)).length;
    for (let i = 0; i < count; i++) {
      const changed = JSON.parse(short) as unknown;
      objectsIn(changed)[i]!["surpriseKey"] = { surprise: true };
      expect(obeys(changed, schema), `schema, object ${i}`).toBe(false);
      expect(() => readCaseFile(name, JSON.stringify(changed)), `reader, object ${i}`).toThrow();
    }
  });
});

test("every definition of the schema is used", () => {
  const text = JSON.stringify(schema);
  expect(Object.keys(schema.$defs).filter((name) => !text.includes(`"#/$defs/${name}"`))).toEqual([]);
});
