import * as irte from "../../spec/accessors/irte-posted.ts";
import { IrteWord } from "../../linux/posting/irte-state.ts";
import {
  type PostingPort,
  PostingState,
  postedInterruptVector,
  wakeupVector,
} from "../../linux/posting/posting-state.ts";
import { type StepTable, done } from "../../linux/posting/step.ts";
import type { VmxStepId } from "../../linux/posting/vmx-step-ids.ts";
import { vmxPosting } from "../../linux/posting/vmx-table.ts";
import { FrameWord, VcpuWord, VmWord, frameStride } from "../../linux/posting/words.ts";
import type { Size } from "./protocol.ts";
import { Own, firstVector, ownStride } from "./vmx-pack.ts";
import type { VmxPlay } from "./vmx-plays.ts";
import type { Signal } from "./world.ts";

export type VmxTable = StepTable<PostingState, VmxStepId>;

/** What waits at an APIC. */
export const pending = { notification: 1, wakeup: 2, other: 4 } as const;

function bitOf(vector: number): number {
  if (vector === postedInterruptVector) return pending.notification;
  return vector === wakeupVector ? pending.wakeup : pending.other;
}

function nameOf(vector: number): string {
  return bitOf(vector) === pending.other ? "reschedule" : `${vector.toString(16).toUpperCase()}h`;
}

/** A guest's vector, by the number of what posts it. */
function vectorOf(post: number): number {
  return firstVector + post;
}

/** Who plays, where each stands in the words, and how they begin. */
export class VmxCast {
  readonly state: PostingState;
  readonly words: Int32Array;
  readonly play: VmxPlay;
  readonly vcpus: number;
  readonly cpus: number;
  /** Devices, then who posts by software, then the host: {@link posts} of them post, {@link devices} are devices. */
  readonly others: number;
  readonly posts: number;
  readonly devices: number;
  readonly entries: number;
  /** The first entry of the remapping table changes; the others stay as they are. */
  readonly changes: boolean;
  /** Where each begins. */
  readonly own: number;
  readonly apics: number;
  readonly threads: number;
  readonly handlers: number;
  readonly firstOther: number;
  /** {@link ToldWorld.heard} */
  heard: Signal[] | null = null;
  readonly #table: VmxTable;

  constructor(table: VmxTable, play: VmxPlay, asked: Size) {
    const size = { ...asked, ...play.budgets?.(asked) };
    const { vcpus, cpus } = size;
    const posts = play.silent === true ? 0 : size.posts;
    const bySoftware = Math.min(play.bySoftware ?? 0, posts);
    this.#table = table;
    this.play = play;
    this.vcpus = vcpus;
    this.cpus = cpus;
    this.posts = posts;
    this.devices = posts - bySoftware;
    this.others = posts + play.beside.length;
    this.entries = Math.max(1, this.devices);
    this.changes = play.beside.length > 0;
    const shape = { vcpus, cpus, vms: 1, entries: this.entries, others: this.others };
    const beside = vcpus * ownStride + cpus;
    const state = new PostingState(shape, this.#port(), { quarters: 1, beside });
    this.state = state;
    this.words = state.words;
    this.own = state.beside;
    this.apics = this.own + vcpus * ownStride;
    this.threads = state.threadAt(0);
    this.handlers = state.handlerAt(0);
    this.firstOther = state.otherAt(0);
    this.#begin(posts, bySoftware, size);
  }

  #port(): PostingPort {
    const send = (cpu: number, vector: number): void => {
      this.words[this.apics + cpu]! |= bitOf(vector);
      this.heard?.push({ to: `cpu ${cpu}`, what: nameOf(vector) });
    };
    return {
      sendIpi: send,
      notify: send,
      acknowledge: (cpu, vector) => void (this.words[this.apics + cpu]! &= ~bitOf(vector)),
      destinationOf: (cpu) => cpu,
      hasInterrupt: (vcpu) => this.words[this.ownAt(vcpu) + Own.irr] !== 0,
      request: (vcpu, _part, vectors) => {
        this.words[this.ownAt(vcpu) + Own.irr]! |= vectors;
        if (vectors !== 0) this.heard?.push({ to: `vcpu ${vcpu}`, what: "IRR" });
      },
      woken: (vcpu) => void this.heard?.push({ to: `vcpu ${vcpu}`, what: "wake-up" }),
    };
  }

  ownAt(vcpu: number): number {
    return this.own + vcpu * ownStride;
  }

  threadAt(vcpu: number): number {
    return this.threads + vcpu * frameStride;
  }

  handlerAt(cpu: number): number {
    return this.handlers + cpu * frameStride;
  }

  otherAt(other: number): number {
    return this.firstOther + other * frameStride;
  }

  vcpu(vcpu: number, word: number): number {
    return this.words[this.state.vcpuAt(vcpu) + word]!;
  }

  /** Where a loaded vCPU's thread runs. */
  cpuOf(vcpu: number): number {
    return this.words[this.threadAt(vcpu) + FrameWord.cpu]!;
  }

  isInGuest(vcpu: number): boolean {
    return this.vcpu(vcpu, VcpuWord.inGuest) === 1 && this.words[this.threadAt(vcpu)] === done;
  }

  isAsleep(vcpu: number): boolean {
    return (
      this.vcpu(vcpu, VcpuWord.sleeping) === 1 &&
      this.vcpu(vcpu, VcpuWord.loaded) === 0 &&
      this.vcpu(vcpu, VcpuWord.preempted) === 0
    );
  }

  /** The thread had another CPU before. */
  wouldMove(vcpu: number, cpu: number): boolean {
    const before = this.vcpu(vcpu, VcpuWord.cpu);
    return before >= 0 && before !== cpu;
  }

  /** Whose thread a CPU runs; -1 for none. */
  currentOf(cpu: number): number {
    for (let vcpu = 0; vcpu < this.vcpus; vcpu++) {
      if (this.vcpu(vcpu, VcpuWord.loaded) === 1 && this.cpuOf(vcpu) === cpu) return vcpu;
    }
    return -1;
  }

  // How it begins.

  #begin(posts: number, bySoftware: number, budgets: Size): void {
    const state = this.state;
    const { at } = this.#table;
    const { assigned, beside, last } = this.play;
    state.set(state.vmAt(0) + VmWord.bypass, Number(assigned));
    for (let entry = 0; entry < this.entries; entry++) this.#setUp(entry, assigned);
    for (let cpu = 0; cpu < this.cpus; cpu++) state.set(this.handlerAt(cpu) + FrameWord.cpu, cpu);
    for (let vcpu = 0; vcpu < this.vcpus; vcpu++) {
      state.resetDescriptor(vcpu);
      const own = this.ownAt(vcpu);
      state.set(own + Own.halts, budgets.halts);
      state.set(own + Own.preemptions, budgets.preemptions);
      state.set(own + Own.migrations, budgets.migrations);
      const thread = this.threadAt(vcpu);
      state.set(thread + FrameWord.vcpu, vcpu);
      state.set(thread + FrameWord.resume, at.choose);
      if (vcpu >= this.cpus) continue;
      // It has a CPU, and is about to be loaded there.
      state.set(state.vcpuAt(vcpu) + VcpuWord.loaded, 1);
      state.set(thread + FrameWord.step, at["schedule-in"]);
      state.set(thread + FrameWord.cpu, vcpu);
    }
    for (let other = 0; other < this.others; other++) {
      const frame = this.otherAt(other);
      const post = other < posts;
      const device = other < posts - bySoftware;
      const step = device ? "device-request" : post ? "software-set-pir" : beside[other - posts]!;
      state.set(frame + FrameWord.step, at[step]);
      state.set(frame + FrameWord.vcpu, post ? other % this.vcpus : 0);
      state.set(frame + FrameWord.entry, device ? other : 0);
      state.set(frame + FrameWord.vector, vectorOf(step === "assign-count" ? 0 : other));
      if (step === "irte-ask-remapped" && last === true)
        state.set(frame + FrameWord.back, at["release-count"]);
      // Of an entry that stays as it is it is known what the unit finds.
      if (device && (!this.changes || other > 0)) this.#begun(frame);
    }
  }

  #begun(frame: number): void {
    this.words[frame] = this.#table.steps[this.words[frame]!]!.act(this.state, frame);
  }

  /** The entry is the host's, or KVM has made it a vCPU's. */
  #setUp(entry: number, posted: boolean): void {
    const state = this.state;
    const frame = this.handlerAt(0);
    state.set(state.irteAt(entry) + IrteWord.host, irte.P_MASK | (0x30 << irte.VV_SHIFT));
    state.set(frame + FrameWord.vcpu, entry % this.vcpus);
    state.set(frame + FrameWord.entry, entry);
    state.set(frame + FrameWord.vector, vectorOf(entry));
    let next = vmxPosting.at[posted ? "irte-ask-posted" : "irte-ask-remapped"];
    while (next !== done) next = vmxPosting.run(state, frame, next);
    this.words.fill(0, frame, frame + frameStride);
  }
}
