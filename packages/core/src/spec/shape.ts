/** What JSON can hold. */
export type Json = null | boolean | number | string | JsonList | JsonObject;
export type JsonList = readonly Json[];
export type JsonObject = { readonly [key: string]: Json };

/** Something in a file is not what its format asks for: says where, what was found, what was expected. */
export class ShapeError extends Error {
  /** Keys and indices from the top, as in `vms[0].cpus`. */
  readonly place: string;
  readonly complaint: string;

  constructor(place: string, complaint: string) {
    super(`${place}: ${complaint}`);
    this.name = "ShapeError";
    this.place = place;
    this.complaint = complaint;
  }
}

/** Reads a value of a file; `place` names it in messages. @throws ShapeError when it is not of the shape. */
export type Shape<T> = (value: unknown, place: string) => T;

type Fields = Readonly<Record<string, Shape<unknown>>>;
type Read<S> = S extends Shape<infer T> ? T : never;
type Demanded<F extends Fields> = { readonly [K in keyof F]: Read<F[K]> };
type Optional<F extends Fields> = { readonly [K in keyof F]?: Read<F[K]> };

function wrong(place: string, value: unknown, wanted: string): never {
  const text = JSON.stringify(value) ?? String(value);
  throw new ShapeError(place, `${text.length > 60 ? `${text.slice(0, 57)}...` : text}, expected ${wanted}`);
}

export const text: Shape<string> = (value, place) =>
  typeof value === "string" && value !== "" ? value : wrong(place, value, "a text");

const hexForm = /^0x(?:0|[1-9a-f][0-9a-f]*)$/;

/** A number of at most `bits` bits: `0x` and lower-case hexadecimal digits without leading zeros, or 0 to 9 as they are. */
export function amount(bits: number): Shape<bigint> {
  const wanted = `a number of ${bits} bits: "0x" and lower-case hex without leading zeros, or a single digit`;
  const width = BigInt(bits);
  return (value, place) => {
    let number: bigint | undefined;
    if (typeof value === "number" && Number.isInteger(value) && value >= 0 && value <= 9)
      number = BigInt(value);
    if (typeof value === "string" && hexForm.test(value)) number = BigInt(value);
    return number === undefined || number >> width ? wrong(place, value, wanted) : number;
  };
}

/** As {@link amount}, for numbers of up to 53 bits. */
export function small(bits: number): Shape<number> {
  const read = amount(bits);
  return (value, place) => Number(read(value, place));
}

/** As {@link amount}, in the one form in which expectations are compared. */
export function hex(bits: number): Shape<string> {
  const read = amount(bits);
  return (value, place) => hexOf(read(value, place));
}

export function hexOf(value: bigint | number): string {
  return `0x${value.toString(16)}`;
}

/** An ordinary count, not negative. */
export const count: Shape<number> = (value, place) =>
  typeof value === "number" && Number.isInteger(value) && value >= 0
    ? value
    : wrong(place, value, "a whole number");

/** A whole number of a range, both ends included. */
export function whole(from: number, to: number): Shape<number> {
  return (value, place) =>
    typeof value === "number" && Number.isInteger(value) && value >= from && value <= to
      ? value
      : wrong(place, value, `a whole number from ${from} to ${to}`);
}

export const bit: Shape<0 | 1> = (value, place) =>
  value === 0 || value === 1 ? value : wrong(place, value, "0 or 1");

export const flag: Shape<boolean> = (value, place) =>
  typeof value === "boolean" ? value : wrong(place, value, "true or false");

export function oneOf<const Name extends string>(...names: readonly Name[]): Shape<Name> {
  return (value, place) =>
    names.includes(value as Name) ? (value as Name) : wrong(place, value, names.map(quoted).join(" or "));
}

/** One of an object's keys. */
export function keyOf<T extends object>(object: T): Shape<keyof T & string> {
  return oneOf(...(Object.keys(object) as (keyof T & string)[]));
}

export function nullable<T>(shape: Shape<T>): Shape<T | null> {
  return (value, place) => (value === null ? null : shape(value, place));
}

export function either<A, B>(
  takesFirst: (value: unknown) => boolean,
  first: Shape<A>,
  second: Shape<B>,
): Shape<A | B> {
  return (value, place) => (takesFirst(value) ? first(value, place) : second(value, place));
}

export const isText = (value: unknown): boolean => typeof value === "string";

export function list<T>(shape: Shape<T>): Shape<readonly T[]> {
  return (value, place) =>
    Array.isArray(value)
      ? value.map((one, i) => shape(one, `${place}[${i}]`))
      : wrong(place, value, "a list");
}

/** An object with some keys that must be there and some that may. Any other key is an error. */
export function record<R extends Fields, O extends Fields>(
  required: R,
  optional: O,
): Shape<Demanded<R> & Optional<O>> {
  const known = [...Object.keys(required), ...Object.keys(optional)];
  const demanded = Object.entries(required);
  const permitted = Object.entries(optional);
  return (value, place) => {
    const given = entries(value, place);
    for (const key of Object.keys(given)) {
      if (!known.includes(key))
        throw new ShapeError(`${place}.${key}`, `unknown key, expected ${known.join(", ")}`);
    }
    const read: Record<string, unknown> = {};
    for (const [key, shape] of demanded) read[key] = shape(given[key], `${place}.${key}`);
    for (const [key, shape] of permitted) {
      if (given[key] !== undefined) read[key] = shape(given[key], `${place}.${key}`);
    }
    return read as Demanded<R> & Optional<O>;
  };
}

/** An object whose keys are data: each read by one shape, each value by another. */
export function table<K, V>(key: Shape<K>, shape: Shape<V>): Shape<readonly (readonly [K, V])[]> {
  return (value, place) =>
    Object.entries(entries(value, place)).map(([name, one]) => [
      key(name, `${place}, key ${quoted(name)}`),
      shape(one, `${place}.${name}`),
    ]);
}

/** As {@link table}, for what is compared: keys and values in their one form. */
export function mapped<V extends Json>(
  key: Shape<string>,
  shape: Shape<V>,
): Shape<Readonly<Record<string, V>>> {
  const read = table(key, shape);
  return (value, place) => Object.fromEntries(read(value, place));
}

export function entries(value: unknown, place: string): Readonly<Record<string, unknown>> {
  if (typeof value !== "object" || value === null || Array.isArray(value))
    return wrong(place, value, "an object");
  return value as Readonly<Record<string, unknown>>;
}

function quoted(name: string): string {
  return `"${name}"`;
}
