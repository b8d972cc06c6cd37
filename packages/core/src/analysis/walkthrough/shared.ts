/** Values that are often the same: each is kept once, so that copying all of them between threads is cheap. */
export class Shared<Value> {
  readonly #known = new Map<string, Value>();
  readonly #key: (value: Value) => string;

  constructor(key: (value: Value) => string) {
    this.#key = key;
  }

  /** The value, or the one that was the same before. */
  one(value: Value): Value {
    const key = this.#key(value);
    const known = this.#known.get(key);
    if (known !== undefined) return known;
    this.#known.set(key, value);
    return value;
  }
}
