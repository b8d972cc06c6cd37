import { decode, fromWords, toWords } from "../../spec/codec.ts";
import * as command from "../../spec/accessors/vtd-global-command.ts";
import * as status from "../../spec/accessors/vtd-global-status.ts";
import * as tableAddressLow from "../../spec/accessors/vtd-table-address.ts";
import type { RuleId } from "../../spec/rules.ts";
import { irteBytes } from "../../spec/vtd/irte.ts";
import {
  capability,
  extendedCapability,
  faultRecord,
  registers,
  rootTableAddress,
  tableAddress,
} from "../../spec/vtd/registers.ts";
import type { CpuCache } from "../cpu-cache.ts";
import type { InterruptFabric, Outcome, RemappingUnit } from "../delivery.ts";
import { type Observer, eventKinds } from "../event.ts";
import { type Memory, chunkNumber, physicalAddressLimit, wordInChunk } from "../memory.ts";
import { EntryCache } from "./entry-cache.ts";
import { FaultLog } from "./fault-log.ts";
import type { VtdFault } from "./fault.ts";
import { InvalidationQueue, type QueueError } from "./invalidation-queue.ts";
import { OwnEvent } from "./own-event.ts";
import type { VtdDeviation, VtdProfile } from "./profile.ts";
import { dwords } from "./register-file.ts";
import { Remapper } from "./remapper.ts";
import { Mode, Word, cacheBase, cacheEnd, registerWords } from "./state.ts";

export interface VtdUnitOptions {
  readonly memory: Memory;
  readonly fabric: InterruptFabric;
  readonly profile: VtdProfile;
  readonly observer?: Observer;
  /** The CPU's cache, if the machine has one that a unit with ECAP.C=0 does not see through. */
  readonly cpuCache?: CpuCache;
  /** Told of each rule that the unit's software breaks, as it breaks it. */
  readonly onViolation?: (rule: RuleId) => void;
}

const gsts = registers.GSTS.offset >> 2;
const irta = registers.IRTA.offset >> 2;

/** Bits of GCMD that stay on and show in GSTS; SIRTP, SRTP and WBF act once. */
const lasting = command.CFI_MASK | command.IRE_MASK | command.QIE_MASK | command.TE_MASK;

/** Bits of the mode that stand for deviations; the others are looked at elsewhere. */
const decisive: Readonly<Partial<Record<VtdDeviation, number>>> = Mode;

/** One VT-d remapping unit (VT-d 5.10 §5, §6.5.2, §7, §11): its register page, and the decision on each request. */
export class VtdUnit implements RemappingUnit {
  readonly profile: VtdProfile;
  readonly #state: Int32Array;
  readonly #cache: EntryCache | undefined;
  readonly #faultEvent: OwnEvent;
  readonly #completionEvent: OwnEvent;
  readonly #faults: FaultLog;
  readonly #queue: InvalidationQueue;
  readonly #remapper: Remapper;
  readonly #observer: Observer | null;
  readonly #onViolation: (rule: RuleId) => void;
  /** Bits of the mode that the profile alone decides. */
  readonly #fixedMode: number;
  readonly #supported: number;
  readonly #resumesAtTail: boolean;
  readonly #esirtps: boolean;
  readonly #eimSupported: boolean;

  /** @throws RangeError when the profile's fault records do not lie in the register page. */
  constructor(options: VtdUnitOptions) {
    const { memory, fabric, profile, cpuCache } = options;
    const cap = decode(capability, profile.capability);
    const ecap = decode(extendedCapability, profile.extendedCapability);
    const faultOffset = 16 * Number(cap.fro);
    const records = Number(cap.nfr) + 1;
    if (faultOffset + (records * faultRecord.width) / 8 > registerWords * 4) {
      throw new RangeError(
        `${profile.name}: ${records} fault records at ${faultOffset} do not lie in the 4 KiB of registers`,
      );
    }
    const cached = profile.entryCache !== "none";
    const does = (deviation: VtdDeviation): boolean => profile.deviations.includes(deviation);
    this.profile = profile;
    this.#state = new Int32Array(cached ? cacheEnd : cacheBase);
    this.#observer = options.observer ?? null;
    this.#onViolation = options.onViolation ?? ((): void => {});
    this.#resumesAtTail = does("queueResumesAtTail");
    this.#esirtps = cap.esirtps === 1;
    // qemu.vtd.eime-taken
    this.#eimSupported = ecap.eim === 1 || does("extendedModeTaken");
    this.#supported =
      command.TE_MASK |
      command.SRTP_MASK |
      (ecap.qi === 1 ? command.QIE_MASK : 0) |
      (ecap.ir === 1 ? command.IRE_MASK | command.SIRTP_MASK : 0) |
      // qemu.vtd.cfi-ignored
      (ecap.ir === 1 && !does("cfiIgnored") ? command.CFI_MASK : 0) |
      (cap.rwbf === 1 ? command.WBF_MASK : 0);

    this.#cache = cached ? new EntryCache(this.#state) : undefined;
    const narrow = does("eventUpperIgnored");
    this.#faultEvent = new OwnEvent(this.#state, registers.FECTL.offset, fabric, this.#observer, narrow);
    this.#completionEvent = new OwnEvent(this.#state, registers.IECTL.offset, fabric, this.#observer, narrow);
    this.#faults = new FaultLog(this.#state, this.#faultEvent, {
      offset: faultOffset,
      records,
      compresses: profile.compressesFaults,
      keepsPending: does("eventPendingKept"),
    });
    this.#queue = new InvalidationQueue(this.#state, {
      memory,
      cpuCache,
      cache: this.#cache,
      faults: this.#faults,
      completion: this.#completionEvent,
      observer: this.#observer,
      maximumHandleMask: Number(ecap.mhmv),
      wide: ecap.smts === 1 || ecap.adms === 1,
      pageRequestDrain: ecap.pds === 1,
      refusesEmptyWaits: does("emptyWaitRefused"),
      ignoresWidth: does("descriptorWidthIgnored"),
      checksInvalidations: !does("invalidationUnchecked"),
      tellsErrors: !does("queueErrorUntold"),
      onError: this.#onViolation,
    });
    this.#remapper = new Remapper(this.#state, {
      memory,
      cpuCache,
      fabric,
      cache: this.#cache,
      faults: this.#faults,
      observer: this.#observer,
      profile,
      coherent: ecap.c === 1,
    });
    let mode = cached ? Mode.cache : 0;
    if (ecap.eimer === 1) mode |= Mode.eimRequired;
    if (ecap.irreq === 1) mode |= Mode.remappingRequired;
    if (cap.pi === 1) mode |= Mode.posting;
    for (const deviation of profile.deviations) mode |= decisive[deviation] ?? 0;
    this.#fixedMode = mode;
    this.reset();
  }

  /** Power comes: registers hold what they hold at the start, remapping is off, nothing is cached. */
  reset(): void {
    const state = this.#state;
    state.fill(0);
    state[registers.VER.offset >> 2] = this.profile.version;
    state.set(toWords(this.profile.capability, 64), registers.CAP.offset >> 2);
    state.set(toWords(this.profile.extendedCapability, 64), registers.ECAP.offset >> 2);
    this.#faultEvent.reset();
    this.#completionEvent.reset();
    state[Word.mode] = this.#fixedMode;
  }

  interrupt(addressLow: number, data: number, requester: number): Outcome {
    return this.#remapper.interrupt(addressLow, data, requester);
  }

  malformed(addressLow: number, requester: number): Outcome {
    return this.#remapper.malformed(addressLow, requester);
  }

  /** Why the last blocked request was blocked; undefined if none was. */
  get fault(): VtdFault | undefined {
    return this.#remapper.fault;
  }

  /**
   * Reads a register.
   * @param offset MMIO offset in the 4 KiB page, a multiple of the access's bytes.
   * @param width of the access in bits.
   * @throws RangeError for an access that §11.2 does not allow.
   */
  read(offset: number, width: 32 | 64): bigint {
    this.#checkAccess(offset, width);
    return fromWords(this.#state, offset >> 2, width);
  }

  /**
   * Writes a register; a 64-bit write acts as two of 32 bits, the upper half first, so that the half that sets
   * something off finds its other half in place.
   * @throws RangeError for an access that §11.2 does not allow.
   */
  write(offset: number, width: 32 | 64, value: bigint): void {
    this.#checkAccess(offset, width);
    const low = Number(BigInt.asIntN(32, value));
    const high = width === 64 ? Number(BigInt.asIntN(32, value >> 32n)) : 0;
    this.#observer?.record(eventKinds.register, offset, low, high, 0, 0, 0);
    if (width === 64) this.#writeDword((offset >> 2) + 1, high);
    this.#writeDword(offset >> 2, low);
  }

  /**
   * Executes an invalidation descriptor of four or eight words as if it had been fetched from the queue.
   * @returns the error that it would stop the queue with; undefined if there is none.
   */
  executeDescriptor(descriptor: Int32Array): QueueError | undefined {
    return this.#queue.execute(descriptor);
  }

  #checkAccess(offset: number, width: 32 | 64): void {
    // vtd.register.access
    if (
      !Number.isInteger(offset) ||
      offset < 0 ||
      offset % (width / 8) !== 0 ||
      offset >= registerWords * 4
    ) {
      throw new RangeError(
        `VT-d register access of ${width} bits at ${offset}: want a multiple of ${width / 8} below 4096`,
      );
    }
  }

  #writeDword(word: number, value: number): void {
    if (this.#faults.owns(word)) return this.#faults.writeRecord(word, value);
    const dword = dwords.get(word);
    if (dword === undefined) return;
    if ((value & dword.reserved) !== 0) this.#onViolation("vtd.register.reserved");
    switch (dword.name) {
      case "GCMD":
        return this.#command(value);
      case "FSTS":
        this.#faults.writeStatus(value);
        // qemu.vtd.queue-resumes-at-tail
        if (!this.#resumesAtTail) this.#queue.run();
        return;
      case "FECTL":
        return this.#faultEvent.writeControl(value);
      case "IECTL":
        return this.#completionEvent.writeControl(value);
      case "ICS":
        this.#state[word]! &= ~value;
        if (this.#state[word] === 0) this.#completionEvent.withdraw();
        return;
      case "IRTA":
        this.#writeTableAddress(word, value & dword.writable);
        return;
      default:
        this.#state[word] = (this.#state[word]! & ~dword.writable) | (value & dword.writable);
        if (dword.name === "IQT") this.#queue.run();
    }
  }

  // vtd.irta.latched: the register reads what was written; the table does not change yet.
  #writeTableAddress(word: number, value: number): void {
    this.#state[word] = value;
    if (word !== irta || this.#eimSupported) return;
    this.#state[word] = value & ~tableAddressLow.EIME_MASK;
  }

  /** GCMD (§11.4): lasting bits follow the written value, one-shot bits act where they are set. */
  #command(value: number): void {
    const current = this.#state[gsts]!;
    const changed =
      ((value ^ current) & lasting) | (value & (command.SIRTP_MASK | command.SRTP_MASK | command.WBF_MASK));
    // vtd.gcmd.one-bit
    if ((changed & (changed - 1)) !== 0) this.#onViolation("vtd.gcmd.one-bit");
    // vtd.gcmd.unsupported
    const accepted = changed & this.#supported;
    if ((accepted & command.SRTP_MASK) !== 0) this.#setRootTable();
    if ((accepted & command.QIE_MASK) !== 0) this.#toggleQueue();
    if ((accepted & command.SIRTP_MASK) !== 0) this.#setTable();
    if ((accepted & command.CFI_MASK) !== 0) this.#toggle(status.CFIS_MASK);
    if ((accepted & command.IRE_MASK) !== 0) this.#toggleRemapping();
    if ((accepted & command.TE_MASK) !== 0) this.#toggle(status.TES_MASK);
    if ((this.#state[gsts]! & (status.TES_MASK | status.IRES_MASK)) === 0) this.#faults.restart();
    this.#deriveMode();
  }

  #toggle(bit: number): void {
    this.#state[gsts]! ^= bit;
  }

  #setRootTable(): void {
    const { ttm } = decode(rootTableAddress, fromWords(this.#state, registers.RTADDR.offset >> 2, 64));
    this.#state[Word.tableMode] = Number(ttm);
    this.#state[gsts]! |= status.RTPS_MASK;
  }

  // vtd.gcmd.qie-restart
  #toggleQueue(): void {
    this.#toggle(status.QIES_MASK);
    this.#state[registers.IQH.offset >> 2] = 0;
    this.#queue.run();
  }

  #toggleRemapping(): void {
    this.#toggle(status.IRES_MASK);
    const enabled = (this.#state[gsts]! & status.IRES_MASK) !== 0;
    if (enabled && (this.#state[gsts]! & status.IRTPS_MASK) === 0)
      this.#onViolation("vtd.gcmd.ire-before-sirtp");
    if (!enabled && this.#esirtps) this.#cache?.invalidateAll();
  }

  /** SIRTP: from here on the table lies where IRTA says. */
  #setTable(): void {
    const state = this.#state;
    const value = fromWords(state, irta, 64);
    const table = decode(tableAddress, value);
    const base = Number(table.irta);
    const entries = 2 ** (Number(table.s) + 1);
    if (base % Math.max(4096, entries * irteBytes) !== 0) this.#onViolation("vtd.irta.alignment");
    const eimeChanged = ((state[Word.latchedLow]! ^ state[irta]!) & tableAddressLow.EIME_MASK) !== 0;
    if (eimeChanged && (state[gsts]! & status.IRES_MASK) !== 0) this.#onViolation("vtd.irta.eime-change");
    state[Word.latchedLow] = state[irta]!;
    state[Word.latchedHigh] = state[irta + 1]!;
    state[Word.entries] = reachableEntries(base, entries, this.profile.hostAddressWidth);
    state[Word.tableChunk] = chunkNumber(base);
    state[Word.tableWord] = wordInChunk(base);
    state[gsts]! |= status.IRTPS_MASK;
    // vtd.iec.global-after-sirtp
    if (this.#esirtps) this.#cache?.invalidateAll();
    this.#deriveMode();
    if (eimeChanged) this.#remapper.rejudge();
  }

  /** The bits of the mode that follow GSTS and the latched IRTA. */
  #deriveMode(): void {
    const state = this.#state;
    let mode = state[Word.mode]! & ~(Mode.swift | Mode.ires | Mode.cfis | Mode.eime);
    if ((state[gsts]! & status.IRES_MASK) !== 0) mode |= Mode.ires;
    if ((state[gsts]! & status.CFIS_MASK) !== 0) mode |= Mode.cfis;
    if ((state[Word.latchedLow]! & tableAddressLow.EIME_MASK) !== 0) mode |= Mode.eime;
    state[Word.mode] = mode | (this.#observer === null ? swift(mode) : 0);
  }
}

/** Whether nothing of the configuration stands between a remappable request and its entry. */
function swift(mode: number): number {
  const wrongMode = (mode & (Mode.eimRequired | Mode.eime)) === Mode.eimRequired;
  return (mode & Mode.ires) !== 0 && !wrongMode ? Mode.swift : 0;
}

/** How many entries of a table can be reached: its size says, and the host address width. */
function reachableEntries(base: number, entries: number, hostAddressWidth: number): number {
  const end = Math.min(2 ** hostAddressWidth, physicalAddressLimit);
  return Math.max(0, Math.min(entries, Math.floor((end - base) / irteBytes)));
}
