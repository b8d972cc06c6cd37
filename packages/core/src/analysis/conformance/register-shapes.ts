import { type Layout, layout } from "../../spec/layout.ts";
import { asExpected, expectedValue, layoutValue } from "./fields.ts";
import { type JsonObject, type Shape, entries, keyOf, record } from "../../spec/shape.ts";

interface Declared {
  /** In bits. */
  readonly width: number;
  readonly title: string;
  readonly layout?: Layout;
}

export interface RegisterWrite<Name extends string> {
  readonly register: Name;
  readonly value: bigint;
}

export interface RegisterShapes<Name extends string> {
  readonly write: Shape<RegisterWrite<Name>>;
  /** Values by register, to be written in order. */
  readonly values: Shape<readonly RegisterWrite<Name>[]>;
  /** What is expected of registers, by name. */
  readonly states: Shape<JsonObject>;
  /** Registers in the form in which an expectation asks for them. */
  look(asked: JsonObject, read: (name: string) => bigint): JsonObject;
}

/**
 * The shapes of a unit's registers.
 * @param readable what can be looked at by name beside them.
 */
export function registerShapes<Name extends string>(
  registers: Readonly<Record<Name, Declared>>,
  readable: Readonly<Record<string, Layout>> = {},
): RegisterShapes<Name> {
  const layouts: Record<string, Layout> = { ...readable };
  for (const [name, { layout: declared, width, title }] of Object.entries<Declared>(registers)) {
    layouts[name] = declared ?? layout({ name, title, width, section: title, fields: {} });
  }
  const shape = record({ register: keyOf(registers), value: (one) => one }, {});
  const contents = new Map(Object.entries(layouts).map(([name, one]) => [name, layoutValue(one)]));
  const write: Shape<RegisterWrite<Name>> = (value, place) => {
    const { register, value: given } = shape(value, place);
    return { register, value: contents.get(register)!(given, `${place}.value`) };
  };
  return {
    write,
    values: (value, place) =>
      Object.entries(entries(value, place)).map(([name, one]) =>
        write({ register: name, value: one }, `${place}.${name}`),
      ),
    states: (value, place) =>
      Object.fromEntries(
        Object.entries(entries(value, place)).map(([name, one]) => {
          const at = `${place}.${name}`;
          return [name, expectedValue(layouts[keyOf(layouts)(name, at)]!)(one, at)];
        }),
      ),
    look: (asked, read) =>
      Object.fromEntries(
        Object.entries(asked).map(([name, expected]) => [
          name,
          asExpected(layouts[name]!, read(name), expected as string | JsonObject),
        ]),
      ),
  };
}
