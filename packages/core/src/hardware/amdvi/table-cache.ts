/** Words of one kept entry: whether it is held, then the entry. */
export const slotWords = 5;

const tableEntries = 2048;

/** How many devices' entries are kept at once; those of further devices are read from memory each time. */
const keptDevices = 1024;

/** Stands for the table of every device of which nothing is kept. */
const nothing = new Int32Array(tableEntries * slotWords);

const devices = 65536;

/** Shared by all that keep nothing, and never written to. */
const noTables: Int32Array[] = new Array<Int32Array>(devices).fill(nothing);

/**
 * Entries of interrupt tables, kept for each device until software invalidates that device's table
 * (amdvi.cache.interrupt-table). Nothing else evicts an entry: the worst that a driver can meet.
 */
export class TableCache {
  readonly #tables: Int32Array[];
  readonly #limit: number;
  #kept = 0;

  /** @param limit of how many devices entries are kept; 0: of none. */
  constructor(limit: number = keptDevices) {
    this.#tables = limit === 0 ? noTables : new Array<Int32Array>(devices).fill(nothing);
    this.#limit = limit;
  }

  /** The slots of a device, to be read only: the slot of an index starts at `index * slotWords`. */
  table(device: number): Int32Array {
    return this.#tables[device]!;
  }

  /** Keeps `count` words of an entry. */
  hold(device: number, index: number, words: Int32Array, at: number, count: number): void {
    let table = this.#tables[device]!;
    if (table === nothing) {
      if (this.#kept === this.#limit) return;
      this.#kept++;
      table = new Int32Array(nothing.length);
      this.#tables[device] = table;
    }
    const slot = index * slotWords;
    table[slot] = 1;
    for (let i = 0; i < count; i++) table[slot + 1 + i] = words[at + i]!;
  }

  invalidate(device: number): void {
    if (this.#tables[device] === nothing) return;
    this.#tables[device] = nothing;
    this.#kept--;
  }

  invalidateAll(): void {
    if (this.#kept === 0) return;
    for (let device = 0; device < this.#tables.length; device++) this.#tables[device] = nothing;
    this.#kept = 0;
  }
}
