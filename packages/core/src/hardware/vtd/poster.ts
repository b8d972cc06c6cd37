import * as pid from "../../spec/accessors/posted-descriptor.ts";
import { faultReasons } from "../../spec/vtd/faults.ts";
import type { CpuCache } from "../cpu-cache.ts";
import type { InterruptFabric } from "../delivery.ts";
import { type Observer, eventKinds } from "../event.ts";
import type { Memory } from "../memory.ts";
import { Mode } from "./state.ts";

/** What {@link Poster.post} returns when it has posted; no fault reason has this number. */
export const posting = -1;

const inaccessible = faultReasons.descriptorAccess.code;
const reserved = faultReasons.descriptorReserved.code;

export interface PosterParts {
  readonly memory: Memory;
  readonly cpuCache: CpuCache | undefined;
  readonly fabric: InterruptFabric;
  readonly observer: Observer | null;
}

/** The unit's side of interrupt posting (VT-d 5.10 §5.2.3). Descriptors are never cached, and always snooped. */
export class Poster {
  readonly #memory: Memory;
  readonly #cpuCache: CpuCache | undefined;
  readonly #fabric: InterruptFabric;
  readonly #observer: Observer | null;

  constructor({ memory, cpuCache, fabric, observer }: PosterParts) {
    this.#memory = memory;
    this.#cpuCache = cpuCache;
    this.#fabric = fabric;
    this.#observer = observer;
  }

  /**
   * Posts a vector through the descriptor at an address, given as int32 halves: one atomic read-modify-write, and a
   * notification if one is due.
   * @returns `posting`, or the reason to block the request; then the descriptor is as it was.
   */
  post(mode: number, low: number, high: number, vector: number, urgent: boolean): number {
    // vtd.post.descriptor-access
    if ((this.#memory.poisoned || this.#cpuCache !== undefined) && !this.#snoop(low, high))
      return inaccessible;
    const chunk = this.#memory.writableChunk((high << 12) | (low >>> 20));
    const descriptor = (low & 0xfffff) >>> 2;
    const control = chunk[descriptor + pid.ON_WORD]!;
    const target = pid.ndst(chunk, descriptor);
    // vtd.post.descriptor-reserved, vtd.pid.xapic-destination
    if (
      (control & pid.RESERVED_8) !== 0 ||
      ((mode & Mode.eime) === 0 && (target & pid.RESERVED_EIME_0_9) !== 0)
    ) {
      return reserved;
    }
    const request = descriptor + (vector >>> 5);
    chunk[request] = chunk[request]! | (1 << vector);
    // vtd.post.coalesced, vtd.post.suppressed, vtd.post.notify
    const notifies = (control & pid.ON_MASK) === 0 && ((control & pid.SN_MASK) === 0 || urgent);
    if (this.#observer !== null) {
      this.#observer.record(eventKinds.posted, low, high, vector, notifies ? 1 : 0, urgent ? 1 : 0, 0);
    }
    if (notifies) {
      chunk[descriptor + pid.ON_WORD] = control | pid.ON_MASK;
      const destination = (mode & Mode.eime) !== 0 ? target : (target >>> 8) & 0xff;
      // vtd.post.edge
      this.#fabric.fixed(destination, pid.nvOf(control));
    }
    return posting;
  }

  /** Makes the descriptor's line visible, which is always snooped; false if it cannot be accessed. */
  #snoop(low: number, high: number): boolean {
    const address = (high >>> 0) * 2 ** 32 + (low >>> 0);
    this.#cpuCache?.flush(address, pid.WORDS * 4);
    return this.#memory.readable(address, pid.WORDS * 4);
  }
}
