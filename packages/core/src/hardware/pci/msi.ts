import * as control from "../../spec/accessors/msi-control.ts";
import { encode } from "../../spec/codec.ts";
import { capabilityIds } from "../../spec/pci/config-header.ts";
import { msiControl } from "../../spec/pci/msi.ts";
import type { ConfigSpace } from "./config-space.ts";
import { type MessagePort, Signal } from "./signal.ts";

export interface MsiOptions {
  /** How many vectors the function asks for: 1, 2, 4, 8, 16 or 32. */
  readonly vectors?: 1 | 2 | 4 | 8 | 16 | 32;
  /** A 64-bit address; true unless told. */
  readonly wide?: boolean;
  /** Per-vector masking; false unless told. */
  readonly masking?: boolean;
}

/** The MSI capability of a function. Its state is the function's configuration space. */
export class Msi {
  /** Of the capability, in configuration space. */
  readonly offset: number;
  readonly #words: Int32Array;
  readonly #port: MessagePort;
  /** Dword indices; `#mask` is 0 without per-vector masking. */
  readonly #control: number;
  readonly #upper: number;
  readonly #data: number;
  readonly #mask: number;

  constructor(config: ConfigSpace, offset: number, next: number, port: MessagePort, options: MsiOptions) {
    const wide = options.wide ?? true;
    const masking = options.masking ?? false;
    const mmc = Math.log2(options.vectors ?? 1);
    const header = { id: capabilityIds.msi, next, mmc, c64: Number(wide), pvm: Number(masking) };
    config.declare(offset, Number(encode(msiControl, header)), control.EN_MASK | control.MME_MASK);
    config.declare(offset + 4, 0, ~3);
    if (wide) config.declare(offset + 8, 0, -1);
    const dataOffset = offset + (wide ? 12 : 8);
    config.declare(dataOffset, 0, 0xffff);
    const vectors = -1 >>> (32 - 2 ** mmc);
    if (masking) config.declare(dataOffset + 4, 0, vectors);
    this.offset = offset;
    this.#words = config.words;
    this.#port = port;
    this.#control = offset >> 2;
    this.#upper = wide ? (offset + 8) >> 2 : 0;
    this.#data = dataOffset >> 2;
    this.#mask = masking ? (dataOffset + 4) >> 2 : 0;
  }

  /** Bytes of the capability in configuration space. */
  static bytes(options: MsiOptions): number {
    return 12 + ((options.wide ?? true) ? 4 : 0) + ((options.masking ?? false) ? 8 : 0);
  }

  get enabled(): boolean {
    return control.en(this.#words[this.#control]!) === 1;
  }

  /** How many vectors software has allocated: 1 to 32. */
  get allocated(): number {
    const word = this.#words[this.#control]!;
    // pci.msi.allocated
    return 1 << Math.min(control.mme(word), control.mmc(word));
  }

  /** Raises the interrupt of a vector; the caller has seen that MSI is enabled. */
  signal(vector: number): Signal {
    if (vector >= this.allocated) return Signal.unallocated;
    // pci.msi.masked
    if (this.#mask !== 0 && (this.#words[this.#mask]! >>> vector) & 1) {
      this.#words[this.#mask + 1] = this.#words[this.#mask + 1]! | (1 << vector);
      return Signal.pending;
    }
    // pci.msi.bus-master-lost
    if (!this.#port.canSend()) return Signal.lost;
    this.#send(vector);
    return Signal.sent;
  }

  /** Whether one of its vectors has this message; int32. */
  sends(addressLow: number, data: number): boolean {
    const vectors = this.allocated - 1;
    return (
      this.#words[this.#control + 1] === addressLow &&
      (this.#words[this.#data]! & ~vectors) === (data & ~vectors)
    );
  }

  /** Takes a pending interrupt back whose cause is gone. */
  withdraw(vector: number): void {
    // pci.msi.withdrawn
    if (this.#mask !== 0) this.#words[this.#mask + 1] = this.#words[this.#mask + 1]! & ~(1 << vector);
  }

  /** Sends what is pending and no longer masked: after every write to the capability or the Command register. */
  flush(): void {
    if (this.#mask === 0 || !this.enabled || !this.#port.canSend()) return;
    for (let vector = 0; vector < this.allocated; vector++) {
      const ready = this.#words[this.#mask + 1]! & ~this.#words[this.#mask]!;
      if (((ready >>> vector) & 1) === 0) continue;
      // pci.msi.unmasked
      this.#words[this.#mask + 1] = this.#words[this.#mask + 1]! & ~(1 << vector);
      this.#send(vector);
    }
  }

  /** Whether a dword of configuration space belongs to the capability. */
  covers(index: number): boolean {
    return index >= this.#control && index <= Math.max(this.#data, this.#mask);
  }

  #send(vector: number): void {
    const words = this.#words;
    // pci.msi.data
    const data = (words[this.#data]! & ~(this.allocated - 1)) | vector;
    this.#port.send(words[this.#control + 1]!, this.#upper === 0 ? 0 : words[this.#upper]!, data);
  }
}
