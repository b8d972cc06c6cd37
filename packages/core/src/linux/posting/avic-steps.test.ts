import { describe, expect, test } from "vitest";
import { AvicEntryWord, AvicLogWord, type AvicPort, AvicState, AvicVcpuWord } from "./avic-state.ts";
import type { AvicStepId } from "./avic-steps.ts";
import { avicPosting } from "./avic-table.ts";
import { done } from "./step.ts";
import { threadStep } from "./thread-steps.ts";
import { EntryWord, FrameWord } from "./words.ts";

function bench(entries = 3) {
  const requested: number[] = [];
  const rung: number[] = [];
  const port = {
    hasInterrupt: () => false,
    request: (_vcpu: number, vector: number) => void requested.push(vector),
    doorbell: (apicId: number) => void rung.push(apicId),
    logged: () => {},
    woken: () => {},
  } as unknown as AvicPort;
  const state = new AvicState({ vcpus: 2, cpus: 1, vms: 1, entries, others: 1 }, port);
  state.resetAvic(0, 0x1000);
  state.resetAvic(1, 0x2000);
  const frame = state.otherAt(0);
  const run = (
    from: AvicStepId,
    entry: number,
    registers: Partial<Record<keyof typeof FrameWord, number>> = {},
  ): void => {
    state.set(frame + FrameWord.entry, entry);
    for (const [word, value] of Object.entries(registers)) {
      state.set(frame + FrameWord[word as keyof typeof FrameWord], value);
    }
    for (let next = avicPosting.at[from]; next !== done;) next = avicPosting.run(state, frame, next);
  };
  const word = (entry: number, of: keyof typeof AvicEntryWord) => state.ofEntry(entry, AvicEntryWord[of]);
  return { state, requested, rung, frame, run, word };
}

describe("an entry", () => {
  test("that is taken away from a vCPU is the host's again", () => {
    const { state, run } = bench();
    for (const entry of [0, 1, 2]) run("assign-lock", entry);
    expect(state.posting).toBe(3);
    for (const entry of [1, 0, 2]) run("release-leave-list", entry);
    expect([state.posting, state.get(state.avicAt(0) + AvicVcpuWord.list)]).toEqual([0, 0]);
  });

  test("that is pointed at another vCPU leaves the list of the first", () => {
    const { state, run } = bench(1);
    run("assign-lock", 0);
    run("release-leave-list", 0, { vcpu: 1, back: avicPosting.at["assign-lock"] });
    expect(state.get(state.entryAt(0) + EntryWord.posted)).toBe(2);
    expect([0, 1].map((vcpu) => state.get(state.avicAt(vcpu) + AvicVcpuWord.list))).toEqual([0, 1]);
  });

  test("of the host gets a new target; one in guest mode keeps the one that it has", () => {
    const b = bench(1);
    b.state.setOfEntry(0, AvicEntryWord.held, 1);
    b.run("affinity-lock", 0);
    expect([b.word(0, "vcpu"), b.word(0, "held")]).toEqual([-1, 0]);
    b.run("assign-lock", 0);
    b.state.setOfEntry(0, AvicEntryWord.held, 2);
    b.run("affinity-lock", 0);
    expect([b.word(0, "vcpu"), b.word(0, "held"), b.word(0, "lock")]).toEqual([0, 2, 0]);
  });

  test("stays enabled when it begins to post", () => {
    const b = bench(1);
    b.run("assign-lock", 0);
    expect(b.word(0, "disabled")).toBe(0);
  });
});

describe("a device's interrupt", () => {
  test("of an entry of the host is given to the vCPU by KVM", () => {
    const { run, requested, state, frame } = bench(1);
    run("device-request", 0, { vector: 5, cpu: 1 });
    expect([requested, state.get(frame + FrameWord.back)]).toEqual([[5], 0]);
  });

  test("rings where its vCPU runs, and is logged where it sleeps", () => {
    const { run, requested, rung, state } = bench(1);
    run("assign-lock", 0);
    state.setOfEntry(0, AvicEntryWord.isRun, 1);
    state.setOfEntry(0, AvicEntryWord.destination, 7);
    run("device-request", 0, { vector: 5 });
    state.setOfEntry(0, AvicEntryWord.isRun, 0);
    run("device-request", 0, { vector: 6 });
    expect([requested, rung, state.get(state.avicAt(0) + AvicVcpuWord.log)]).toEqual([[5, 6], [7], 0]);
    state.setOfEntry(0, AvicEntryWord.gaLogIntr, 1);
    run("device-request", 0, { vector: 7 });
    expect([rung, state.get(state.avicAt(0) + AvicVcpuWord.log)]).toEqual([[7], 1]);
    expect(state.get(state.logAt + AvicLogWord.raised)).toBe(1);
  });

  test("of an entry that the unit keeps goes where that one went", () => {
    const { run, requested, state } = bench(1);
    run("device-request", 0, { vector: 5, cpu: 1 });
    state.setOfEntry(0, AvicEntryWord.vcpu, 1);
    run("device-request", 0, { vector: 6, cpu: 1, vcpu: 0 });
    expect([requested, state.get(state.otherAt(0) + FrameWord.vcpu)]).toEqual([[5, 6], 0]);
  });
});

describe("the table of AVIC", () => {
  test("has the steps that can be left out, each with what comes of it", () => {
    expect([...avicPosting.removable].sort()).toEqual([
      "assign-lock",
      "assign-read-place",
      "block-hold-cpu",
      "block-stop-running",
      "entry-invalidate",
      "guest-mode-guard",
      "keep-remapen",
      "load-lock",
      "load-test-blocking",
      "load-update-entries",
      "log-clear-interrupt",
      "log-test-again",
      "put-clear-running",
      "put-update-entries",
      "release-leave-list",
      "software-doorbell",
    ]);
  });

  test("numbers a thread's steps as every table does, and each step once", () => {
    for (const [id, number] of Object.entries(threadStep)) expect(avicPosting.ids[number - 1]).toBe(id);
    expect(new Set(avicPosting.ids).size).toBe(avicPosting.ids.length);
    expect(avicPosting.ids.every((id) => /^[a-z]+(-[a-z]+)*$/.test(id))).toBe(true);
  });

  test("says of each step in one sentence what it does, which can be read by itself", () => {
    for (const { does, leftOut } of avicPosting.steps.slice(1)) {
      expect(does).toMatch(/^[A-Z][^.]*\.$/);
      expect(does).not.toMatch(/^Its?\b/);
      if (leftOut !== undefined) expect(leftOut.bug).toMatch(/^[A-Z].*\.$/);
    }
  });
});
