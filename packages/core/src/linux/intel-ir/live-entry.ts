import { toWords } from "../../spec/codec.ts";
import { irteBytes } from "../../spec/vtd/irte.ts";
import type { Kernel } from "../kernel.ts";
import { type IrtePort, type IrteState, IrteWord, irteStride } from "../posting/irte-state.ts";
import type { DriverTable } from "../posting/irte-steps.ts";
import { vmxPosting } from "../posting/vmx-table.ts";
import { FrameWord, frameStride } from "../posting/words.ts";
import { load, load32, store, store32 } from "./cached-memory.ts";
import { qiFlushIec } from "./queue.ts";
import { type IntelIommu, flushCache } from "./unit.ts";

/** The entry as the CPU sees it. */
export function readEntry(k: Kernel, iommu: IntelIommu, index: number): bigint {
  return load(k, iommu.table!.addressOf(index), 128);
}

/** Takes an entry out of the table that nobody uses any more, by two stores. */
export function clearEntry(k: Kernel, iommu: IntelIommu, index: number): void {
  const address = iommu.table!.addressOf(index);
  store(k, address, 0n, 64);
  store(k, address + irteBytes / 2, 0n, 64);
}

/**
 * One interrupt's entry in the table while its unit may be using it: the state that the driver's steps of the posting
 * protocol work on. Nothing else writes to such an entry. Whoever changes it has locked the interrupt, so that one frame
 * is enough.
 */
export class LiveEntry implements IrteState {
  readonly irtes: IrtePort;
  readonly #table: DriverTable;
  /** The frame, and behind it the driver's words. */
  readonly #words = new Int32Array(frameStride + irteStride);

  constructor(k: Kernel, iommu: IntelIommu, index: number) {
    this.#table = k.vmxPosting;
    const address = iommu.table!.addressOf(index);
    this.irtes = {
      read: (_entry, word) => load32(k, address + 4 * word),
      write: (_entry, word, value) => store32(k, address + 4 * word, value),
      writeBack: () => flushCache(k, iommu, address, irteBytes),
      invalidate: () => qiFlushIec(k, iommu, index, 0),
      // The wait descriptor was submitted with the invalidation, and has completed.
      drained: () => true,
    };
  }

  get(at: number): number {
    return this.#words[at]!;
  }

  set(at: number, value: number): void {
    this.#words[at] = value;
  }

  take(at: number): number {
    const value = this.#words[at]!;
    this.#words[at] = 0;
    return value;
  }

  irteAt(): number {
    return frameStride;
  }

  /** The driver's copy of the entry, as the host wants it. */
  keep(entry: bigint): void {
    this.#words.set(toWords(entry, 128), frameStride + IrteWord.host);
  }

  /** Does steps until a routine ends, or goes on in another. @returns the step to go on with. */
  run(from: number): number {
    return this.#table.run(this, 0, from);
  }

  /**
   * Changes the entry while the interrupt's descriptor is locked, as the irq core has it.
   * @param lock the step that locks it.
   * @param change what comes next, given its step.
   */
  locked(lock: number, change: (next: number) => void): void {
    const next = this.run(lock);
    try {
      change(next);
    } finally {
      this.run(vmxPosting.at["irte-unlock"]);
    }
  }

  /** What a routine is called with. @param word one of {@link FrameWord}. */
  pass(word: number, value: number): void {
    this.#words[word] = value;
  }

  /** The address of the descriptor that the entry is to post to; 0 for none. */
  passDescriptor(address: number): void {
    this.#words[FrameWord.addressLow] = address | 0;
    this.#words[FrameWord.addressHigh] = Math.floor(address / 2 ** 32);
  }
}
