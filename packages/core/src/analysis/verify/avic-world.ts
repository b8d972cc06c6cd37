import { AvicEntryWord, AvicLogWord, type AvicPort, AvicState } from "../../linux/posting/avic-state.ts";
import type { AvicStepId } from "../../linux/posting/avic-steps.ts";
import { avicPosting } from "../../linux/posting/avic-table.ts";
import { done } from "../../linux/posting/step.ts";
import { EntryWord, FrameWord, VcpuWord, VmWord } from "../../linux/posting/words.ts";
import { lookAtAvic } from "./avic-look.ts";
import { SpareWord, spareStride } from "./avic-pack.ts";
import { AvicParts } from "./avic-parts.ts";
import type { AvicCast } from "./avic-plays.ts";
import { AvicVerdict, avicProperties } from "./avic-verdict.ts";
import type { Size } from "./protocol.ts";
import type { Seen } from "./seen.ts";
import type { Move, Signal, ToldWorld } from "./world.ts";

export type AvicTable = typeof avicPosting;

/** What a vCPU's thread can do beside its next step; then come the CPUs that it can get. */
const Kind = { step: 0, take: 1, halt: 2, interrupted: 3, preempted: 4, rescheduled: 5, cpu: 6 } as const;

/** Routines in which the scheduler can take the CPU from a thread, unless interrupts or preemption are off. */
const preemptible: ReadonlySet<string> = new Set([
  "vcpu_run",
  "kvm_vcpu_block",
  "kvm_vcpu_check_block",
  "vcpu_enter_guest",
]);

const backingPages = 0x10_0000;

/**
 * AVIC's protocol, its hardware, a scheduler and a guest. Each thread that is no vCPU's is on a CPU of its own, so that
 * nothing that it does makes a guest exit. A doorbell arrives when it is rung: one that comes late is one that is rung
 * late. The driver's handler of the guest log is one thread.
 */
export class AvicWorld implements ToldWorld {
  readonly words: Int32Array;
  readonly parts: readonly (readonly number[])[];
  readonly live: readonly number[];
  readonly packs: readonly boolean[];
  readonly properties: readonly string[] = avicProperties;
  readonly endless = "endless wakeup";
  readonly mostMoves: number;
  readonly #state: AvicState;
  readonly #table: AvicTable;
  readonly #cast: AvicCast;
  readonly #size: Size;
  readonly #kinds: number;
  /** By step: it follows in the same move; a thread can lose its CPU before it. */
  readonly #follows: Uint8Array;
  readonly #preemptible: Uint8Array;
  readonly #parts: AvicParts;
  readonly #verdict: AvicVerdict;
  readonly #touches: Int32Array;
  heard: Signal[] | null = null;
  #touched = -1;
  #touchedBy = -1;
  /** Steps of the move that is being described. */
  #trace: number[] | null = null;

  constructor(table: AvicTable, cast: AvicCast, size: Size) {
    const { vcpus, cpus } = size;
    const shape = { vcpus, cpus, vms: 1, entries: cast.entries, others: cast.others.length };
    this.#table = table;
    this.#cast = cast;
    this.#size = size;
    this.#kinds = Kind.cpu + cpus;
    this.mostMoves = cast.others.length + 1 + vcpus * this.#kinds;
    const muted = this.#muted();
    this.#follows = Uint8Array.from(table.steps, (step, number) => {
      const follows = step.local === true || muted.includes(table.ids[number - 1]!);
      // A step that is left out is none, unless it was the last: the end of a routine has a time of its own.
      const isNone = this.#isLeftOut(number) && step.leftOut!.to !== done;
      return Number((follows && number !== table.at.choose) || isNone);
    });
    this.#preemptible = Uint8Array.from(table.steps, ({ routine }) => (preemptible.has(routine) ? 1 : 0));
    this.#state = new AvicState(shape, this.#port(), { spare: vcpus * spareStride });
    this.words = this.#state.words;
    this.#verdict = new AvicVerdict(this.#state);
    this.#parts = new AvicParts(this.#state, table);
    this.parts = this.#parts.words;
    this.packs = this.parts.map(() => true);
    this.live = this.parts.flat().toSorted((one, other) => one - other);
    this.#touches = this.#parts.touchedBy;
    this.#begin();
  }

  #isLeftOut(step: number): boolean {
    return this.#table.steps[step] !== avicPosting.steps[step];
  }

  /** Entries change. */
  get #changes(): boolean {
    return this.#cast.others.some(({ actor }) => actor === "kvm");
  }

  /** Steps that are local in this play, since nobody else plays who looks at what they change. */
  #muted(): AvicStepId[] {
    const froms = new Set(this.#cast.others.map(({ from }) => from));
    // Nobody requests anything of a vCPU.
    const muted: AvicStepId[] = ["entry-test-requests"];
    if (!this.#changes) muted.push("load-lock", "load-unlock", "put-lock", "put-unlock");
    if (!froms.has("ipi-request")) muted.push("put-clear-running");
    if (!froms.has("device-request")) muted.push("load-update-entries", "put-update-entries");
    if (!this.#changes && !froms.has("ipi-request") && !froms.has("software-request")) {
      muted.push("entry-mark-in-guest", "exit-mark-outside", "schedule-loaded", "load-set-running");
    }
    return muted;
  }

  #port(): AvicPort {
    return {
      sendIpi: () => {},
      hasInterrupt: (vcpu) => this.#spare(vcpu, SpareWord.irr) !== 0,
      woken: (vcpu) => void this.heard?.push({ to: `vcpu ${vcpu}`, what: "wake-up" }),
      apicIdOf: (cpu) => cpu,
      request: (vcpu, vector) => {
        this.heard?.push({ to: `vcpu ${vcpu}`, what: "IRR" });
        this.words[this.#spareAt(vcpu) + SpareWord.irr]! |= 1 << vector;
        this.words[this.#spareAt(vcpu) + SpareWord.noticed] = 0;
      },
      doorbell: (apicId) => this.#ring(apicId),
      evaluate: (vcpu) => this.#notice(vcpu),
      placed: () => {},
      logged: () => void this.heard?.push({ to: "guest log", what: "interrupt" }),
    };
  }

  #begin(): void {
    const state = this.#state;
    const size = this.#size;
    const cast = this.#cast;
    const { at } = this.#table;
    state.set(state.vmAt(0) + VmWord.ipiVirtualization, 1);
    for (let vcpu = 0; vcpu < size.vcpus; vcpu++) {
      state.resetVcpu(vcpu, 0);
      state.resetAvic(vcpu, backingPages + vcpu * 0x1000);
      // Nobody has run yet, and all want to.
      state.set(state.vcpuAt(vcpu) + VcpuWord.cpu, vcpu % size.cpus);
      state.set(state.vcpuAt(vcpu) + VcpuWord.preempted, 1);
      state.set(state.threadAt(vcpu) + FrameWord.vcpu, vcpu);
      state.set(state.threadAt(vcpu) + FrameWord.resume, at.choose);
      const spare = this.#spareAt(vcpu);
      state.set(spare + SpareWord.halts, size.halts);
      state.set(spare + SpareWord.preemptions, cast.keepsCpus ? 0 : size.preemptions);
      state.set(spare + SpareWord.migrations, cast.keepsCpus ? 0 : size.migrations);
    }
    for (let entry = 0; entry < cast.posted; entry++) {
      const vcpu = entry % size.vcpus;
      state.setOfEntry(entry, AvicEntryWord.vcpu, vcpu);
      state.set(state.entryAt(entry) + EntryWord.posted, vcpu + 1);
      state.set(state.entryAt(entry) + EntryWord.asked, vcpu + 1);
      state.addToIrList(vcpu, entry);
    }
    for (const [i, { from, vcpu, entry, back }] of cast.others.entries()) {
      const frame = state.otherAt(i);
      state.set(frame + FrameWord.step, at[from]);
      state.set(frame + FrameWord.vcpu, vcpu);
      state.set(frame + FrameWord.cpu, size.cpus + i);
      state.set(frame + FrameWord.vector, i);
      state.set(frame + FrameWord.entry, entry);
      state.set(frame + FrameWord.back, back === undefined ? done : at[back]);
      // While entries stay as they are, what the unit finds is known.
      if (from === "device-request" && !this.#changes) this.#go(frame, 0);
    }
  }

  #spareAt(vcpu: number): number {
    return this.#state.spareAt + vcpu * spareStride;
  }

  #spare(vcpu: number, word: number): number {
    return this.words[this.#spareAt(vcpu) + word]!;
  }

  #vcpu(vcpu: number, word: number): number {
    return this.words[this.#state.vcpuAt(vcpu) + word]!;
  }

  #step(frame: number): number {
    return this.words[frame + FrameWord.step]!;
  }

  /** A doorbell arrives: by the table's step, if a guest runs there. */
  #ring(apicId: number): void {
    const state = this.#state;
    this.heard?.push({ to: `cpu ${apicId}`, what: "doorbell" });
    for (let vcpu = 0; vcpu < this.#size.vcpus; vcpu++) {
      if (this.#vcpu(vcpu, VcpuWord.inGuest) === 0 || this.#vcpu(vcpu, VcpuWord.cpu) !== apicId) continue;
      this.#table.steps[this.#table.at["doorbell-evaluate"]]!.act(state, state.threadAt(vcpu));
    }
  }

  #notice(vcpu: number): void {
    this.words[this.#spareAt(vcpu) + SpareWord.noticed] = this.#spare(vcpu, SpareWord.irr) !== 0 ? 1 : 0;
  }

  // What can happen.

  moves(codes: Int32Array): number {
    const state = this.#state;
    const { others } = this.#cast;
    const masks = this.#cast.masked;
    let count = 0;
    for (let i = 0; i < others.length; i++) {
      const step = this.#step(state.otherAt(i));
      if (step === done || (masks && !this.#unmasked(i))) continue;
      codes[count++] = i;
    }
    const raised = this.words[state.logAt + AvicLogWord.raised]!;
    if (this.#step(state.handlerAt(0)) !== done || raised !== 0) codes[count++] = others.length;
    for (let vcpu = 0; vcpu < this.#size.vcpus; vcpu++) count = this.#threadMoves(vcpu, codes, count);
    return count;
  }

  /** Devices and KVM keep out of each other's way: whoever is on its way is let through. */
  #unmasked(other: number): boolean {
    const changes = !this.#isDevice(other);
    if (this.#hasBegun(other) || this.#cast.others[other]!.actor === "host") return true;
    for (let i = 0; i < this.#cast.others.length; i++) {
      if (this.#cast.others[i]!.actor === "host" || this.#isDevice(i) !== changes) continue;
      if (this.#hasBegun(i) && this.#step(this.#state.otherAt(i)) !== done) return false;
    }
    return true;
  }

  #isDevice(other: number): boolean {
    return this.#cast.others[other]!.from === "device-request";
  }

  #hasBegun(other: number): boolean {
    return this.#step(this.#state.otherAt(other)) !== this.#table.at[this.#cast.others[other]!.from];
  }

  #threadMoves(vcpu: number, codes: Int32Array, from: number): number {
    const state = this.#state;
    const frame = state.threadAt(vcpu);
    const step = this.#step(frame);
    const base = this.#cast.others.length + 1 + vcpu * this.#kinds;
    let count = from;
    if (step === done) {
      if (this.#vcpu(vcpu, VcpuWord.inGuest) === 1) return this.#guestMoves(vcpu, base, codes, count);
      return this.#scheduling(vcpu, base, codes, count);
    }
    if (step === this.#table.at.choose && this.#spare(vcpu, SpareWord.reschedule) === 1) {
      codes[count++] = base + Kind.rescheduled;
      return count;
    }
    codes[count++] = base + Kind.step;
    if (
      this.#preemptible[step] === 1 &&
      this.#spare(vcpu, SpareWord.preemptions) > 0 &&
      this.#spare(vcpu, SpareWord.reschedule) === 0 &&
      this.#vcpu(vcpu, VcpuWord.interruptsOff) === 0 &&
      this.#vcpu(vcpu, VcpuWord.preemptionOff) === 0
    ) {
      codes[count++] = base + Kind.preempted;
    }
    return count;
  }

  #guestMoves(vcpu: number, base: number, codes: Int32Array, from: number): number {
    let count = from;
    if (this.#spare(vcpu, SpareWord.noticed) === 1) {
      codes[count++] = base + Kind.take;
      return count;
    }
    if (this.#spare(vcpu, SpareWord.halts) > 0) codes[count++] = base + Kind.halt;
    if (this.#spare(vcpu, SpareWord.preemptions) > 0) codes[count++] = base + Kind.interrupted;
    return count;
  }

  /** A thread without a CPU gets one that is free. */
  #scheduling(vcpu: number, base: number, codes: Int32Array, from: number): number {
    let count = from;
    if (this.#verdict.isAsleep(vcpu)) return count;
    const last = this.#vcpu(vcpu, VcpuWord.cpu);
    const moves = this.#spare(vcpu, SpareWord.migrations) > 0;
    for (let cpu = 0; cpu < this.#size.cpus; cpu++) {
      if ((cpu !== last && !moves) || this.#isTaken(cpu)) continue;
      codes[count++] = base + Kind.cpu + cpu;
    }
    return count;
  }

  #isTaken(cpu: number): boolean {
    for (let vcpu = 0; vcpu < this.#size.vcpus; vcpu++) {
      if (this.#vcpu(vcpu, VcpuWord.loaded) === 0 && this.#step(this.#state.threadAt(vcpu)) === done)
        continue;
      if (this.words[this.#state.threadAt(vcpu) + FrameWord.cpu] === cpu) return true;
    }
    return false;
  }

  // What happens.

  play(code: number): void {
    const state = this.#state;
    const others = this.#cast.others.length;
    this.#touchedBy = code;
    if (code < others) {
      this.#go(state.otherAt(code), this.#parts.ofOther(code));
      return;
    }
    if (code === others) {
      this.#handle();
      return;
    }
    const vcpu = Math.trunc((code - others - 1) / this.#kinds);
    const kind = (code - others - 1) % this.#kinds;
    const own = this.#parts.ofThread(vcpu);
    if (kind === Kind.step) {
      this.#go(state.threadAt(vcpu), own);
      return;
    }
    this.#touched = own;
    this.#happen(vcpu, kind);
  }

  /** A thread does its next step, and those after it of which nobody can tell when they happen. */
  #go(frame: number, own: number): void {
    const { at } = this.#table;
    const first = this.#step(frame);
    this.#touched = own;
    this.#act(frame, first);
    // VMRUN looks at the backing page.
    if (first === at["entry-resume"]) this.#notice(this.words[frame + FrameWord.vcpu]!);
  }

  #handle(): void {
    const state = this.#state;
    const frame = state.handlerAt(0);
    if (this.#step(frame) === done) {
      this.words[state.logAt + AvicLogWord.raised] = 0;
      this.words[frame + FrameWord.step] = this.#table.at["log-clear-interrupt"];
    }
    this.#go(frame, this.#parts.ofLog);
    if (this.#step(frame) === done) this.words[frame + FrameWord.vcpu] = 0;
  }

  #happen(vcpu: number, kind: number): void {
    const { words } = this;
    const { at } = this.#table;
    const frame = this.#state.threadAt(vcpu);
    const spare = this.#spareAt(vcpu);
    switch (kind) {
      case Kind.take:
        words[spare + SpareWord.irr] = 0;
        words[spare + SpareWord.noticed] = 0;
        return;
      case Kind.halt:
        words[spare + SpareWord.halts]! -= 1;
        words[this.#state.vcpuAt(vcpu) + VcpuWord.halted] = 1;
        this.#exit(vcpu);
        return;
      case Kind.interrupted:
        words[spare + SpareWord.preemptions]! -= 1;
        words[spare + SpareWord.reschedule] = 1;
        this.#exit(vcpu);
        return;
      case Kind.preempted:
      case Kind.rescheduled:
        if (kind === Kind.preempted) words[spare + SpareWord.preemptions]! -= 1;
        words[spare + SpareWord.reschedule] = 0;
        words[frame + FrameWord.resume] = this.#step(frame);
        this.#act(frame, at.preempt);
        return;
      default:
        this.#schedule(vcpu, kind - Kind.cpu);
    }
  }

  #exit(vcpu: number): void {
    this.words[this.#state.vcpuAt(vcpu) + VcpuWord.interruptsOff] = 1;
    this.words[this.#spareAt(vcpu) + SpareWord.noticed] = 0;
    this.#act(this.#state.threadAt(vcpu), this.#table.at["exit-leave-guest"]);
  }

  #schedule(vcpu: number, cpu: number): void {
    const frame = this.#state.threadAt(vcpu);
    if (cpu !== this.#vcpu(vcpu, VcpuWord.cpu)) this.words[this.#spareAt(vcpu) + SpareWord.migrations]! -= 1;
    this.words[frame + FrameWord.cpu] = cpu;
    this.#act(frame, this.#table.at["schedule-in"]);
  }

  /** A thread does a step, and those that follow. @returns the step before which it stands then. */
  #act(frame: number, from: number): number {
    const { steps } = this.#table;
    const state = this.#state;
    let next = from;
    let counts = false;
    do {
      if (this.#isLeftOut(next)) next = steps[next]!.act(state, frame);
      else {
        counts = true;
        this.#trace?.push(next);
        this.#touched |= this.#touches[next]!;
        next = steps[next]!.act(state, frame);
      }
    } while (this.#follows[next] === 1 || (!counts && next !== done));
    this.words[frame + FrameWord.step] = next;
    return next;
  }

  /** Of the move that was played last; of any other everything. */
  touches(code: number): number {
    return code === this.#touchedBy ? this.#touched : -1;
  }

  pack(part: number): number {
    return this.#parts.pack(part);
  }

  unpack(part: number, packed: number): void {
    this.#parts.unpack(part, packed);
  }

  wrong(): number {
    return this.#verdict.wrong();
  }

  look(): readonly Seen[] {
    return lookAtAvic(this.#state, this.#cast, (vcpu) => this.#verdict.isAsleep(vcpu));
  }

  // What a counterexample says.

  describe(code: number): Move {
    const before = this.words.slice();
    this.#trace = [];
    this.play(code);
    const [first, ...rest] = this.#trace;
    this.#trace = null;
    this.words.set(before);
    const { ids, steps } = this.#table;
    const told = (step: number) => ({ step: ids[step - 1]!, does: steps[step]!.does });
    const others = this.#cast.others.length;
    const vcpu = Math.trunc((code - others - 1) / this.#kinds);
    const kind = code <= others ? Kind.step : (code - others - 1) % this.#kinds;
    if (kind === Kind.step) {
      const actor =
        code < others ? this.#cast.others[code]!.actor : code === others ? "guest log" : `vcpu ${vcpu}`;
      if (first === undefined) return { actor, ...ends };
      return {
        actor,
        routine: steps[first]!.routine,
        ...told(first),
        ...(rest.length > 0 && { rest: rest.map(told) }),
      };
    }
    const all = first === undefined ? [] : [first, ...rest].map(told);
    const happening = happenings[kind] ?? scheduled(kind - Kind.cpu);
    return { actor: `vcpu ${vcpu}`, ...happening, ...(all.length > 0 && { rest: all }) };
  }
}

/** In place of a last step that is left out. */
const ends: Omit<Move, "actor"> = { step: "routine ends", routine: "", does: "The routine ends." };

function scheduled(cpu: number): Omit<Move, "actor"> {
  return { step: `scheduled on cpu ${cpu}`, routine: "scheduler", does: `The thread gets CPU ${cpu}.` };
}

const happenings: readonly (Omit<Move, "actor"> | null)[] = [
  null,
  {
    step: "guest takes",
    routine: "hardware: guest mode",
    does: "The guest's processor delivers what its backing page holds.",
  },
  { step: "guest halts", routine: "guest", does: "The guest executes HLT, which exits." },
  {
    step: "guest is interrupted",
    routine: "hardware: guest mode",
    does: "The host's timer makes the guest exit, and its thread is to give up its CPU.",
  },
  { step: "preempted", routine: "scheduler", does: "Another thread wants the CPU, and gets it." },
  { step: "rescheduled", routine: "scheduler", does: "The thread gives up its CPU, as it was told to." },
];
