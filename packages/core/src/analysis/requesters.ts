/** What one device did. */
export interface Requester {
  /** `bb:dd.f`; `xx:dd.f` where the bus is not known, `bus bb-bb` for a range, `unknown`. */
  readonly requester: string;
  /** AMD-Vi: the base of its table. */
  readonly table: string | null;
  /** How many entries of the table its requests went through. */
  readonly entries: number;
  readonly requests: number;
  readonly agreed: number;
  /** In ascending order. */
  readonly vectors: readonly number[];
  readonly destinations: readonly number[];
}

/** Destinations of one requester that are kept apart, and requesters; what is beyond is counted all the same. */
const destinationLimit = 1024;
const requesterLimit = 4096;
/** Entries kept apart, over all requesters. */
const entryLimit = 1 << 20;

class Tally {
  readonly requester: string;
  readonly table: string | null;
  requests = 0;
  agreed = 0;
  readonly entries = new Set<number>();
  readonly vectors = new Set<number>();
  readonly destinations = new Set<number>();

  constructor(requester: string, table: string | null) {
    this.requester = requester;
    this.table = table;
  }

  row(): Requester {
    return {
      requester: this.requester,
      table: this.table,
      entries: this.entries.size,
      requests: this.requests,
      agreed: this.agreed,
      vectors: ascending(this.vectors),
      destinations: ascending(this.destinations),
    };
  }
}

/** Counts requests by requester, in bounded memory. */
export class Requesters {
  readonly #tallies = new Map<number, Map<number, Tally>>();
  #count = 0;
  #entries = 0;
  #others: Tally | undefined;
  #last: Tally | undefined;
  #lastId = -1;
  #lastTable = -1;

  /**
   * Counts a request.
   * @param id a number that tells requesters apart together with `table`.
   * @param index of its entry, -1 if none was used.
   * @param vector of the message, -1 if none came out.
   */
  count(
    id: number,
    table: number,
    name: (id: number) => string,
    index: number,
    agreed: boolean,
    vector: number,
    destination: number,
  ): void {
    const tally = this.#tallyOf(id, table, name);
    tally.requests++;
    if (agreed) tally.agreed++;
    if (index >= 0 && !tally.entries.has(index) && this.#entries < entryLimit) {
      tally.entries.add(index);
      this.#entries++;
    }
    if (vector < 0) return;
    tally.vectors.add(vector);
    if (tally.destinations.size < destinationLimit) tally.destinations.add(destination >>> 0);
  }

  rows(): Requester[] {
    const rows: Requester[] = [];
    for (const tables of this.#tallies.values()) for (const tally of tables.values()) rows.push(tally.row());
    if (this.#others !== undefined) rows.push(this.#others.row());
    return rows;
  }

  #tallyOf(id: number, table: number, name: (id: number) => string): Tally {
    if (this.#last !== undefined && id === this.#lastId && table === this.#lastTable) return this.#last;
    let tables = this.#tallies.get(id);
    let tally = tables?.get(table);
    if (tally === undefined) {
      if (this.#count >= requesterLimit) return (this.#others ??= new Tally("(further requesters)", null));
      this.#count++;
      tables ??= new Map();
      this.#tallies.set(id, tables);
      tally = new Tally(name(id), table < 0 ? null : `0x${table.toString(16)}`);
      tables.set(table, tally);
    }
    this.#last = tally;
    this.#lastId = id;
    this.#lastTable = table;
    return tally;
  }
}

function ascending(values: Iterable<number>): number[] {
  return [...values].sort((a, b) => a - b);
}
