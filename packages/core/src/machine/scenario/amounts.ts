import { type Shape, ShapeError } from "../../spec/shape.ts";

const name = /^[a-z][a-z0-9-]*$/;

/** A name: lower-case letters, digits and hyphens. */
export const word: Shape<string> = (value, place) => {
  if (typeof value === "string" && name.test(value)) return value;
  throw new ShapeError(
    place,
    `${JSON.stringify(value)}, expected a name of lower-case letters, digits and hyphens`,
  );
};

const requesterForm = /^([0-9a-f]{2}):([01][0-9a-f])\.([0-7])$/;

/** Bus:device.function as text, to 16 bits. */
export const requester: Shape<number> = (value, place) => {
  const match = typeof value === "string" ? requesterForm.exec(value) : null;
  if (match === null)
    throw new ShapeError(place, `${JSON.stringify(value)}, expected bus:device.function as in "01:00.0"`);
  const [bus, device, fn] = match.slice(1).map((part) => Number.parseInt(part, 16));
  return (bus! << 8) | (device! << 3) | fn!;
};

const factors = /^\$[a-z][a-z0-9-]*(?: \* (?:\$[a-z][a-z0-9-]*|\d+))*$/;

/**
 * A number in place of a text like `$vectors` or `$vectors * 10`; other texts as they are.
 * @throws ShapeError when a parameter is not known.
 */
export function product(text: string, values: ReadonlyMap<string, number>, place: string): number | string {
  if (!factors.test(text)) return text;
  let result = 1;
  for (const factor of text.split(" * ")) {
    const value = factor.startsWith("$") ? values.get(factor.slice(1)) : Number(factor);
    if (value === undefined) {
      const known = [...values.keys()].map((key) => `$${key}`).join(", ");
      throw new ShapeError(place, `there is no parameter ${factor}, expected ${known || "a number"}`);
    }
    result *= value;
  }
  return result;
}
