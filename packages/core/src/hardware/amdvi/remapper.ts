import * as data from "../../spec/accessors/msi-data.ts";
import * as dte from "../../spec/accessors/amdvi-dte.ts";
import * as guest from "../../spec/accessors/amdvi-irte-guest.ts";
import * as irte32 from "../../spec/accessors/amdvi-irte-32.ts";
import * as remapped from "../../spec/accessors/amdvi-irte-remapped.ts";
import * as remappable from "../../spec/accessors/msi-amd-data.ts";
import * as request from "../../spec/accessors/amdvi-request-address.ts";
import { IntCtl, maxIntTabLen } from "../../spec/amdvi/dte.ts";
import { faultReasons } from "../../spec/amdvi/faults.ts";
import { irteBytes } from "../../spec/amdvi/irte.ts";
import { southBridgeIoapic } from "../../spec/amdvi/request.ts";
import { DeliveryMode, type InterruptFabric, Outcome, unknownRequester } from "../delivery.ts";
import { type Observer, eventKinds } from "../event.ts";
import type { Memory } from "../memory.ts";
import { type DeviceTable, addressOf } from "./device-table.ts";
import type { FaultRecorder } from "./fault-recorder.ts";
import type { GuestPoster } from "./guest-poster.ts";
import { Mode, Word, chunkByteBits, chunkWordBits } from "./state.ts";
import { type TableCache, slotWords } from "./table-cache.ts";

export interface RemapperParts {
  readonly state: Int32Array;
  readonly memory: Memory;
  readonly fabric: InterruptFabric;
  readonly observer: Observer | null;
  readonly devices: DeviceTable;
  readonly tables: TableCache;
  readonly faults: FaultRecorder;
  readonly poster: GuestPoster;
}

const chunkWordMask = (1 << chunkWordBits) - 1;
const chunkByteMask = (1 << chunkByteBits) - 1;

/** The number of a fault whose entry is bad in form; 0 for an entry that may be used. */
const sound = 0;

/** The decision on each interrupt request (AMD-Vi 3.11 §2.2.5), in the document's order. */
export class Remapper {
  readonly #state: Int32Array;
  readonly #memory: Memory;
  readonly #fabric: InterruptFabric;
  readonly #observer: Observer | null;
  readonly #devices: DeviceTable;
  readonly #tables: TableCache;
  readonly #faults: FaultRecorder;
  readonly #poster: GuestPoster;

  constructor(parts: RemapperParts) {
    this.#state = parts.state;
    this.#memory = parts.memory;
    this.#fabric = parts.fabric;
    this.#observer = parts.observer;
    this.#devices = parts.devices;
    this.#tables = parts.tables;
    this.#faults = parts.faults;
    this.#poster = parts.poster;
  }

  interrupt(address: number, message: number, requester: number): Outcome {
    this.#observer?.record(eventKinds.request, requester, address, message, 0, 0, 0);
    const state = this.#state;
    const mode = state[Word.mode]!;
    // amdvi.ir.disabled, qemu.amdvi.enable-ignored
    if (!(mode & Mode.enabled)) return this.#pass(address, message);
    let device = requester;
    if (requester === unknownRequester) {
      // amdvi.ir.requester-unknown, qemu.amdvi.unknown-requester
      if (!(mode & Mode.unknownRequesterIsIoapic)) {
        return this.#block(faultReasons.requesterUnknown.number, requester, address, message, -1, -1);
      }
      device = southBridgeIoapic;
    }
    const entry = this.#devices.find(device);
    if (entry < 0) return this.#block(-entry, device, address, message, -1, -1);
    if (mode & Mode.deviceReservedChecked && this.#devices.offends(entry, mode)) {
      return this.#block(faultReasons.deviceReserved.number, device, address, message, -1, entry);
    }
    const map = state[entry + dte.IV_WORD]!;
    // amdvi.ir.map-invalid
    if (!dte.ivOf(map)) return this.#pass(address, message);
    // amdvi.dte.valid-gates
    if (mode & Mode.validGates && !dte.v(state, entry)) return this.#pass(address, message);
    // amdvi.ir.index-512, amdvi.ir.index-2048, qemu.amdvi.type-from-data
    if (!(mode & Mode.index2048 && request.dm(address)) && data.dlm(message) > DeliveryMode.lowestPriority) {
      return this.#special(entry, address, message, device);
    }
    const control = dte.intctl(state, entry);
    if (control === IntCtl.remap) return this.#remap(entry, address, message, device);
    return this.#unmapped(control, entry, address, message, device);
  }

  /** Types other than fixed and arbitrated have no entry: they pass, or they do not. */
  #special(entry: number, address: number, message: number, device: number): Outcome {
    const reason = this.#refusal(entry, address, data.dlm(message));
    if (reason === sound) return this.#pass(address, message);
    return this.#block(reason, device, address, message, -1, entry);
  }

  #refusal(entry: number, address: number, type: number): number {
    const state = this.#state;
    let passes: number;
    switch (type) {
      case DeliveryMode.smi:
        // qemu.amdvi.smi-refused
        if (state[Word.mode]! & Mode.smiRefused) return faultReasons.smiRefused.number;
        // amdvi.ir.smi-passes
        passes = 1;
        break;
      case DeliveryMode.nmi:
        passes = dte.nmipass(state, entry);
        break;
      case DeliveryMode.init:
        passes = dte.initpass(state, entry);
        break;
      case DeliveryMode.extInt:
        passes = dte.extintpass(state, entry);
        break;
      default:
        return faultReasons.typeReserved.number;
    }
    // amdvi.ir.type-logical
    if (request.dm(address)) return faultReasons.typeLogical.number;
    // amdvi.ir.type-passes, amdvi.ir.type-filtered
    return passes ? sound : faultReasons.typeFiltered.number;
  }

  #unmapped(control: number, entry: number, address: number, message: number, device: number): Outcome {
    // amdvi.ir.intctl-pass
    if (control === IntCtl.pass) {
      // qemu.amdvi.pass-zeroed
      if (this.#state[Word.mode]! & Mode.passZeroed) return this.#deliver(0, 0, 0, 0, 0, 0);
      return this.#pass(address, message);
    }
    // amdvi.ir.intctl-abort, amdvi.dte.intctl-reserved
    const reason = control === IntCtl.abort ? faultReasons.controlAbort : faultReasons.controlReserved;
    return this.#block(reason.number, device, address, message, -1, entry);
  }

  #remap(entry: number, address: number, message: number, device: number): Outcome {
    const state = this.#state;
    const mode = state[Word.mode]!;
    const index = remappable.index(message);
    // qemu.amdvi.table-unbounded
    if (!(mode & Mode.tableUnbounded)) {
      const length = dte.inttablen(state, entry);
      if (length > maxIntTabLen) {
        return this.#block(faultReasons.tableLength.number, device, address, message, -1, entry);
      }
      if (index >>> length) {
        return this.#block(faultReasons.indexOutOfRange.number, device, address, message, index, entry);
      }
    }
    const table = this.#tables.table(device);
    const slot = index * slotWords;
    // amdvi.cache.interrupt-table
    if (!table[slot]) return this.#fetch(entry, address, message, device, index);
    if (this.#observer !== null) this.#report(this.#observer, index, 1, table, slot + 1);
    return this.#use(entry, table, slot + 1, address, message, device, index);
  }

  /** Reads an entry from memory, holds it against its form, keeps it if it may, and uses it. */
  #fetch(entry: number, address: number, message: number, device: number, index: number): Outcome {
    const mode = this.#state[Word.mode]!;
    const word = this.#wordOf(entry, index);
    const number = this.#chunkOf(entry, word);
    const at = word & chunkWordMask;
    if (this.#memory.poisoned && !this.#memory.readable(addressOf(number, at), bytesOf(mode))) {
      return this.#block(faultReasons.tableAccess.number, device, address, message, index, entry);
    }
    const chunk = this.#memory.chunk(number);
    if (this.#observer !== null) this.#report(this.#observer, index, 0, chunk, at);
    const reason = this.#judge(chunk, at, mode);
    if (reason !== sound) return this.#blockAt(reason, device, address, message, index, entry, chunk, at);
    if (mode & Mode.cacheTables) this.#tables.hold(device, index, chunk, at, bytesOf(mode) >> 2);
    return this.#use(entry, chunk, at, address, message, device, index);
  }

  #use(
    entry: number,
    words: Int32Array,
    at: number,
    address: number,
    message: number,
    device: number,
    index: number,
  ): Outcome {
    const mode = this.#state[Word.mode]!;
    const low = words[at]!;
    if (!(mode & Mode.ga))
      return this.#hand(low, irte32.dest(low), irte32.vector(low), address, message, mode);
    if (irte32.guestmode(low)) return this.#post(entry, words, at, address, message, device, index);
    const destination = mode & Mode.xt ? remapped.dest(words, at) : irte32.dest(low);
    return this.#hand(low, destination, remapped.vector(words, at), address, message, mode);
  }

  // amdvi.ir.remap, amdvi.ir.hint, amdvi.ir.trigger, qemu.amdvi.rqeoi-as-hint, qemu.amdvi.trigger-edge
  /** Hands a remapped interrupt over; the entry's first word has the same fields in both sizes. */
  #hand(
    low: number,
    destination: number,
    vector: number,
    address: number,
    message: number,
    mode: number,
  ): Outcome {
    const eoi = irte32.rqeoi(low);
    return this.#deliver(
      destination,
      irte32.dm(low),
      mode & Mode.rqEoiAsHint ? eoi : request.rh(address),
      irte32.inttype(low),
      vector,
      mode & Mode.triggerEdge ? 0 : eoi | remappable.tm(message),
    );
  }

  /** The entry's word, counted from the start of the chunk in which its table starts. */
  #wordOf(entry: number, index: number): number {
    const start = (dte.inttableptrLow(this.#state, entry) & chunkByteMask) >>> 2;
    return start + (this.#state[Word.mode]! & Mode.ga ? index * (irteBytes.ga / 4) : index);
  }

  #chunkOf(entry: number, word: number): number {
    const low = dte.inttableptrLow(this.#state, entry) >>> chunkByteBits;
    const high = dte.inttableptrHigh(this.#state, entry) << (32 - chunkByteBits);
    return ((low | high) + (word >>> chunkWordBits)) | 0;
  }

  /** Holds an entry against its form: the number of the fault, or `sound`. */
  #judge(words: Int32Array, at: number, mode: number): number {
    // amdvi.ir.not-enabled
    if (!irte32.remapen(words[at]!)) return faultReasons.notEnabled.number;
    const isGuest = irte32.guestmode(words[at]!);
    // amdvi.irte.guest-mode, qemu.amdvi.guest-mode-refused
    if (isGuest && !(mode & Mode.guestMode)) return faultReasons.guestMode.number;
    // amdvi.irte.reserved, amdvi.irte.xapic-destination, qemu.amdvi.entry-unchecked
    if (!(mode & Mode.entryUnchecked) && stray(words, at, mode, isGuest))
      return faultReasons.entryReserved.number;
    // amdvi.irte.int-type
    if (!isGuest && irte32.inttype(words[at]!) > DeliveryMode.lowestPriority)
      return faultReasons.interruptType.number;
    return sound;
  }

  #post(
    entry: number,
    words: Int32Array,
    at: number,
    address: number,
    message: number,
    device: number,
    index: number,
  ): Outcome {
    // amdvi.ga.not-cached, amdvi.ga.log-request-not-cached
    const word = this.#wordOf(entry, index);
    const chunk = this.#chunkOf(entry, word);
    const live = word & chunkWordMask;
    if (this.#memory.poisoned && !this.#memory.readable(addressOf(chunk, live), irteBytes.ga)) {
      return this.#block(faultReasons.tableAccess.number, device, address, message, index, entry);
    }
    // amdvi.ga.page-access
    if (!this.#poster.accessible(words, at)) {
      const reason = faultReasons.pageAccess.number;
      return this.#blockAt(reason, device, address, message, index, entry, words, at);
    }
    this.#poster.post(
      guest.rootLow(words, at),
      guest.rootHigh(words, at),
      guest.vector(words, at),
      this.#memory.chunk(chunk),
      live,
      device,
    );
    return Outcome.posted;
  }

  #deliver(
    destination: number,
    logical: number,
    hint: number,
    deliveryMode: number,
    vector: number,
    level: number,
  ): Outcome {
    this.#observer?.record(eventKinds.remapped, destination, logical, hint, deliveryMode, vector, level);
    this.#fabric.deliver(destination, logical, hint, deliveryMode, vector, level);
    return Outcome.remapped;
  }

  #pass(address: number, message: number): Outcome {
    this.#observer?.record(eventKinds.passed, address, message, 0, 0, 0, 0);
    this.#fabric.message(address, 0, message);
    return Outcome.passed;
  }

  #report(observer: Observer, index: number, hit: number, words: Int32Array, at: number): void {
    const ga = this.#state[Word.mode]! & Mode.ga;
    if (ga)
      observer.record(
        eventKinds.entry,
        index,
        hit,
        words[at]!,
        words[at + 1]!,
        words[at + 2]!,
        words[at + 3]!,
      );
    else observer.record(eventKinds.entry, index, hit, words[at]!, 0, 0, 0);
  }

  #block(
    reason: number,
    requester: number,
    address: number,
    message: number,
    index: number,
    entry: number,
  ): Outcome {
    return this.#faults.record(reason, requester, address, message, index, entry, this.#state, -1);
  }

  #blockAt(
    reason: number,
    requester: number,
    address: number,
    message: number,
    index: number,
    entry: number,
    words: Int32Array,
    at: number,
  ): Outcome {
    return this.#faults.record(reason, requester, address, message, index, entry, words, at);
  }
}

function bytesOf(mode: number): number {
  return mode & Mode.ga ? irteBytes.ga : irteBytes.legacy;
}

/** Reserved bits of an entry that are set; 0 where none are. */
function stray(words: Int32Array, at: number, mode: number, isGuest: number): number {
  if (!(mode & Mode.ga)) return words[at]! & irte32.RESERVED_0;
  const stray = isGuest
    ? (words[at]! & guest.RESERVED_0) |
      (words[at + 2]! & guest.RESERVED_2) |
      (words[at + 3]! & guest.RESERVED_3)
    : (words[at + 2]! & remapped.RESERVED_2) | (words[at + 3]! & remapped.RESERVED_3);
  if (mode & Mode.xt) return stray;
  return stray | (words[at]! & remapped.RESERVED_XTEN_0_0) | (words[at + 3]! & remapped.RESERVED_XTEN_0_3);
}
