import * as control from "../../spec/accessors/amdvi-control.ts";
import * as capability from "../../spec/accessors/amdvi-interrupt-capability.ts";
import * as address from "../../spec/accessors/msi-address.ts";
import * as data from "../../spec/accessors/msi-data.ts";
import type { InterruptFabric } from "../delivery.ts";
import { type Observer, eventKinds } from "../event.ts";
import { wordOf } from "./state.ts";

/** Which of the unit's interrupts: the registers that say where each goes in x2APIC form. */
export const Source = { general: wordOf("INT_CAP_XT_GEN"), guestLog: wordOf("INT_CAP_XT_GA") } as const;

const controlWord = wordOf("CONTROL");
const msiPrefix = 0xfee << address.PREFIX_SHIFT;

/**
 * The unit's own interrupts: through the MSI capability of its PCI function, or through the x2APIC interrupt control
 * registers while IntCapXTEn is 1. They go to the fabric as they stand (amdvi.event.not-remapped).
 */
export class OwnInterrupts {
  readonly #state: Int32Array;
  readonly #fabric: InterruptFabric;
  readonly #observer: Observer | null;
  #enabled = false;
  #addressLow = 0;
  #addressHigh = 0;
  #data = 0;

  constructor(state: Int32Array, fabric: InterruptFabric, observer: Observer | null) {
    this.#state = state;
    this.#fabric = fabric;
    this.#observer = observer;
  }

  /** What the MSI capability is programmed with, as int32. */
  setMessage(addressLow: number, addressHigh: number, data: number): void {
    this.#enabled = true;
    this.#addressLow = addressLow;
    this.#addressHigh = addressHigh;
    this.#data = data;
  }

  /** The MSI capability is disabled. */
  clearMessage(): void {
    this.#enabled = false;
  }

  raise(source: number): void {
    if (control.intcapxten(this.#state, controlWord)) this.#raiseExtended(source);
    else if (this.#enabled) this.#send(this.#addressLow, this.#addressHigh, this.#data);
  }

  #raiseExtended(source: number): void {
    const state = this.#state;
    const destination = capability.dest(state, source);
    const low =
      msiPrefix |
      ((destination << address.DST_SHIFT) & address.DST_MASK) |
      (capability.dm(state, source) << address.DM_SHIFT);
    const high =
      (destination & address.DSTHIGH_MASK) |
      (capability.desthigh(state, source) << capability.DESTHIGH_SHIFT);
    this.#send(
      low,
      high,
      capability.vector(state, source) | (capability.dlm(state, source) << data.DLM_SHIFT),
    );
  }

  #send(low: number, high: number, data: number): void {
    this.#observer?.record(eventKinds.event, low, high, data, 0, 0, 0);
    this.#fabric.message(low, high, data);
  }
}
