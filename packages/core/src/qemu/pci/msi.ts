import type { MsiMessage } from "../../linux/irq/chip.ts";
import * as control from "../../spec/accessors/msi-control.ts";
import type { EmulatedFunction } from "./function.ts";
import { msiSendMessage } from "./msix.ts";
import { inlined, qemuFunction } from "../qemu-function.ts";
import type { Vmm } from "../vmm.ts";

/** MSI as QEMU emulates it: a capability in the guest's configuration space. */
export class Msi {
  readonly fn: EmulatedFunction;
  readonly capability: number;
  /** Bytes of the capability. */
  readonly bytes: number;
  readonly #wide: boolean;
  readonly #masking: boolean;

  /** @param header the first dword of the device's own capability: it says what it can do. */
  constructor(fn: EmulatedFunction, header: number, at: number) {
    this.fn = fn;
    this.#wide = control.c64(header) === 1;
    this.#masking = control.pvm(header) === 1;
    const upper = this.#wide ? [-1] : [];
    const mask = this.#masking ? [-1, 0] : [];
    const writable = [control.EN_MASK | control.MME_MASK, ~3, ...upper, 0xffff, ...mask];
    const words = new Int32Array(writable.length);
    words[0] = header & ~(control.NEXT_MASK | control.EN_MASK | control.MME_MASK);
    this.capability = fn.addCapability(words, writable, at);
    this.bytes = 4 * words.length;
    fn.msi = this;
  }

  get enabled(): boolean {
    return control.en(this.#word(0)) === 1;
  }

  /** Vectors that the guest has allocated. */
  get allocated(): number {
    const word = this.#word(0);
    // pci.msi.allocated
    return 1 << Math.min(control.mme(word), control.mmc(word));
  }

  masked(vector: number): boolean {
    return this.#masking && ((this.#word(this.#dataWord + 1) >>> vector) & 1) === 1;
  }

  message(vector: number): MsiMessage {
    // pci.msi.data
    const data = (this.#word(this.#dataWord) & ~(this.allocated - 1)) | vector;
    return { addressLow: this.#word(1), addressHigh: this.#wide ? this.#word(2) : 0, data };
  }

  setPending(vector: number): void {
    const at = (this.capability >> 2) + this.#dataWord + 2;
    this.fn.config.words[at] = this.fn.config.words[at]! | (1 << vector);
  }

  get #dataWord(): number {
    return this.#wide ? 3 : 2;
  }

  #word(index: number): number {
    return this.fn.config.words[(this.capability >> 2) + index]!;
  }
}

/** `MSIMessage` of a vector, as the guest has programmed it. */
export function msiGetMessage(msi: Msi, vector: number): MsiMessage {
  return msi.message(vector);
}

export const msiNotify = qemuFunction(
  "msi_notify",
  (vmm: Vmm, msi: Msi, vector: number): void => {
    if (!msi.enabled) return;
    // pci.msi.masked
    if (msi.masked(vector)) msi.setPending(vector);
    else msiSendMessage(vmm, msi.fn, msi.message(vector));
  },
  inlined,
);
