import { decode, fromWords, toWords, validate } from "../../spec/codec.ts";
import * as status from "../../spec/accessors/vtd-fault-status.ts";
import * as gsts from "../../spec/accessors/vtd-global-status.ts";
import type { RuleId } from "../../spec/rules.ts";
import {
  descriptorHeader,
  descriptorLayouts,
  descriptorTypes,
  interruptEntryCacheInvalidate,
  invalidationWait,
  wideDescriptorLayouts,
} from "../../spec/vtd/descriptors.ts";
import { queueAddress, queueError, queueTail, registers } from "../../spec/vtd/registers.ts";
import type { CpuCache } from "../cpu-cache.ts";
import { type Observer, eventKinds } from "../event.ts";
import { type Memory, physicalAddressLimit } from "../memory.ts";
import type { EntryCache } from "./entry-cache.ts";
import type { FaultLog } from "./fault-log.ts";
import type { OwnEvent } from "./own-event.ts";
import { Word } from "./state.ts";

const word = {
  gsts: registers.GSTS.offset >> 2,
  fsts: registers.FSTS.offset >> 2,
  head: registers.IQH.offset >> 2,
  tail: registers.IQT.offset >> 2,
  address: registers.IQA.offset >> 2,
  completion: registers.ICS.offset >> 2,
  error: registers.IQERCD.offset >> 2,
};

/** Why the queue stopped: IQERCD.IQEI, and the rule that the descriptor or the tail broke. */
const queueErrors = {
  invalidTail: { code: 1, rule: "vtd.qi.invalid-tail" },
  fetch: { code: 2, rule: "vtd.qi.fetch-error" },
  type: { code: 3, rule: "vtd.qi.invalid-type" },
  reserved: { code: 4, rule: "vtd.qi.reserved" },
  width: { code: 5, rule: "vtd.qi.width" },
  tailAlignment: { code: 6, rule: "vtd.qi.tail-alignment" },
} as const satisfies Record<string, { code: number; rule: RuleId }>;

export type QueueError = keyof typeof queueErrors;

export interface InvalidationQueueOptions {
  readonly memory: Memory;
  readonly cpuCache: CpuCache | undefined;
  readonly cache: EntryCache | undefined;
  readonly faults: FaultLog;
  readonly completion: OwnEvent;
  readonly observer: Observer | null;
  readonly maximumHandleMask: number;
  /** ECAP.SMTS or ADMS: 256-bit descriptors are known. */
  readonly wide: boolean;
  readonly pageRequestDrain: boolean;
  /** A wait that neither writes nor interrupts is in error. */
  readonly refusesEmptyWaits: boolean;
  /** Descriptors have 128 bits, whatever IQA says. */
  readonly ignoresWidth: boolean;
  /** Reserved bits of an entry-cache invalidation are in error. */
  readonly checksInvalidations: boolean;
  /** IQERCD says why the queue stopped. */
  readonly tellsErrors: boolean;
  readonly onError: (rule: RuleId) => void;
}

const legacyMode = 0;
/** Bits 3:0 of the type. */
const shortType = 0xf;

/** Queued invalidation (VT-d 5.10 §6.5.2). Everything completes at once, so fences and drains hold by themselves. */
export class InvalidationQueue {
  readonly #state: Int32Array;
  readonly #options: InvalidationQueueOptions;

  constructor(state: Int32Array, options: InvalidationQueueOptions) {
    this.#state = state;
    this.#options = options;
  }

  /** Fetches and executes until the head meets the tail, or an error stops the queue. */
  run(): void {
    const state = this.#state;
    const { memory, cpuCache } = this.#options;
    // vtd.qi.halt
    if (!gsts.qies(state[word.gsts]!) || status.iqe(state[word.fsts]!)) return;
    const { qs, dw: width, iqa } = decode(queueAddress, fromWords(state, word.address, 64));
    // qemu.vtd.descriptor-width-ignored
    const dw = this.#options.ignoresWidth ? 0 : width;
    const bytes = 4096 * 2 ** Number(qs);
    const step = dw === 1 ? 32 : 16;
    while (!status.iqe(state[word.fsts]!)) {
      const tail = Number(decode(queueTail, fromWords(state, word.tail, 64)).qt);
      const head = state[word.head]!;
      if (head === tail) return;
      if (!this.#options.ignoresWidth) {
        if ((dw === 1 && !this.#options.wide) || (dw === 0 && state[Word.tableMode] !== legacyMode))
          return this.#stop("width");
      }
      if (tail >= bytes) return this.#stop("invalidTail");
      if (tail % step !== 0) return this.#stop("tailAlignment");
      const address = Number(iqa) + head;
      if (!memory.readable(address, step)) return this.#stop("fetch");
      cpuCache?.flush(address, step);
      const descriptor = new Int32Array(step >> 2);
      memory.readWords(address, descriptor);
      const error = this.execute(descriptor);
      if (error !== undefined) return this.#stop(error);
      state[word.head] = (head + step) % bytes;
    }
  }

  /**
   * Executes one descriptor of four or eight words.
   * @returns the error that it would stop the queue with.
   */
  execute(descriptor: Int32Array): QueueError | undefined {
    const value = fromWords(descriptor, 0, descriptor.length * 32);
    const told = Number(decode(descriptorHeader, value).type);
    const type = this.#options.checksInvalidations ? told : told & shortType;
    // qemu.vtd.iec-unchecked
    const unchecked = !this.#options.checksInvalidations && type === descriptorTypes.interruptEntryCache;
    if (type !== told && !unchecked) return "reserved";
    const layout = (descriptor.length === 8 ? wideDescriptorLayouts : descriptorLayouts)[type];
    if (layout === undefined) return "type";
    if (!unchecked && validate(layout, value).length > 0) return "reserved";
    if (type === descriptorTypes.interruptEntryCache) return this.#invalidate(value);
    if (type === descriptorTypes.wait) return this.#wait(value);
    return undefined;
  }

  /** An error of the queue: the head stays where it is. */
  #stop(error: QueueError): void {
    const { code, rule } = queueErrors[error];
    // qemu.vtd.queue-error-untold
    if (this.#options.tellsErrors) this.#state.set(toWords(BigInt(code), queueError.width), word.error);
    this.#options.faults.queueError();
    this.#options.onError(rule);
  }

  // vtd.iec.invalidate
  #invalidate(value: bigint): QueueError | undefined {
    const { g, im, iidx } = decode(interruptEntryCacheInvalidate, value);
    const { cache, observer, maximumHandleMask } = this.#options;
    if (g === 0) {
      cache?.invalidateAll();
      observer?.record(eventKinds.invalidated, -1, -1, -1, 0, 0, 0);
      return undefined;
    }
    if (Number(im) > maximumHandleMask) return "reserved";
    const count = 2 ** Number(im);
    const first = Number(iidx) - (Number(iidx) % count);
    cache?.invalidate(first, count);
    observer?.record(eventKinds.invalidated, first, count, -1, 0, 0, 0);
    return undefined;
  }

  #wait(value: bigint): QueueError | undefined {
    const wait = decode(invalidationWait, value);
    const { memory, cpuCache, completion, observer, pageRequestDrain, refusesEmptyWaits } = this.#options;
    if (wait.pd === 1 && !pageRequestDrain) return "reserved";
    // qemu.vtd.wait-empty
    if (refusesEmptyWaits && wait.sw === 0 && wait.if === 0) return "reserved";
    const address = Number(wait.statusaddress);
    // vtd.qi.wait-status
    if (wait.sw === 1 && address < physicalAddressLimit) {
      cpuCache?.flush(address, 4);
      memory.write32(address, Number(wait.statusdata) | 0);
    }
    // vtd.qi.wait-interrupt
    if (wait.if === 1 && this.#state[word.completion] === 0) {
      this.#state[word.completion] = 1;
      completion.raise();
    }
    observer?.record(
      eventKinds.completed,
      address | 0,
      Math.floor(address / 2 ** 32) | 0,
      Number(wait.statusdata) | 0,
      0,
      0,
      0,
    );
    return undefined;
  }
}
