import * as pid from "../../spec/accessors/posted-descriptor.ts";
import { describe, expect, test } from "vitest";
import { type PostingPort, PostingState, postedInterruptVector, wakeupVector } from "./posting-state.ts";
import { type StepTable, done } from "./step.ts";
import type { VmxStepId } from "./vmx-step-ids.ts";
import { vmxPosting } from "./vmx-table.ts";
import { EntryWord, FrameWord, VcpuWord, VmWord } from "./words.ts";

/** What may happen, how often. */
interface Play {
  /** First steps of devices, senders and of what KVM and the host do meanwhile. */
  readonly others: readonly VmxStepId[];
  readonly halts: number;
  readonly preemptions: number;
  readonly migrations: number;
  /** A device is assigned from the start, its entry posted. */
  readonly assigned: boolean;
}

const cpus = 2;
const pending = { notification: 1, wakeup: 2, other: 4 } as const;
/** Words beside the protocol's own: budgets, then what waits at each CPU's APIC, then the vCPU's IRR. */
const extra = { halts: 0, preemptions: 1, migrations: 2, reschedule: 3, apics: 4, irr: 4 + cpus } as const;
const extras = extra.irr + 1;

function bitOf(vector: number): number {
  if (vector === postedInterruptVector) return pending.notification;
  return vector === wakeupVector ? pending.wakeup : pending.other;
}

/** One vCPU, two CPUs, and whoever else plays: every interleaving of their steps, breadth first. */
class Explorer {
  readonly state: PostingState;
  readonly more = new Int32Array(extras);
  readonly #table: StepTable<PostingState, VmxStepId>;
  readonly #at: Readonly<Record<VmxStepId, number>>;
  readonly #others: number;

  constructor(play: Play, table: StepTable<PostingState, VmxStepId>) {
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
    const shape = { vcpus: 1, cpus, vms: 1, entries: 1, others: this.#others };
    this.state = new PostingState(shape, port, { quarters: 1 });
    this.#begin(play);
  }

  #begin(play: Play): void {
    const { state, more } = this;
    more.set([play.halts, play.preemptions, play.migrations]);
    state.resetDescriptor(0);
    state.set(state.vmAt(0) + VmWord.bypass, Number(play.assigned));
    for (const word of [EntryWord.posted, EntryWord.asked, EntryWord.guard]) {
      state.set(state.entryAt(0) + word, Number(play.assigned));
    }
    play.others.forEach((step, i) => {
      state.set(state.otherAt(i) + FrameWord.step, this.#at[step]);
      state.set(state.otherAt(i) + FrameWord.vector, 8 + i);
    });
    this.#start(state.threadAt(0), "schedule-in");
    state.set(state.threadAt(0) + FrameWord.resume, this.#at.choose);
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
  #go(frame: number): [string, () => void] {
    const { state } = this;
    const { ids, steps } = this.#table;
    const at = this.#step(frame);
    const act = (): void => {
      let next = at;
      do next = steps[next]!.act(state, frame);
      while (steps[next]!.local === true);
      state.set(frame + FrameWord.step, next);
      // Registers of a thread that has come to its end mean nothing.
      if (next === done && frame !== state.threadAt(0)) for (let i = 1; i < 9; i++) state.set(frame + i, 0);
    };
    return [ids[at - 1]!, act];
  }

  /** Everything that can happen next. */
  moves(): [string, () => void][] {
    const { state } = this;
    const moves: [string, () => void][] = [];
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

  #interrupts(cpu: number, current: boolean): [string, () => void][] {
    const { state, more } = this;
    const waits = more[extra.apics + cpu]!;
    const handler = state.handlerAt(cpu);
    const inGuest = current && this.#vcpu(VcpuWord.inGuest) === 1;
    const begin = (step: VmxStepId): [string, () => void] => [
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
    const moves: [string, () => void][] = [];
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

  #scheduling(): [string, () => void][] {
    const { state, more } = this;
    if (this.#asleep) return [];
    const moves: [string, () => void][] = [];
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

  #threadMoves(): [string, () => void][] {
    const { state, more } = this;
    const thread = state.threadAt(0);
    const moves: [string, () => void][] = [];
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
    if (more[extra.reschedule] === 1 && this.#step(thread) === this.#at.choose) {
      return [["rescheduled", () => (out(), (more[extra.reschedule] = 0))]];
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

  /** What is wrong with a state; undefined if nothing is. */
  wrong(): string | undefined {
    const { state, more } = this;
    if (this.#vcpu(VcpuWord.listed) > 1) return "on two wakeup lists";
    for (let i = 0; i < this.#others; i++) if (this.#step(state.otherAt(i)) !== done) return undefined;
    const entry = state.entryAt(0);
    if (state.get(entry + EntryWord.posted) !== state.get(entry + EntryWord.asked))
      return "entry in the wrong mode";
    for (let cpu = 0; cpu < cpus; cpu++) {
      if (more[extra.apics + cpu] !== 0 || this.#step(state.handlerAt(cpu)) !== done) return undefined;
    }
    const first = state.descriptorAt(0) + pid.PIR_WORD;
    if ((state.descriptors[first]! | state.descriptors[first + 1]! | more[extra.irr]!) === 0)
      return undefined;
    const unaware = this.#vcpu(VcpuWord.inGuest) === 1 && more[extra.irr] === 0;
    return this.#step(state.threadAt(0)) === done && (this.#asleep || unaware) ? "lost interrupt" : undefined;
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

interface Result {
  readonly states: number;
  readonly wrong: string | undefined;
  readonly path: readonly string[];
}

function explore(play: Play, table = vmxPosting): Result {
  const explorer = new Explorer(play, table);
  const states: Int32Array[] = [explorer.save()];
  const parents: number[] = [-1];
  const labels: string[] = [""];
  const seen = new Set<string>([keyOf(states[0]!)]);
  for (let i = 0; i < states.length; i++) {
    explorer.load(states[i]!);
    const wrong = explorer.wrong();
    if (wrong !== undefined) return { states: seen.size, wrong, path: pathTo(i, parents, labels) };
    for (let move = 0, moves = explorer.moves(); move < moves.length; move++) {
      if (move > 0) explorer.load(states[i]!);
      moves[move]![1]();
      const next = explorer.save();
      const key = keyOf(next);
      if (seen.has(key)) continue;
      seen.add(key);
      states.push(next);
      parents.push(i);
      labels.push(moves[move]![0]);
    }
    // What is behind is not needed any more.
    states[i] = empty;
  }
  return { states: seen.size, wrong: undefined, path: [] };
}

const empty = new Int32Array();

/** Most words are zero. */
function keyOf(words: Int32Array): string {
  let key = "";
  for (let i = 0; i < words.length; i++) {
    const word = words[i]!;
    if (word !== 0) key += String.fromCharCode(i, word & 0xffff, word >>> 16);
  }
  return key;
}

function pathTo(state: number, parents: readonly number[], labels: readonly string[]): string[] {
  const path: string[] = [];
  for (let i = state; parents[i]! >= 0; i = parents[i]!) path.unshift(labels[i]!);
  return path;
}

const posts: Play = {
  others: ["device-request", "device-request"],
  halts: 1,
  preemptions: 1,
  migrations: 1,
  assigned: true,
};

describe("two posts to a vCPU that halts, is preempted and moves between two CPUs", () => {
  test.each<[string, Play]>([
    ["from a device", posts],
    [
      "from a device and from software",
      { ...posts, others: ["device-request", "software-set-pir"], preemptions: 0 },
    ],
    [
      "while the first device is assigned",
      {
        ...posts,
        others: ["device-request", "assign-count"],
        assigned: false,
        preemptions: 0,
        migrations: 0,
      },
    ],
    ["while the host moves the interrupt", { ...posts, others: ["device-request", "posted-guard"] }],
    ["while KVM takes the interrupt back", { ...posts, others: ["device-request", "entry-ask-remapped"] }],
  ])("are never lost: %s", (_, play) => {
    const { wrong, path, states } = explore(play);
    expect({ wrong, path }).toEqual({ wrong: undefined, path: [] });
    expect(states).toBeGreaterThan(1000);
  });

  test.each<[VmxStepId, string, Partial<Play>]>([
    ["recompute-on", "lost interrupt", {}],
    ["self-ipi-at-block", "lost interrupt", {}],
    ["ndst-update", "lost interrupt", {}],
    ["kick-on-assign", "lost interrupt", { others: ["device-request", "assign-count"], assigned: false }],
    ["wakeup-list-once", "on two wakeup lists", { halts: 2 }],
    ["posted-guard", "entry in the wrong mode", { others: ["posted-guard"] }],
    ["sync-pir-on-entry", "lost interrupt", {}],
  ])("without %s: %s", (step, wrong, more) => {
    const result = explore({ ...posts, ...more }, vmxPosting.without(step));
    expect(result.wrong).toBe(wrong);
  });
});
