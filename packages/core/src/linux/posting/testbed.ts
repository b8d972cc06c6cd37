import * as irte from "../../spec/accessors/irte-posted.ts";
import * as pid from "../../spec/accessors/posted-descriptor.ts";
import { IrteWord } from "./irte-state.ts";
import { type PostingPort, PostingState, postedInterruptVector, wakeupVector } from "./posting-state.ts";
import { type StepTable, done } from "./step.ts";
import type { VmxStepId } from "./vmx-step-ids.ts";
import { vmxPosting } from "./vmx-table.ts";
import { FrameWord, VcpuWord, VmWord, frameStride } from "./words.ts";

export type Table = StepTable<PostingState, VmxStepId>;

/** What may happen, how often. */
export interface Play {
  /** First steps of devices, senders and of what KVM and the host do meanwhile. A device has an entry of its own, all others are about the first. */
  readonly others: readonly VmxStepId[];
  readonly halts: number;
  readonly preemptions: number;
  readonly migrations: number;
  /** A device is assigned from the start, its entries posted. */
  readonly assigned: boolean;
  /** The interrupt that KVM takes back was the last that might bypass the host. */
  readonly last?: boolean;
}

export const properties = [
  "on two wakeup lists",
  "entry in the wrong mode",
  "unit with an old entry",
  "notification to a CPU that cannot act on it",
  "lost interrupt",
  "endless wakeup",
] as const;

/** What must not be. */
export type Property = (typeof properties)[number];

const cpus = 2;
const pending = { notification: 1, wakeup: 2, other: 4 } as const;
/** Words beside the protocol's own: budgets, then what waits at each CPU's APIC, then the vCPU's IRR. */
const extra = { halts: 0, preemptions: 1, migrations: 2, reschedule: 3, apics: 4, irr: 4 + cpus } as const;
const extras = extra.irr + 1;

function bitOf(vector: number): number {
  if (vector === postedInterruptVector) return pending.notification;
  return vector === wakeupVector ? pending.wakeup : pending.other;
}

type Move = readonly [name: string, act: () => void];

/** One vCPU, two CPUs, and whoever else plays. */
export class Explorer {
  readonly state: PostingState;
  readonly more = new Int32Array(extras);
  readonly #table: Table;
  readonly #at: Readonly<Record<VmxStepId, number>>;
  readonly #others: number;

  constructor(play: Play, table: Table) {
    const { more } = this;
    const port: PostingPort = {
      sendIpi: (cpu, vector) => void (more[extra.apics + cpu]! |= bitOf(vector)),
      notify: (ndst, vector) => void (more[extra.apics + ndst]! |= bitOf(vector)),
      acknowledge: (cpu, vector) => void (more[extra.apics + cpu]! &= ~bitOf(vector)),
      destinationOf: (cpu) => cpu,
      hasInterrupt: () => more[extra.irr] !== 0,
      request: (_vcpu, _part, vectors) => void (more[extra.irr]! |= vectors),
      woken: () => {},
    };
    this.#table = table;
    this.#at = table.at;
    this.#others = play.others.length;
    const shape = { vcpus: 1, cpus, vms: 1, entries: this.#others, others: this.#others };
    this.state = new PostingState(shape, port, { quarters: 1 });
    this.#begin(play);
  }

  #begin(play: Play): void {
    const { state, more } = this;
    more.set([play.halts, play.preemptions, play.migrations]);
    state.resetDescriptor(0);
    state.set(state.vmAt(0) + VmWord.bypass, Number(play.assigned));
    for (let entry = 0; entry < this.#others; entry++) this.#setUp(entry, play.assigned);
    play.others.forEach((step, i) => {
      const frame = state.otherAt(i);
      this.#start(frame, step);
      state.set(frame + FrameWord.entry, step === "device-request" ? i : 0);
      state.set(frame + FrameWord.vector, vectorOf(i));
      if (step === "assign-count") state.set(frame + FrameWord.vector, vectorOf(0));
      if (step === "irte-ask-remapped" && play.last === true) {
        state.set(frame + FrameWord.back, this.#at["release-count"]);
      }
    });
    this.#start(state.threadAt(0), "schedule-in");
    state.set(state.threadAt(0) + FrameWord.resume, this.#at.choose);
  }

  /** The entry is the host's, or KVM has made it a vCPU's. */
  #setUp(entry: number, posted: boolean): void {
    const { state } = this;
    const frame = state.otherAt(0);
    state.set(state.irteAt(entry) + IrteWord.host, irte.P_MASK | (0x30 << irte.VV_SHIFT));
    state.set(frame + FrameWord.entry, entry);
    state.set(frame + FrameWord.vector, vectorOf(entry));
    let next = this.#at[posted ? "irte-ask-posted" : "irte-ask-remapped"];
    while (next !== done) next = vmxPosting.run(state, frame, next);
    this.#clear(frame);
  }

  #clear(frame: number): void {
    this.state.words.fill(0, frame, frame + frameStride);
  }

  #start(frame: number, step: VmxStepId): void {
    this.state.set(frame + FrameWord.step, this.#at[step]);
  }

  #step(frame: number): number {
    return this.state.get(frame + FrameWord.step);
  }

  #vcpu(word: number): number {
    return this.state.get(this.state.vcpuAt(0) + word);
  }

  /** A thread does its next step. */
  #go(frame: number): Move {
    const { state } = this;
    const { ids, steps } = this.#table;
    const at = this.#step(frame);
    const act = (): void => {
      let next = at;
      // Where the thread chooses, the host's interrupts and its scheduler come in.
      do next = steps[next]!.act(state, frame);
      while (steps[next]!.local === true && next !== this.#at.choose);
      state.set(frame + FrameWord.step, next);
      // Registers of a thread that has come to its end mean nothing.
      if (next === done && frame !== state.threadAt(0)) this.#clear(frame);
    };
    return [ids[at - 1]!, act];
  }

  /** Everything that can happen next. */
  moves(): Move[] {
    const { state } = this;
    const moves: Move[] = [];
    for (let i = 0; i < this.#others; i++)
      if (this.#step(state.otherAt(i)) !== done) moves.push(this.#go(state.otherAt(i)));
    const thread = state.threadAt(0);
    const on = this.#vcpu(VcpuWord.loaded) === 1 ? state.get(thread + FrameWord.cpu) : -1;
    for (let cpu = 0; cpu < cpus; cpu++) {
      const handler = state.handlerAt(cpu);
      if (this.#step(handler) !== done) moves.push(this.#go(handler));
      else moves.push(...this.#interrupts(cpu, on === cpu));
    }
    const handled = on >= 0 && this.#step(state.handlerAt(on)) !== done;
    if (on < 0 && this.#step(thread) === done) moves.push(...this.#scheduling());
    else if (!handled) moves.push(...this.#threadMoves());
    return moves;
  }

  #interrupts(cpu: number, current: boolean): Move[] {
    const { state, more } = this;
    const waits = more[extra.apics + cpu]!;
    const handler = state.handlerAt(cpu);
    const inGuest = current && this.#vcpu(VcpuWord.inGuest) === 1;
    const begin = (step: VmxStepId): Move => [
      `cpu${cpu}: ${step}`,
      () => {
        state.set(handler + FrameWord.cpu, cpu);
        state.set(handler + FrameWord.vcpu, 0);
        this.#start(handler, step);
      },
    ];
    if (inGuest && this.#step(state.threadAt(0)) === done) {
      if ((waits & pending.notification) !== 0) return [begin("processor-acknowledge")];
      return waits === 0 ? [] : [[`cpu${cpu}: exit`, () => this.#exit(false)]];
    }
    if (current && this.#vcpu(VcpuWord.interruptsOff) === 1) return [];
    const moves: Move[] = [];
    if ((waits & pending.notification) !== 0) moves.push(begin("host-notification"));
    if ((waits & pending.wakeup) !== 0) moves.push(begin("wakeup-acknowledge"));
    if ((waits & pending.other) !== 0) {
      moves.push([`cpu${cpu}: other`, () => void (more[extra.apics + cpu]! &= ~pending.other)]);
    }
    return moves;
  }

  #exit(halts: boolean): void {
    this.state.set(this.state.vcpuAt(0) + VcpuWord.interruptsOff, 1);
    if (halts) this.state.set(this.state.vcpuAt(0) + VcpuWord.halted, 1);
    this.#start(this.state.threadAt(0), "exit-leave-guest");
  }

  get #asleep(): boolean {
    return (
      [VcpuWord.loaded, VcpuWord.preempted].every((word) => this.#vcpu(word) === 0) &&
      this.#vcpu(VcpuWord.sleeping) === 1
    );
  }

  #scheduling(): Move[] {
    const { state, more } = this;
    if (this.#asleep) return [];
    const moves: Move[] = [];
    for (let cpu = 0; cpu < cpus; cpu++) {
      const moved = cpu !== this.#vcpu(VcpuWord.cpu);
      if (moved && more[extra.migrations] === 0) continue;
      moves.push([
        `schedule on cpu${cpu}`,
        () => {
          if (moved) more[extra.migrations]! -= 1;
          state.set(state.threadAt(0) + FrameWord.cpu, cpu);
          this.#start(state.threadAt(0), "schedule-in");
        },
      ]);
    }
    return moves;
  }

  #threadMoves(): Move[] {
    const { state, more } = this;
    const thread = state.threadAt(0);
    const moves: Move[] = [];
    if (this.#vcpu(VcpuWord.inGuest) === 1 && this.#step(thread) === done) {
      // The guest takes what it has.
      if (more[extra.irr] !== 0) return [["guest takes", () => void (more[extra.irr] = 0)]];
      const spend = (word: number, halts: boolean) => () => {
        more[word]! -= 1;
        if (!halts) more[extra.reschedule] = 1;
        this.#exit(halts);
      };
      if (more[extra.halts]! > 0) moves.push(["guest halts", spend(extra.halts, true)]);
      if (more[extra.preemptions]! > 0) moves.push(["preempted", spend(extra.preemptions, false)]);
      return moves;
    }
    const out = (): void => {
      state.set(thread + FrameWord.resume, this.#step(thread));
      this.#start(thread, "preempt");
    };
    if (this.#step(thread) === this.#at.choose) {
      // What has arrived by now is taken now: what is to arrive later is sent later.
      if (more[extra.apics + state.get(thread + FrameWord.cpu)] !== 0) return [];
      if (more[extra.reschedule] === 1) {
        return [["rescheduled", () => (out(), (more[extra.reschedule] = 0))]];
      }
    }
    const { routine } = this.#table.steps[this.#step(thread)]!;
    const preemptible =
      this.#vcpu(VcpuWord.interruptsOff) === 0 &&
      !/sched|pi_|wakeup/.test(routine) &&
      more[extra.reschedule] === 0;
    if (preemptible && more[extra.preemptions]! > 0) {
      moves.push(["preempted", () => (out(), (more[extra.preemptions]! -= 1))]);
    }
    moves.push(this.#go(thread));
    return moves;
  }

  /** What is wrong with a state, as far as one state tells. */
  wrong(): Property[] {
    const wrong: Property[] = this.#entries();
    if (this.#vcpu(VcpuWord.listed) > 1) wrong.push("on two wakeup lists");
    if (!this.#othersDone || this.#step(this.state.threadAt(0)) !== done) return wrong;
    if (this.#notifiesInVain) wrong.push("notification to a CPU that cannot act on it");
    if (this.#loses) wrong.push("lost interrupt");
    return wrong;
  }

  /** Entries that nobody is changing. */
  #entries(): Property[] {
    const { state } = this;
    const { words, irtes } = state;
    const wrong: Property[] = [];
    for (let entry = 0; entry < this.#others; entry++) {
      const driver = state.irteAt(entry);
      if (state.get(driver + IrteWord.lock) !== 0) continue;
      const table = irtes.tableAt(entry);
      const mode = irte.im(words, table);
      if (mode !== state.get(driver + IrteWord.asked)) wrong.push("entry in the wrong mode");
      if (this.#isOld(entry) || (mode === 0 && !irtes.drained(entry))) wrong.push("unit with an old entry");
    }
    return wrong;
  }

  /** The unit holds an entry that is not the table's. */
  #isOld(entry: number): boolean {
    const { words, irtes } = this.state;
    const held = irtes.heldAt(entry);
    if (irte.p(words, held) === 0) return false;
    for (let i = 0; i < irte.WORDS; i++) if (words[held + i] !== irtes.read(entry, i)) return true;
    return false;
  }

  get #othersDone(): boolean {
    for (let i = 0; i < this.#others; i++) if (this.#step(this.state.otherAt(i)) !== done) return false;
    return true;
  }

  /** The vCPU's thread is where it stays for a while: somebody has to be there for what is posted. */
  get #notifiesInVain(): boolean {
    const { state } = this;
    if (state.get(state.vmAt(0) + VmWord.bypass) === 0) return false;
    const at = state.descriptorAt(0);
    const nv = pid.nv(state.words, at);
    const ndst = pid.ndst(state.words, at);
    const wakes = nv === wakeupVector && state.isOnList(ndst, 0);
    const suppressed = pid.sn(state.words, at) === 1;
    if (this.#vcpu(VcpuWord.inGuest) === 1) {
      return suppressed || nv !== postedInterruptVector || ndst !== this.#vcpu(VcpuWord.cpu);
    }
    return this.#asleep && (suppressed || !wakes);
  }

  /** Nothing is on its way, something is left, and the vCPU will not look. */
  get #loses(): boolean {
    const { state, more } = this;
    for (let cpu = 0; cpu < cpus; cpu++) {
      if (more[extra.apics + cpu] !== 0 || this.#step(state.handlerAt(cpu)) !== done) return false;
    }
    const first = state.descriptorAt(0) + pid.PIR_WORD;
    const left = state.descriptors[first]! | state.descriptors[first + 1]! | more[extra.irr]!;
    const unaware = this.#vcpu(VcpuWord.inGuest) === 1 && more[extra.irr] === 0;
    return left !== 0 && (this.#asleep || unaware);
  }

  save(): Int32Array {
    const words = new Int32Array(this.state.words.length + extras);
    words.set(this.state.words);
    words.set(this.more, this.state.words.length);
    return words;
  }

  load(words: Int32Array): void {
    this.state.words.set(words.subarray(0, this.state.words.length));
    this.more.set(words.subarray(this.state.words.length));
  }
}

/** A guest's vector, by its device. */
function vectorOf(device: number): number {
  return 8 + device;
}
