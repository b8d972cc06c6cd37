import { describe, expect, test } from "vitest";
import { type AvicPort, AvicEntryWord, AvicState, AvicVcpuWord } from "./avic-state.ts";
import type { AvicStepId } from "./avic-steps.ts";
import { avicPosting } from "./avic-table.ts";
import { type StepTable, done } from "./step.ts";
import { FrameWord, VcpuWord, VmWord } from "./words.ts";

const cpus = 2;
/** Words beside the protocol's own: IRR, whether the processor has looked at it, and what may still happen. */
const extra = { irr: 0, noticed: 1, halts: 2, preemptions: 3 } as const;

/** What happens beside the vCPU: first steps of devices, senders and KVM. */
interface Play {
  readonly others: readonly AvicStepId[];
  readonly halts?: number;
  readonly preemptions?: number;
  /** The entry posts to the vCPU from the start. */
  readonly assigned?: boolean;
  /** Once it does, the device has an interrupt. */
  readonly deviceFollows?: boolean;
}

type Move = readonly [name: string, act: () => void];

/** One vCPU, two CPUs and one entry: every interleaving of their steps. @returns moves to an interrupt that is lost. */
function explore(play: Play, table: StepTable<AvicState, AvicStepId> = avicPosting): string[] | null {
  const more = new Int32Array(4);
  const shape = { vcpus: 1, cpus, vms: 1, entries: 1, others: play.others.length };
  const port: AvicPort = {
    sendIpi: () => {},
    hasInterrupt: () => more[extra.irr] !== 0,
    woken: () => {},
    apicIdOf: (cpu) => cpu,
    request: () => void (more[extra.irr] = 1),
    doorbell(apicId) {
      const inGuest = vcpu(VcpuWord.inGuest) === 1;
      if (inGuest && vcpu(VcpuWord.cpu) === apicId) more[extra.noticed] = 1;
    },
    evaluate: () => void (more[extra.noticed] = 1),
    placed: () => {},
    logged: () => {},
  };
  const state = new AvicState(shape, port);
  const { at, ids, steps } = table;
  const vcpu = (word: number): number => state.get(state.vcpuAt(0) + word);
  const thread = state.threadAt(0);
  const handler = state.handlerAt(0);

  const stepOf = (frame: number): number => state.get(frame + FrameWord.step);
  const start = (frame: number, id: AvicStepId): void => state.set(frame + FrameWord.step, at[id]);
  const go = (frame: number): Move => {
    const number = stepOf(frame);
    return [
      ids[number - 1]!,
      () => {
        const next = steps[number]!.act(state, frame);
        state.set(frame + FrameWord.step, next);
        if (number === at["assign-unlock"] && play.deviceFollows === true) start(frame, "device-request");
        if (next === done && number === at["entry-resume"]) more[extra.noticed] = more[extra.irr]!;
      },
    ];
  };

  state.resetAvic(0, 0x1000);
  state.set(state.vmAt(0) + VmWord.ipiVirtualization, 1);
  more.set([play.halts ?? 1, play.preemptions ?? 1], extra.halts);
  if (play.assigned ?? true) {
    state.setOfEntry(0, AvicEntryWord.vcpu, 0);
    state.addToIrList(0, 0);
  }
  play.others.forEach((id, i) => {
    start(state.otherAt(i), id);
    // Whoever sends is on a CPU of its own.
    state.set(state.otherAt(i) + FrameWord.cpu, cpus + i);
  });
  start(thread, "schedule-in");
  state.set(thread + FrameWord.resume, at.choose);

  function exit(halts: boolean): void {
    more[halts ? extra.halts : extra.preemptions]! -= 1;
    state.set(state.vcpuAt(0) + VcpuWord.halted, Number(halts));
    more[extra.noticed] = 0;
    start(thread, "exit-leave-guest");
  }

  function threadMoves(): Move[] {
    if (stepOf(thread) !== done) return [go(thread)];
    if (vcpu(VcpuWord.inGuest) === 1) {
      if (more[extra.noticed] === 1 && more[extra.irr] === 1) {
        return [["guest takes", () => void more.fill(0, extra.irr, extra.noticed + 1)]];
      }
      const moves: Move[] = [];
      if (more[extra.halts]! > 0) moves.push(["guest halts", () => exit(true)]);
      if (more[extra.preemptions]! > 0) moves.push(["guest exits", () => exit(false)]);
      return moves;
    }
    if (vcpu(VcpuWord.loaded) === 1) {
      // Out of the guest: a preempted thread leaves its CPU, a halted one chooses.
      if (vcpu(VcpuWord.halted) === 1) return [["choose", () => start(thread, "choose")]];
      const preempted = (): void => {
        state.set(thread + FrameWord.resume, at.choose);
        start(thread, "preempt");
      };
      return [["preempted", preempted]];
    }
    if (vcpu(VcpuWord.sleeping) === 1 && vcpu(VcpuWord.preempted) === 0) return [];
    return Array.from({ length: cpus }, (_, cpu): Move => [
      `schedule on ${cpu}`,
      () => {
        state.set(thread + FrameWord.cpu, cpu);
        start(thread, "schedule-in");
      },
    ]);
  }

  function moves(): Move[] {
    const all = threadMoves();
    for (let i = 0; i < play.others.length; i++) {
      if (stepOf(state.otherAt(i)) !== done) all.push(go(state.otherAt(i)));
    }
    if (stepOf(handler) !== done) all.push(go(handler));
    else if (state.get(state.avicAt(0) + AvicVcpuWord.log) === 1) {
      all.push(["guest log interrupt", () => start(handler, "log-poll")]);
    }
    return all;
  }

  const key = (): string => `${state.words.join()};${more.join()}`;
  const save = (): [Int32Array, Int32Array] => [state.words.slice(), more.slice()];
  const restore = ([words, rest]: [Int32Array, Int32Array]): void => {
    state.words.set(words);
    more.set(rest);
  };
  const seen = new Set<string>([key()]);
  const open: { readonly at: [Int32Array, Int32Array]; readonly path: readonly string[] }[] = [
    { at: save(), path: [] },
  ];
  while (open.length > 0) {
    const { at: from, path } = open.pop()!;
    restore(from);
    let moved = false;
    for (const i of moves().keys()) {
      restore(from);
      const [name, act] = moves()[i]!;
      act();
      const reached = key();
      if (reached === `${from[0].join()};${from[1].join()}`) continue;
      // What the guest need not do helps nobody.
      moved ||= name !== "guest halts" && name !== "guest exits";
      if (seen.has(reached)) continue;
      seen.add(reached);
      open.push({ at: save(), path: [...path, name] });
    }
    restore(from);
    // What nobody has noticed by then is lost.
    if (!moved && more[extra.irr] === 1) return [...path];
  }
  return null;
}

describe("no interrupt is lost", () => {
  test.each<[string, Play]>([
    ["of a device", { others: ["device-request"] }],
    ["of two devices", { others: ["device-request", "device-request"], halts: 2 }],
    ["of KVM", { others: ["software-request"], halts: 2 }],
    ["of another vCPU", { others: ["ipi-request"], halts: 2 }],
    ["of a device and a vCPU at once", { others: ["device-request", "ipi-request"] }],
    [
      "that is pointed at the vCPU meanwhile",
      { others: ["assign-lock", "software-request"], assigned: false },
    ],
  ])("%s", (_what, play) => {
    expect(explore(play)).toBeNull();
  });
});

describe("each step that can be left out is needed", () => {
  test.each<[AvicStepId, Play]>([
    ["put-update-entries", { others: ["device-request"] }],
    ["load-update-entries", { others: ["device-request"] }],
    ["put-clear-running", { others: ["ipi-request"] }],
    ["assign-lock", { others: ["assign-lock"], assigned: false, deviceFollows: true }],
    ["software-doorbell", { others: ["software-request"] }],
  ])("%s", (id, play) => {
    expect(explore(play, avicPosting.without(id))).not.toBeNull();
  });

  test("and has the bug that it was", () => {
    expect(avicPosting.removable).toEqual([
      "load-update-entries",
      "put-update-entries",
      "put-clear-running",
      "software-doorbell",
      "assign-lock",
    ]);
  });
});

test("an interrupt that is taken away from a vCPU is the host's again", () => {
  const port = { hasInterrupt: () => false } as unknown as AvicPort;
  const state = new AvicState({ vcpus: 1, cpus: 1, vms: 1, entries: 3, others: 1 }, port);
  state.resetAvic(0, 0x1000);
  const frame = state.otherAt(0);
  const run = (entry: number, from: AvicStepId): void => {
    state.set(frame + FrameWord.entry, entry);
    for (let next = avicPosting.at[from]; next !== done;) next = avicPosting.run(state, frame, next);
  };
  for (const entry of [0, 1, 2]) run(entry, "assign-lock");
  expect(state.posting).toBe(3);
  for (const entry of [1, 0, 2]) run(entry, "release-leave-list");
  expect([state.posting, state.get(state.avicAt(0) + AvicVcpuWord.list)]).toEqual([0, 0]);
});
