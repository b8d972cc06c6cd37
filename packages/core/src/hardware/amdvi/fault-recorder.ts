import * as data from "../../spec/accessors/msi-data.ts";
import * as dte from "../../spec/accessors/amdvi-dte.ts";
import * as event from "../../spec/accessors/amdvi-event.ts";
import * as ht from "../../spec/accessors/amdvi-ht-interrupt-address.ts";
import * as irte32 from "../../spec/accessors/amdvi-irte-32.ts";
import * as guest from "../../spec/accessors/amdvi-irte-guest.ts";
import * as remappable from "../../spec/accessors/msi-amd-data.ts";
import * as request from "../../spec/accessors/amdvi-request-address.ts";
import { encode, toWords } from "../../spec/codec.ts";
import { dteBytes } from "../../spec/amdvi/dte.ts";
import { type EventCode, eventCodes } from "../../spec/amdvi/events.ts";
import { type FaultReason, faultNameOf, faultReasons } from "../../spec/amdvi/faults.ts";
import { irteBytes } from "../../spec/amdvi/irte.ts";
import { htExtension, htInterruptAddress, htPrefix } from "../../spec/amdvi/request.ts";
import { Outcome } from "../delivery.ts";
import { type Observer, eventKinds } from "../event.ts";
import type { RingLog } from "./ring.ts";
import { Mode, Word, chunkByteBits, deviceWords } from "./state.ts";

const range = toWords(encode(htInterruptAddress, { prefix: htPrefix, extension: htExtension }), 64);
const rangeLow = range[0]!;
const rangeHigh = range[1]!;

const { deviceTableAccess, deviceReserved, tableAccess, pageAccess } = faultReasons;

/** Keeps the evidence of blocked requests, and logs their events. */
export class FaultRecorder {
  readonly #state: Int32Array;
  readonly #log: RingLog;
  readonly #observer: Observer | null;

  constructor(state: Int32Array, log: RingLog, observer: Observer | null) {
    this.#state = state;
    this.#log = log;
    this.#observer = observer;
  }

  /**
   * Blocks a request.
   * @param device where the device's entry stands in the state; negative where it is not known.
   * @param words the interrupt's entry and where it starts; a negative start where it is not known.
   */
  record(
    reason: number,
    requester: number,
    address: number,
    message: number,
    index: number,
    device: number,
    words: Int32Array,
    at: number,
  ): Outcome {
    const state = this.#state;
    state[Word.reason] = reason;
    state[Word.requester] = requester;
    state[Word.index] = index;
    state[Word.address] = address;
    state[Word.data] = message;
    if (device >= 0) state.copyWithin(Word.device, device, device + deviceWords);
    const entryWords = state[Word.mode]! & Mode.ga ? 4 : 1;
    for (let i = 0; i < 4; i++) state[Word.entry + i] = at >= 0 && i < entryWords ? words[at + i]! : 0;
    const facts: FaultReason = faultReasons[faultNameOf(reason)!];
    const logged = facts.event !== null && this.#logs(facts) ? this.#write(facts.event, facts) : 0;
    state[Word.logged] = logged;
    this.#observer?.record(eventKinds.fault, reason, requester, index, logged, 0, 0);
    return Outcome.blocked;
  }

  #logs({ number, suppressed }: FaultReason): boolean {
    const state = this.#state;
    // qemu.amdvi.faults-not-logged, qemu.amdvi.dte-reserved
    if (state[Word.mode]! & Mode.faultsNotLogged) {
      return number === deviceTableAccess.number || number === deviceReserved.number;
    }
    // amdvi.ir.log-suppressed
    if (suppressed === "never") return true;
    if (dte.ig(state, Word.device)) return false;
    return suppressed === "device" || !irte32.supiopf(state[Word.entry]!);
  }

  #write(code: EventCode, { number, flags }: FaultReason): number {
    const state = this.#state;
    const domain = code === eventCodes.IO_PAGE_FAULT ? dte.domainid(state, Word.device) : 0;
    const kind = (code << event.CODE_SHIFT) | (flags << event.FLAGS_SHIFT) | domain;
    const requester = state[Word.requester]! & event.DEVID_MASK;
    switch (number) {
      case deviceTableAccess.number:
      case deviceReserved.number:
        return this.#append(requester, kind, this.#deviceAddress());
      case tableAccess.number:
        return this.#append(requester, kind, this.#entryAddress());
      case pageAccess.number: {
        const high = guest.rootHigh(state, Word.entry) * 2 ** 32;
        return this.#append(requester, kind, high + (guest.rootLow(state, Word.entry) >>> 0));
      }
      default:
        return this.#log.append(requester, kind, this.#interruptAddress(), rangeHigh) ? 1 : 0;
    }
  }

  #append(requester: number, kind: number, address: number): number {
    return this.#log.append(requester, kind, address | 0, Math.floor(address / 2 ** 32)) ? 1 : 0;
  }

  // amdvi.event.interrupt-address
  #interruptAddress(): number {
    const address = this.#state[Word.address]!;
    const message = this.#state[Word.data]!;
    return (
      rangeLow |
      (data.v(message) << ht.VECTOR_SHIFT) |
      (request.destination(address) << ht.DESTINATION_SHIFT) |
      (request.dm(address) << ht.DM_SHIFT) |
      (remappable.tm(message) << ht.LEVEL_SHIFT) |
      (data.dlm(message) << ht.TYPE_SHIFT)
    );
  }

  #deviceAddress(): number {
    const state = this.#state;
    const table = (state[Word.tableChunk]! >>> 0) * 2 ** chunkByteBits + state[Word.tableWord]! * 4;
    return table + state[Word.requester]! * dteBytes;
  }

  #entryAddress(): number {
    const state = this.#state;
    const table =
      dte.inttableptrHigh(state, Word.device) * 2 ** 32 + (dte.inttableptrLow(state, Word.device) >>> 0);
    const bytes = state[Word.mode]! & Mode.ga ? irteBytes.ga : irteBytes.legacy;
    return table + state[Word.index]! * bytes;
  }
}
