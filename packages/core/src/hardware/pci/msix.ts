import * as control from "../../spec/accessors/msix-control.ts";
import * as entry from "../../spec/accessors/msix-table-entry.ts";
import { encode, toWords } from "../../spec/codec.ts";
import { capabilityIds } from "../../spec/pci/config-header.ts";
import { msixCapability, msixEntryBytes, msixLimit } from "../../spec/pci/msix.ts";
import type { ConfigSpace } from "./config-space.ts";
import { type MessagePort, Signal } from "./signal.ts";

/** Where a structure of MSI-X lies: BAR index and byte offset in it, a multiple of 8. */
export interface MsixPlace {
  readonly bar: number;
  readonly offset: number;
}

export interface MsixOptions {
  /** Entries of the table, 1 to 2048. */
  readonly vectors: number;
  readonly table: MsixPlace;
  readonly pba: MsixPlace;
}

/** The MSI-X capability of a function, with its table and its Pending Bit Array. */
export class Msix {
  readonly vectors: number;
  readonly tablePlace: MsixPlace;
  readonly pbaPlace: MsixPlace;
  /** The table, then the Pending Bit Array. */
  readonly #state: Int32Array;
  readonly #pba: number;
  readonly #config: Int32Array;
  readonly #control: number;
  readonly #port: MessagePort;
  /** Vectors whose Pending bit is set: what a write that unmasks nothing need not look for. */
  #pendingCount = 0;

  /** @throws RangeError when there are not 1 to 2048 vectors, or a place is no multiple of 8. */
  constructor(config: ConfigSpace, offset: number, next: number, port: MessagePort, options: MsixOptions) {
    const { vectors, table, pba } = options;
    if (!(Number.isInteger(vectors) && vectors >= 1 && vectors <= msixLimit)) {
      throw new RangeError(`MSI-X: ${vectors} vectors, expected 1 to ${msixLimit}`);
    }
    const header = toWords(
      encode(msixCapability, {
        id: capabilityIds.msix,
        next,
        size: vectors - 1,
        tablebir: table.bar,
        tableoffset: table.offset,
        pbabir: pba.bar,
        pbaoffset: pba.offset,
      }),
      96,
    );
    config.declare(offset, header[0]!, control.EN_MASK | control.FM_MASK);
    config.declare(offset + 4, header[1]!);
    config.declare(offset + 8, header[2]!);
    this.vectors = vectors;
    this.tablePlace = table;
    this.pbaPlace = pba;
    this.#pba = vectors * entry.WORDS;
    this.#state = new Int32Array(this.#pba + 2 * Math.ceil(vectors / 64));
    this.reset();
    this.#config = config.words;
    this.#control = offset >> 2;
    this.#port = port;
  }

  /** The table is empty and masked, and nothing is pending. */
  reset(): void {
    this.#state.fill(0);
    this.#pendingCount = 0;
    // pci.msix.reset
    for (let i = 0; i < this.vectors; i++) this.#state[i * entry.WORDS + entry.MASK_WORD] = entry.MASK_MASK;
  }

  get tableBytes(): number {
    return this.vectors * msixEntryBytes;
  }

  get pbaBytes(): number {
    return 4 * (this.#state.length - this.#pba);
  }

  get enabled(): boolean {
    return control.en(this.#config[this.#control]!) === 1;
  }

  /** Whether a vector's Pending bit is set. */
  isPending(vector: number): boolean {
    return ((this.#state[this.#pba + (vector >> 5)]! >>> (vector & 31)) & 1) === 1;
  }

  /** Raises the interrupt of a vector; the caller has seen that MSI-X is enabled. */
  signal(vector: number): Signal {
    if (vector >= this.vectors) return Signal.unallocated;
    // pci.msi.masked
    if (control.fm(this.#config[this.#control]!) | entry.mask(this.#state, vector * entry.WORDS)) {
      this.#setPending(vector, 1);
      return Signal.pending;
    }
    // pci.msi.bus-master-lost
    if (!this.#port.canSend()) return Signal.lost;
    this.#send(vector);
    return Signal.sent;
  }

  /** Takes a pending interrupt back whose cause is gone. */
  withdraw(vector: number): void {
    // pci.msi.withdrawn
    this.#setPending(vector, 0);
  }

  /** Sends what is pending and no longer masked: after every write to the capability or the Command register. */
  flush(): void {
    for (let vector = 0; vector < this.vectors && this.#pendingCount > 0; vector++) this.#release(vector);
  }

  /** A dword of the table, unsigned; `offset` in bytes from the table's start. */
  readTable(offset: number): number {
    return this.#state[offset >> 2]! >>> 0;
  }

  /** Writes a dword of the table. Its address and data take effect at once, masked or not. */
  writeTable(offset: number, value: number): void {
    const at = offset >> 2;
    this.#state[at] = value;
    if (at % entry.WORDS === entry.MASK_WORD) this.#release(Math.floor(at / entry.WORDS));
  }

  /** A dword of the Pending Bit Array, unsigned; `offset` in bytes from its start. Writes do not reach it. */
  readPba(offset: number): number {
    return this.#state[this.#pba + (offset >> 2)]! >>> 0;
  }

  /** Whether a dword of configuration space is the capability's control. */
  covers(index: number): boolean {
    return index === this.#control;
  }

  /** Sends a vector's pending interrupt if nothing holds it back any more. */
  #release(vector: number): void {
    const word = this.#config[this.#control]!;
    if (!this.isPending(vector) || !control.en(word) || control.fm(word)) return;
    if (entry.mask(this.#state, vector * entry.WORDS) || !this.#port.canSend()) return;
    // pci.msi.unmasked
    this.#setPending(vector, 0);
    this.#send(vector);
  }

  #setPending(vector: number, value: 0 | 1): void {
    const word = this.#pba + (vector >> 5);
    const bit = 1 << (vector & 31);
    if (Number(this.isPending(vector)) === value) return;
    this.#state[word] = this.#state[word]! ^ bit;
    this.#pendingCount += value === 1 ? 1 : -1;
  }

  #send(vector: number): void {
    const at = vector * entry.WORDS;
    this.#port.send(
      entry.addressLow(this.#state, at),
      entry.addressHigh(this.#state, at),
      entry.data(this.#state, at),
    );
  }
}
