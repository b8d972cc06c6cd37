import { driverStepIds } from "../../linux/posting/irte-steps.ts";
import * as irte from "../../spec/accessors/irte-posted.ts";
import { IrteWord } from "../../linux/posting/irte-state.ts";
import type { VmxStepId } from "../../linux/posting/vmx-step-ids.ts";
import { VmWord } from "../../linux/posting/words.ts";
import type { VmxCast, VmxTable } from "./vmx-cast.ts";
import {
  Own,
  descriptorLive,
  handlerLive,
  hostLive,
  packCpu,
  packDescriptor,
  packSender,
  packThread,
  packVcpu,
  senderLive,
  threadLive,
  unpackCpu,
  unpackDescriptor,
  unpackSender,
  unpackThread,
  unpackVcpu,
  vcpuLive,
} from "./vmx-pack.ts";

function of(at: number, words: readonly number[]): number[] {
  return words.map((word) => at + word);
}

function range(at: number, words: number): number[] {
  return Array.from({ length: words }, (_, i) => at + i);
}

function bits(first: number, count: number): number {
  return (2 ** count - 1) << first;
}

/**
 * What a state is made of: for each vCPU what it is at and its budgets, and its thread; for each its descriptor and IRR;
 * for each CPU its handlers' frame, its list and its APIC; each of all others; and the entry that changes, if one does.
 */
export class VmxParts {
  /** Numbers of the first descriptor's part, of the first CPU's, and of that of all others. */
  readonly descriptor: number;
  readonly cpu: number;
  readonly other: number;
  readonly words: readonly (readonly number[])[];
  /** By part: {@link pack} makes one word of it. */
  readonly packs: readonly boolean[];
  readonly #cast: VmxCast;

  constructor(cast: VmxCast) {
    this.#cast = cast;
    this.descriptor = 2 * cast.vcpus;
    this.cpu = 3 * cast.vcpus;
    this.other = this.cpu + cast.cpus;
    this.words = this.#wordsOf(cast);
    this.packs = this.words.map((_, part) => part < this.other + cast.posts);
  }

  #wordsOf(cast: VmxCast): number[][] {
    const state = cast.state;
    const parts: number[][] = [];
    for (let vcpu = 0; vcpu < cast.vcpus; vcpu++) {
      parts.push(
        [...of(state.vcpuAt(vcpu), vcpuLive), ...range(cast.ownAt(vcpu), Own.irr)],
        of(cast.threadAt(vcpu), threadLive),
      );
    }
    for (let vcpu = 0; vcpu < cast.vcpus; vcpu++) {
      parts.push([...of(state.descriptorAt(vcpu), descriptorLive), cast.ownAt(vcpu) + Own.irr]);
    }
    for (let cpu = 0; cpu < cast.cpus; cpu++) {
      parts.push([...of(cast.handlerAt(cpu), handlerLive), state.listAt(cpu), cast.apics + cpu]);
    }
    for (let other = 0; other < cast.others; other++) {
      parts.push(of(cast.otherAt(other), this.live(other)));
    }
    if (cast.changes) {
      const { irtes } = state;
      parts.push([
        state.vmAt(0) + VmWord.bypass,
        ...range(state.irteAt(0), IrteWord.lock + 1),
        ...range(irtes.tableAt(0), irtes.tableAt(1) - irtes.tableAt(0)),
      ]);
    }
    return parts;
  }

  pack(part: number): number {
    const cast = this.#cast;
    const { words } = cast;
    if (part < this.descriptor) {
      return (part & 1) === 0
        ? packVcpu(words, cast.state.vcpuAt(part >> 1), cast.ownAt(part >> 1))
        : packThread(words, cast.threadAt(part >> 1));
    }
    if (part < this.cpu) {
      const vcpu = part - this.descriptor;
      return packDescriptor(words, cast.state.descriptorAt(vcpu), cast.ownAt(vcpu) + Own.irr);
    }
    if (part < this.other) {
      const cpu = part - this.cpu;
      return packCpu(words, cast.handlerAt(cpu), cast.state.listAt(cpu), cast.apics + cpu);
    }
    return packSender(words, cast.otherAt(part - this.other));
  }

  unpack(part: number, packed: number): void {
    const cast = this.#cast;
    const { words } = cast;
    if (part < this.descriptor) {
      if ((part & 1) === 0) unpackVcpu(words, cast.state.vcpuAt(part >> 1), cast.ownAt(part >> 1), packed);
      else unpackThread(words, cast.threadAt(part >> 1), packed);
    } else if (part < this.cpu) {
      const vcpu = part - this.descriptor;
      unpackDescriptor(words, cast.state.descriptorAt(vcpu), cast.ownAt(vcpu) + Own.irr, packed);
    } else if (part < this.other) {
      const cpu = part - this.cpu;
      unpackCpu(words, cast.handlerAt(cpu), cast.state.listAt(cpu), cast.apics + cpu, packed);
    } else unpackSender(words, cast.otherAt(part - this.other), packed);
  }

  /** Registers that differ between states, of one of the others. */
  live(other: number): readonly number[] {
    return other < this.#cast.posts ? senderLive : hostLive;
  }

  /** By step: the parts that it may change beside that of the thread that does it. */
  reachOf({ ids, steps }: VmxTable): Int32Array {
    const cast = this.#cast;
    // What a vCPU is at others change, its thread's frame they do not.
    const vcpus = bits(0, 2 * cast.vcpus) & 0x5555_5555;
    const descriptors = bits(this.descriptor, cast.vcpus);
    const cpus = bits(this.cpu, cast.cpus);
    const entry = cast.changes ? 1 << (this.words.length - 1) : 0;
    return Int32Array.from(steps, (_, number) => {
      const id = ids[number - 1]!;
      let mask = 0;
      if (reach.vcpus.includes(id)) mask |= vcpus;
      if (reach.descriptors.includes(id)) mask |= descriptors;
      if (reach.cpus.includes(id)) mask |= cpus;
      if (reach.entries.includes(id)) mask |= entry;
      return mask;
    });
  }

  /** Words that change and that nobody asks for: how many interrupts the unit has in hand for entries that stay. */
  get unasked(): number[] {
    const cast = this.#cast;
    const { irtes } = cast.state;
    const first = cast.changes ? 1 : 0;
    return Array.from({ length: cast.entries - first }, (_, i) => irtes.heldAt(first + i) + irte.WORDS);
  }
}

/** What steps change beside what their own thread has: vCPUs, descriptors and IRRs, APICs and lists, and entries. */
const reach: Readonly<Record<"vcpus" | "descriptors" | "cpus" | "entries", readonly VmxStepId[]>> = {
  vcpus: ["wake-vcpu", "kick-request", "kick-exit"],
  descriptors: [
    "device-post",
    "processor-clear-on",
    "processor-harvest",
    "load-set-control",
    "load-clear-sn",
    "recompute-on",
    "put-set-sn",
    "wakeup-set-vector",
    "sync-clear-on",
    "sync-harvest",
    "software-set-pir",
    "software-set-on",
  ],
  cpus: [
    "device-notify",
    "processor-acknowledge",
    "host-notification",
    "wakeup-acknowledge",
    "wakeup-list-once",
    "wakeup-list-add",
    "self-ipi-at-block",
    "software-notify",
    "kick-notify",
  ],
  entries: [
    "device-request",
    "device-post",
    "device-notify",
    "assign-count",
    "release-count",
    ...driverStepIds,
  ],
};
