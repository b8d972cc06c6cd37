import * as physical from "../../spec/accessors/avic-physical-entry.ts";
import { AvicEntryWord, AvicLogWord, type AvicState, AvicVcpuWord } from "../../linux/posting/avic-state.ts";
import { done } from "../../linux/posting/step.ts";
import { EntryWord, FrameWord, VcpuWord } from "../../linux/posting/words.ts";
import { SpareWord, spareStride } from "./avic-pack.ts";

/** What must not be. */
export const avicProperties = [
  "entry on two lists",
  "entry in the wrong mode",
  "unit with an old entry",
  "entry that blocks its interrupt",
  "vCPU taken for where it is not",
  "lost interrupt",
  "endless wakeup",
] as const;

const bits = Object.fromEntries(avicProperties.map((property, i) => [property, 1 << i])) as Record<
  (typeof avicProperties)[number],
  number
>;

/** What is wrong with a state of AVIC's world, as far as one state tells. */
export class AvicVerdict {
  readonly #state: AvicState;

  constructor(state: AvicState) {
    this.#state = state;
  }

  #vcpu(vcpu: number, word: number): number {
    return this.#state.words[this.#state.vcpuAt(vcpu) + word]!;
  }

  #spare(vcpu: number, word: number): number {
    return this.#state.words[this.#state.spareAt + vcpu * spareStride + word]!;
  }

  #step(frame: number): number {
    return this.#state.words[frame + FrameWord.step]!;
  }

  /** Its thread sleeps until somebody wakes it. */
  isAsleep(vcpu: number): boolean {
    return (
      this.#vcpu(vcpu, VcpuWord.loaded) === 0 &&
      this.#vcpu(vcpu, VcpuWord.preempted) === 0 &&
      this.#vcpu(vcpu, VcpuWord.sleeping) === 1 &&
      this.#step(this.#state.threadAt(vcpu)) === done
    );
  }

  /** @returns a bit for each of {@link avicProperties}. */
  wrong(): number {
    const state = this.#state;
    let wrong = this.#entriesWrong();
    if (!this.#isQuiet) return wrong;
    for (let vcpu = 0; vcpu < state.shape.vcpus; vcpu++) {
      const inGuest = this.#vcpu(vcpu, VcpuWord.inGuest) === 1;
      if (this.#step(this.#state.threadAt(vcpu)) !== done) continue;
      const asleep = this.isAsleep(vcpu);
      if (!inGuest && !asleep) continue;
      if (this.#isElsewhere(vcpu, inGuest)) wrong |= bits["vCPU taken for where it is not"];
      const unnoticed = this.#spare(vcpu, SpareWord.irr) !== 0 && this.#spare(vcpu, SpareWord.noticed) === 0;
      if (unnoticed) wrong |= bits["lost interrupt"];
    }
    return wrong;
  }

  /** Entries that nobody is changing, and the lists that they are on. */
  #entriesWrong(): number {
    const state = this.#state;
    const { words } = state;
    let wrong = 0;
    for (let entry = 0; entry < state.shape.entries; entry++) {
      const avic = state.avicEntryAt(entry);
      if (words[avic + AvicEntryWord.lock] !== 0) continue;
      const at = state.entryAt(entry);
      if (words[at + EntryWord.posted] !== words[at + EntryWord.asked])
        wrong |= bits["entry in the wrong mode"];
      const held = words[avic + AvicEntryWord.held]!;
      if (held !== 0 && held !== words[avic + AvicEntryWord.vcpu]! + 2)
        wrong |= bits["unit with an old entry"];
      if (words[avic + AvicEntryWord.disabled] !== 0) wrong |= bits["entry that blocks its interrupt"];
    }
    let seen = 0;
    for (let vcpu = 0; vcpu < state.shape.vcpus; vcpu++) {
      let entry = words[state.avicAt(vcpu) + AvicVcpuWord.list]! - 1;
      for (; entry >= 0; entry = state.ofEntry(entry, AvicEntryWord.next) - 1) {
        if ((seen & (1 << entry)) !== 0) return wrong | bits["entry on two lists"];
        seen |= 1 << entry;
      }
    }
    return wrong;
  }

  /** Nothing is on its way to a vCPU, and nobody is about to change anything. */
  get #isQuiet(): boolean {
    const state = this.#state;
    for (let i = 0; i < state.shape.others; i++) if (this.#step(state.otherAt(i)) !== done) return false;
    if (this.#state.words[state.logAt + AvicLogWord.raised] !== 0) return false;
    return this.#step(state.handlerAt(0)) === done;
  }

  /** A vCPU is in its guest or asleep, and IPIs or devices take it for somewhere else. */
  #isElsewhere(vcpu: number, inGuest: boolean): boolean {
    const state = this.#state;
    const { tables } = state;
    const at = state.physicalAt(vcpu);
    const cpu = this.#vcpu(vcpu, VcpuWord.cpu);
    const runs = inGuest ? 1 : 0;
    if (physical.isrunning(tables, at) !== runs || (inGuest && physical.host(tables, at) !== cpu))
      return true;
    for (let entry = 0; entry < state.shape.entries; entry++) {
      if (state.ofEntry(entry, AvicEntryWord.vcpu) !== vcpu) continue;
      if (state.ofEntry(entry, AvicEntryWord.isRun) !== runs) return true;
      if (inGuest && state.ofEntry(entry, AvicEntryWord.destination) !== cpu) return true;
      if (!inGuest && state.ofEntry(entry, AvicEntryWord.gaLogIntr) === 0) return true;
    }
    return false;
  }
}
