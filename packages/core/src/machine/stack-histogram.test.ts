import { describe, expect, test } from "vitest";
import {
  type CallListener,
  Calls,
  type Compiled,
  type Space,
  Thread,
  underSymbol,
} from "../hardware/call-stack.ts";
import { CallListeners } from "./call-listeners.ts";
import { StackHistogram, type StackHistogramOptions } from "./stack-histogram.ts";

function fn(
  name: string,
  space: Space,
  body: (caller: { calls: Calls }) => void = () => {},
  compiled: Compiled = {},
) {
  return underSymbol({ ...compiled, name, space }, body);
}

/** A histogram of some symbols, and the calls that it listens to. */
function listening(
  symbols: string[],
  options?: StackHistogramOptions,
): { histogram: StackHistogram; calls: Calls } {
  const calls = new Calls({ kernel: "7.0", user: "9.2" });
  const histogram = new StackHistogram(calls, symbols, options);
  calls.listener = histogram;
  return { histogram, calls };
}

const inner = fn("inner", "kernel");
const outer = fn("outer", "kernel", inner);
const other = fn("other", "kernel", inner);
const sysCall = fn("entry", "kernel", outer);
const main = fn("main", "user", sysCall);

describe("a histogram of stacks", () => {
  test("counts those of the chosen symbols, the commonest first, then the first seen", () => {
    const { histogram, calls } = listening(["inner"]);
    outer({ calls });
    inner({ calls });
    for (let i = 0; i < 3; i++) other({ calls });
    expect(histogram.counts()).toEqual([
      { frames: ["inner", "other"], count: 3 },
      { frames: ["inner", "outer"], count: 1 },
      { frames: ["inner"], count: 1 },
    ]);
  });

  test("prints as bpftrace does", () => {
    const { histogram, calls } = listening(["inner", "outer"]);
    outer({ calls });
    expect(histogram.print()).toBe("@[\n    outer\n]: 1\n\n@[\n    inner\n    outer\n]: 1\n");
  });

  test("has the kernel's frames for its symbols, the program's for those of the program", () => {
    const { histogram, calls } = listening(["inner", "main"]);
    main({ calls });
    expect(histogram.counts().map(({ frames }) => frames)).toEqual([["main"], ["inner", "outer", "entry"]]);
  });

  test("appends the program's frames on demand, of a stripped program one that is unknown", () => {
    const { histogram, calls } = listening(["inner"], { user: true });
    main({ calls });
    calls.run(new Thread("qemu", { stripped: true }), () => main({ calls }));
    expect(histogram.counts().map(({ frames }) => frames.slice(3))).toEqual([["main"], ["[unknown]"]]);
  });

  test("has no probe in a function without a frame of its own", () => {
    const { histogram, calls } = listening(["inlined", "main"]);
    fn("inlined", "kernel", () => {}, { inlined: true })({ calls });
    calls.run(new Thread("qemu", { stripped: true }), () => main({ calls }));
    expect(histogram.counts()).toEqual([]);
  });
});

test("several listeners hear every call, the first to hear its beginning hears its end last", () => {
  const heard: string[] = [];
  const listener = (name: string): CallListener => ({
    entered: (symbol) => heard.push(`${name}+${symbol.name}`),
    left: (symbol) => heard.push(`${name}-${symbol.name}`),
  });
  const calls = new Calls({ kernel: "7.0", user: "9.2" });
  calls.listener = new CallListeners([listener("a"), listener("b")]);
  outer({ calls });
  expect(heard).toEqual([
    "a+outer",
    "b+outer",
    "a+inner",
    "b+inner",
    "b-inner",
    "a-inner",
    "b-outer",
    "a-outer",
  ]);
});
