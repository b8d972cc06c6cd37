import { describe, expect, test } from "vitest";
import { StepTable, done } from "./step.ts";
import { threadStep } from "./thread-steps.ts";
import { vmxPosting } from "./vmx-table.ts";

interface Trace {
  readonly seen: string[];
}

const table = new StepTable<Trace, "a" | "b" | "c">(["a", "b", "c"], {
  a: { routine: "one", does: "A.", act: ({ seen }) => (seen.push("a"), 2) },
  b: {
    routine: "one",
    does: "B.",
    leftOut: { to: 3, bug: "B is missed." },
    act: ({ seen }) => (seen.push("b"), 3),
  },
  c: { routine: "two", does: "C.", act: ({ seen }) => (seen.push("c"), done) },
});

describe("a table of steps", () => {
  test("runs a routine until it ends, or goes on in another", () => {
    const trace: Trace = { seen: [] };
    expect([table.run(trace, 0, 1), trace.seen]).toEqual([3, ["a", "b"]]);
    expect([table.run(trace, 0, 3), trace.seen]).toEqual([done, ["a", "b", "c"]]);
  });

  test("passes over a step that is left out, and only in the copy", () => {
    const trace: Trace = { seen: [] };
    expect([table.without("b").run(trace, 0, 1), trace.seen]).toEqual([3, ["a"]]);
    table.run(trace, 0, 1);
    expect(trace.seen).toEqual(["a", "a", "b"]);
  });

  test("says which steps can be left out", () => {
    expect(table.removable).toEqual(["b"]);
    expect(() => table.without("a")).toThrow("step a: one of b was expected");
  });
});

describe("the table of VMX", () => {
  test("has the steps that can be left out, each with the bug that its absence was", () => {
    expect([...vmxPosting.removable].sort()).toEqual([
      "irte-invalidate",
      "kick-on-assign",
      "ndst-update",
      "posted-guard",
      "recompute-on",
      "self-ipi-at-block",
      "sync-pir-on-entry",
      "wakeup-list-once",
    ]);
  });

  test("numbers a thread's steps as every table does, and each step once", () => {
    for (const [id, number] of Object.entries(threadStep)) expect(vmxPosting.ids[number - 1]).toBe(id);
    expect(new Set(vmxPosting.ids).size).toBe(vmxPosting.ids.length);
    expect(vmxPosting.ids.every((id) => /^[a-z]+(-[a-z]+)*$/.test(id))).toBe(true);
  });

  test("says of each step in one sentence what it does, which can be read by itself", () => {
    for (const { does } of vmxPosting.steps.slice(1)) {
      expect(does).toMatch(/^[A-Z][^.]*\.$/);
      expect(does).not.toMatch(/^Its?\b/);
    }
  });
});
