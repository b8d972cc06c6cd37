import { decode, encode } from "../../spec/codec.ts";
import { type Layout, fieldsOf, maskOf, widthOf } from "../../spec/layout.ts";
import {
  ShapeError,
  type JsonObject,
  type Shape,
  amount,
  either,
  entries,
  hex,
  hexOf,
  isText,
  keyOf,
} from "../../spec/shape.ts";

/** Bits that a named field cannot set, reserved ones for instance: ORed to the value. */
const rawKey = "raw";

/** A value of a layout: all of it as hex, or fields by their names in lower case, the others zero. */
export function layoutValue(layout: Layout): Shape<bigint> {
  const read = amount(layout.width);
  return either(isText, read, (value, place) => fromFields(layout, read, value, place));
}

function fromFields(layout: Layout, read: Shape<bigint>, value: unknown, place: string): bigint {
  const fields: Record<string, bigint> = {};
  let raw = 0n;
  for (const [name, one] of Object.entries(entries(value, place))) {
    const at = `${place}.${name}`;
    if (name === rawKey) raw = read(one, at);
    else fields[known(layout, name, at)] = read(one, at);
  }
  try {
    return encode(layout, fields) | raw;
  } catch (error) {
    throw new ShapeError(place, (error as RangeError).message);
  }
}

function known(layout: Layout, name: string, place: string): string {
  if (layout.fields[name] === undefined) {
    throw new ShapeError(
      place,
      `no field of the ${layout.title}, expected ${Object.keys(layout.fields).join(", ")}`,
    );
  }
  return name;
}

/** One key that names a form, and a value of that form. */
export function formed<Forms extends Readonly<Record<string, Layout>>>(
  forms: Forms,
): Shape<[form: keyof Forms & string, value: bigint]> {
  const formOf = keyOf(forms);
  const values = new Map(Object.entries(forms).map(([name, layout]) => [name, layoutValue(layout)]));
  return (value, place) => {
    const given = entries(value, place);
    const [name, ...others] = Object.keys(given);
    const form = formOf(name, `${place}, form`);
    if (others.length > 0) throw new ShapeError(`${place}.${others[0]!}`, `unknown key beside "${form}"`);
    return [form, values.get(form)!(given[form], `${place}.${form}`)];
  };
}

/** Fields that differ from what a profile says: applied to the profile's value. */
export function changedFields(layout: Layout): Shape<(value: bigint) => bigint> {
  const read = amount(layout.width);
  return (given, place) => {
    const changes = Object.entries(entries(given, place)).map(([name, one]): [bigint, bigint] => {
      const at = `${place}.${name}`;
      const { parts } = layout.fields[known(layout, name, at)]!;
      const mask = parts.reduce((all, part) => all | maskOf(part), 0n);
      return [mask, fromFields(layout, read, { [name]: one }, at)];
    });
    return (value) => changes.reduce((changed, [mask, bits]) => (changed & ~mask) | bits, value);
  };
}

/** What is expected of a value of a layout: all of it as hex, or some fields. */
export function expectedValue(layout: Layout): Shape<string | JsonObject> {
  return either(isText, hex(layout.width), (value, place) => {
    const fields: Record<string, string> = {};
    for (const [name, one] of Object.entries(entries(value, place))) {
      const at = `${place}.${name}`;
      const field = layout.fields[known(layout, name, at)]!;
      fields[name] = hex(widthOf(field) + (field.scale ?? 0))(one, at);
    }
    return fields;
  });
}

/** A value in the form in which an expectation asks for it. */
export function asExpected(
  layout: Layout,
  value: bigint,
  expected: string | JsonObject,
): string | JsonObject {
  if (typeof expected === "string") return hexOf(value);
  const fields = decode(layout, value);
  return Object.fromEntries(fieldsOf(layout).map(([name]) => [name, hexOf(fields[name]!)]));
}
