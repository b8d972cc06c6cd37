type Numbers = Float64Array | Int32Array | Uint16Array | Uint8Array;

interface Maker<Column extends Numbers> {
  new (length: number): Column;
}

/** A typed array that grows. */
export class Growing<Column extends Numbers> {
  readonly #maker: Maker<Column>;
  #column: Column;
  length = 0;

  constructor(maker: Maker<Column>) {
    this.#maker = maker;
    this.#column = new maker(1024);
  }

  push(value: number): void {
    if (this.length === this.#column.length) this.#grow();
    this.#column[this.length++] = value;
  }

  set(at: number, value: number): void {
    this.#column[at] = value;
  }

  get(at: number): number {
    return this.#column[at]!;
  }

  /** A copy of what there is. */
  taken(): Column {
    return this.#column.slice(0, this.length) as Column;
  }

  #grow(): void {
    const grown = new this.#maker(2 * this.#column.length);
    grown.set(this.#column);
    this.#column = grown;
  }
}
