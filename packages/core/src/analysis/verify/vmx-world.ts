import { done } from "../../linux/posting/step.ts";
import type { PostingState } from "../../linux/posting/posting-state.ts";
import { vmxPosting } from "../../linux/posting/vmx-table.ts";
import { FrameWord, VcpuWord, frameStride } from "../../linux/posting/words.ts";
import type { Size } from "./protocol.ts";
import type { Seen } from "./seen.ts";
import { VmxCast, type VmxTable, pending } from "./vmx-cast.ts";
import { Kind, actorOf, codeOf, happenings } from "./vmx-codes.ts";
import { lookAtVmx } from "./vmx-look.ts";
import { Mover, moversOf } from "./vmx-movers.ts";
import { Own, handlerLive } from "./vmx-pack.ts";
import { VmxParts } from "./vmx-parts.ts";
import type { VmxPlay } from "./vmx-plays.ts";
import { vmxProperties, wrongIn } from "./vmx-verdict.ts";
import type { Move, Signal, ToldWorld } from "./world.ts";

/**
 * vCPUs of one VM, each with its thread, on CPUs that run one thread at a time, and whoever else plays: all do the
 * steps of the table that scenarios run.
 *
 * A move is one step that counts and those around it of which nobody can tell when they happen: see {@link moversOf}.
 */
export class VmxWorld implements ToldWorld {
  readonly words: Int32Array;
  readonly live: readonly number[];
  readonly parts: readonly (readonly number[])[];
  readonly packs: readonly boolean[];
  readonly properties: readonly string[] = vmxProperties;
  readonly endless = "endless wakeup";
  readonly mostMoves: number;
  /** Words that change and that nobody asks for. */
  readonly unasked: readonly number[];
  readonly #cast: VmxCast;
  readonly #parts: VmxParts;
  readonly #table: VmxTable;
  readonly #choose: number;
  /** By step: what it does; steps are objects of many shapes. */
  readonly #acts: readonly ((this: void, state: PostingState, frame: number) => number)[];
  /** By step: what {@link Mover} it is; a thread that stands before it can be preempted. */
  readonly #movers: Uint8Array;
  readonly #preemptible: Uint8Array;
  /** By step: parts that it may change beside that of its thread. */
  readonly #reach: Int32Array;
  /** Whose thread each CPU runs; -1 for none. */
  readonly #current: Int32Array;
  /** Parts that the move which is being made has touched. */
  #touched = 0;
  /** Steps of the move that is being described. */
  #trace: number[] | null = null;

  /** @param merging steps are put together to moves; without, every step is one. */
  constructor(table: VmxTable, play: VmxPlay, size: Size, merging = true) {
    const cast = new VmxCast(table, play, size);
    const parts = new VmxParts(cast);
    this.#table = table;
    this.#cast = cast;
    this.#parts = parts;
    this.words = cast.words;
    this.parts = parts.words;
    this.packs = parts.packs;
    this.unasked = parts.unasked;
    this.live = parts.words.flat().sort((one, other) => one - other);
    this.mostMoves = cast.others + 3 * cast.cpus + cast.vcpus * (cast.cpus + 3);
    this.#choose = table.at.choose;
    this.#acts = table.steps.map((step) => step.act);
    this.#movers = merging ? moversOf(table, play) : new Uint8Array(table.steps.length);
    this.#preemptible = Uint8Array.from(table.steps, ({ routine }) =>
      Number(!/sched|pi_|wakeup/.test(routine)),
    );
    this.#reach = parts.reachOf(table);
    this.#current = new Int32Array(cast.cpus);
  }

  pack(part: number): number {
    return this.#parts.pack(part);
  }

  unpack(part: number, packed: number): void {
    this.#parts.unpack(part, packed);
  }

  /** What the move that was made last has touched. */
  touches(): number {
    return this.#touched;
  }

  wrong(): number {
    return wrongIn(this.#cast);
  }

  look(): readonly Seen[] {
    return lookAtVmx(this.#cast);
  }

  get heard(): Signal[] | null {
    return this.#cast.heard;
  }

  set heard(heard: Signal[] | null) {
    this.#cast.heard = heard;
  }

  // What can happen.

  moves(codes: Int32Array): number {
    const { words } = this;
    let count = 0;
    for (let i = 0; i < this.#cast.others; i++) {
      if (words[this.#cast.otherAt(i)] !== done) codes[count++] = codeOf(Kind.other, i);
    }
    const current = this.#current;
    for (let cpu = 0; cpu < this.#cast.cpus; cpu++) current[cpu] = -1;
    for (let vcpu = 0; vcpu < this.#cast.vcpus; vcpu++) {
      if (this.#cast.vcpu(vcpu, VcpuWord.loaded) === 1) current[this.#cast.cpuOf(vcpu)] = vcpu;
    }
    for (let cpu = 0; cpu < this.#cast.cpus; cpu++) {
      if (words[this.#cast.handlerAt(cpu)] !== done) codes[count++] = codeOf(Kind.handler, cpu);
      else if (words[this.#cast.apics + cpu] !== 0) count = this.#interrupts(cpu, codes, count);
    }
    for (let vcpu = 0; vcpu < this.#cast.vcpus; vcpu++) {
      if (this.#cast.vcpu(vcpu, VcpuWord.loaded) === 0) count = this.#scheduling(vcpu, codes, count);
      else if (words[this.#cast.handlerAt(this.#cast.cpuOf(vcpu))] === done) {
        count = this.#threadMoves(vcpu, codes, count);
      }
    }
    return count;
  }

  #interrupts(cpu: number, codes: Int32Array, from: number): number {
    const waits = this.words[this.#cast.apics + cpu]!;
    const vcpu = this.#current[cpu]!;
    let count = from;
    if (vcpu >= 0 && this.#cast.isInGuest(vcpu)) {
      const kind = (waits & pending.notification) !== 0 ? Kind.acknowledge : Kind.exit;
      codes[count++] = codeOf(kind, cpu);
      return count;
    }
    if (vcpu >= 0 && this.#cast.vcpu(vcpu, VcpuWord.interruptsOff) === 1) return count;
    if ((waits & pending.notification) !== 0) codes[count++] = codeOf(Kind.hostNotification, cpu);
    if ((waits & pending.wakeup) !== 0) codes[count++] = codeOf(Kind.wakeup, cpu);
    if ((waits & pending.other) !== 0) codes[count++] = codeOf(Kind.otherInterrupt, cpu);
    return count;
  }

  #scheduling(vcpu: number, codes: Int32Array, from: number): number {
    let count = from;
    if (this.#cast.isAsleep(vcpu)) return count;
    for (let cpu = 0; cpu < this.#cast.cpus; cpu++) {
      if (this.#current[cpu]! >= 0) continue;
      if (this.#cast.wouldMove(vcpu, cpu) && this.words[this.#cast.ownAt(vcpu) + Own.migrations] === 0)
        continue;
      codes[count++] = codeOf(Kind.schedule, vcpu, cpu);
    }
    return count;
  }

  #threadMoves(vcpu: number, codes: Int32Array, from: number): number {
    const { words } = this;
    const own = this.#cast.ownAt(vcpu);
    let count = from;
    if (this.#cast.isInGuest(vcpu)) {
      if (words[own + Own.irr] !== 0) {
        codes[count++] = codeOf(Kind.takes, vcpu);
        return count;
      }
      if (words[own + Own.halts]! > 0) codes[count++] = codeOf(Kind.halts, vcpu);
      if (words[own + Own.preemptions]! > 0) codes[count++] = codeOf(Kind.preemptGuest, vcpu);
      return count;
    }
    const step = words[this.#cast.threadAt(vcpu)]!;
    const reschedule = words[own + Own.reschedule] === 1;
    if (step === this.#choose) {
      // What has arrived by now is taken now: what is to arrive later is sent later.
      if (words[this.#cast.apics + this.#cast.cpuOf(vcpu)] !== 0) return count;
      if (reschedule) {
        codes[count++] = codeOf(Kind.reschedule, vcpu);
        return count;
      }
    }
    const preemptible = this.#preemptible[step] === 1 && this.#cast.vcpu(vcpu, VcpuWord.interruptsOff) === 0;
    if (preemptible && !reschedule && words[own + Own.preemptions]! > 0) {
      codes[count++] = codeOf(Kind.preempt, vcpu);
    }
    codes[count++] = codeOf(Kind.thread, vcpu);
    return count;
  }

  // What then happens.

  play(move: number): void {
    const { words } = this;
    const { at } = this.#table;
    const index = (move >>> 4) & 15;
    this.#touched = 0;
    switch (move >>> 8) {
      case Kind.other:
        return this.#go(this.#cast.otherAt(index), 1 << (this.#parts.other + index));
      case Kind.handler:
        return this.#go(this.#cast.handlerAt(index), 1 << (this.#parts.cpu + index));
      case Kind.thread:
        return this.#go(this.#cast.threadAt(index), 3 << (2 * index));
      case Kind.acknowledge:
        return this.#handle(index, at["processor-acknowledge"]);
      case Kind.hostNotification:
        return this.#handle(index, at["host-notification"]);
      case Kind.wakeup:
        return this.#handle(index, at["wakeup-acknowledge"]);
      case Kind.otherInterrupt:
        this.#touched = 1 << (this.#parts.cpu + index);
        words[this.#cast.apics + index]! &= ~pending.other;
        return;
      case Kind.exit:
        return this.#exit(this.#cast.currentOf(index), false);
      case Kind.schedule:
        return this.#place(index, move & 15);
      case Kind.takes:
        this.#touched = 1 << (this.#parts.descriptor + index);
        words[this.#cast.ownAt(index) + Own.irr] = 0;
        return;
      case Kind.halts:
        this.#spend(index, Own.halts);
        return this.#exit(index, true);
      case Kind.preemptGuest:
        this.#spend(index, Own.preemptions);
        words[this.#cast.ownAt(index) + Own.reschedule] = 1;
        return this.#exit(index, false);
      case Kind.preempt:
        this.#spend(index, Own.preemptions);
        return this.#preempt(index);
      default:
        this.#touched |= 1 << (2 * index);
        words[this.#cast.ownAt(index) + Own.reschedule] = 0;
        return this.#preempt(index);
    }
  }

  #spend(vcpu: number, budget: number): void {
    this.#touched |= 1 << (2 * vcpu);
    this.words[this.#cast.ownAt(vcpu) + budget]! -= 1;
  }

  /** A thread does its next step, and what follows in the same move. @param part a bit for where its frame is. */
  #go(frame: number, part: number): void {
    const { words } = this;
    const acts = this.#acts;
    const movers = this.#movers;
    const reach = this.#reach;
    let touched = this.#touched | part;
    let next = words[frame]!;
    /** What the next step has to be to go on: anything, until one that counts has been done. */
    let wanted: number = Mover.right;
    for (;;) {
      this.#trace?.push(next);
      touched |= reach[next]!;
      if ((movers[next]! & Mover.right) === 0) wanted = Mover.left;
      next = acts[next]!(this.#cast.state, frame);
      if (next === done || (wanted === Mover.left && (movers[next]! & Mover.left) === 0)) break;
    }
    this.#touched = touched;
    words[frame] = next;
    // Registers of a thread that has come to its end mean nothing, and a vCPU's has not.
    if (next !== done || frame < this.#cast.handlers) return;
    const live =
      frame < this.#cast.firstOther
        ? handlerLive
        : this.#parts.live((frame - this.#cast.firstOther) / frameStride);
    for (let i = 0; i < live.length; i++) words[frame + live[i]!] = 0;
  }

  #startThread(vcpu: number, step: number): void {
    const frame = this.#cast.threadAt(vcpu);
    this.words[frame] = step;
    this.#go(frame, 3 << (2 * vcpu));
  }

  #handle(cpu: number, step: number): void {
    this.words[this.#cast.handlerAt(cpu) + FrameWord.vcpu] = Math.max(0, this.#cast.currentOf(cpu));
    this.words[this.#cast.handlerAt(cpu)] = step;
    this.#go(this.#cast.handlerAt(cpu), 1 << (this.#parts.cpu + cpu));
  }

  #exit(vcpu: number, halts: boolean): void {
    const at = this.#cast.state.vcpuAt(vcpu);
    this.words[at + VcpuWord.interruptsOff] = 1;
    if (halts) this.words[at + VcpuWord.halted] = 1;
    this.#startThread(vcpu, this.#table.at["exit-leave-guest"]);
  }

  #place(vcpu: number, cpu: number): void {
    if (this.#cast.wouldMove(vcpu, cpu)) this.#spend(vcpu, Own.migrations);
    this.words[this.#cast.threadAt(vcpu) + FrameWord.cpu] = cpu;
    this.#startThread(vcpu, this.#table.at["schedule-in"]);
  }

  #preempt(vcpu: number): void {
    const thread = this.#cast.threadAt(vcpu);
    this.words[thread + FrameWord.resume] = this.words[thread]!;
    this.#startThread(vcpu, this.#table.at.preempt);
  }

  // In words.

  describe(move: number): Move {
    const before = this.words.slice();
    this.#trace = [];
    this.play(move);
    this.words.set(before);
    const { ids, steps } = this.#table;
    // A step that is left out is not done.
    const real = this.#trace.filter((number) => steps[number] === vmxPosting.steps[number]);
    const [first, ...behind] = real;
    this.#trace = null;
    const told = (number: number) => ({ step: ids[number - 1]!, does: steps[number]!.does });
    const rest = behind.map(told);
    const shown = happenings[move >>> 8];
    const actor = actorOf(this.#cast, move);
    if (shown !== undefined) {
      const all = first === undefined ? [] : [told(first), ...rest];
      return { actor, ...shown, ...(all.length > 0 && { rest: all }) };
    }
    // A step that is left out, where each is a move.
    if (first === undefined) return { actor, routine: "", step: "nothing", does: "The routine goes on." };
    const { routine } = steps[first]!;
    return { actor, routine, ...told(first), ...(rest.length > 0 && { rest }) };
  }
}
