import { describe, expect, test } from "vitest";
import { Calls, type Compiled, Thread, underSymbol, within } from "./call-stack.ts";

/** Calls functions of those names and marks inside one another, and tells the frames seen in the innermost. */
function framesIn(functions: Readonly<Record<string, Compiled>>, release = "7.0"): string[] {
  const calls = new Calls({ kernel: release, user: "9.2" });
  calls.listener = { entered: () => {}, left: () => {} };
  const names = Object.keys(functions);
  const call = (depth: number): string[] => {
    const name = names[depth];
    if (name === undefined) return calls.frames("kernel");
    return underSymbol({ ...functions[name], name, space: "kernel" }, () => call(depth + 1))({ calls });
  };
  return call(0);
}

describe("frames", () => {
  test.each([
    [{ outer: {}, inner: {} }, ["inner", "outer"]],
    [{ outer: {}, middle: { inlined: true }, inner: {} }, ["inner", "outer"]],
    [{ outer: {}, middle: { inlined: { below: "6.0" } }, inner: {} }, ["inner", "middle", "outer"]],
    [{ outer: {}, middle: { inlined: { from: "6.12" } }, inner: {} }, ["inner", "outer"]],
    [{ outer: { tailCalls: { inner: true } }, inner: {} }, ["inner"]],
    [{ outer: { tailCalls: { inner: { from: "7.1" } } }, inner: {} }, ["inner", "outer"]],
    [{ outer: { tailCalls: { other: true } }, inner: {} }, ["inner", "outer"]],
    [{ outer: { tailCalls: { inner: true } }, middle: { inlined: true }, inner: {} }, ["inner"]],
    [
      { first: { tailCalls: { second: true } }, second: { tailCalls: { third: true } }, third: {} },
      ["third"],
    ],
    [{ outer: { split: true }, inner: {} }, ["inner", "outer", "outer"]],
  ] as const)("of %o are %j", (functions, frames) => {
    expect(framesIn(functions)).toEqual(frames);
  });

  test("are the current thread's, each space by itself", () => {
    const calls = new Calls({ kernel: "7.0", user: "9.2" });
    calls.listener = { entered: () => {}, left: () => {} };
    const seen: string[][] = [];
    const look = (): void => {
      seen.push([...calls.frames("kernel"), "|", ...calls.frames("user")]);
    };
    const worker = new Thread("worker");
    const inWorker = underSymbol({ name: "work", space: "kernel" }, look);
    const main = underSymbol({ name: "main", space: "user" }, () => {
      calls.run(worker, () => inWorker({ calls }));
      look();
    });
    main({ calls });
    look();
    expect(seen).toEqual([["work", "|"], ["|", "main"], ["|"]]);
    expect(calls.current.name).toBe("swapper/0");
  });

  test("of a program without symbols are one unknown frame", () => {
    const calls = new Calls({ kernel: "5.4", user: "4.2" }, new Thread("vmm", { stripped: true }));
    expect(calls.frames("user")).toEqual(["[unknown]"]);
  });
});

describe("a listener", () => {
  test("hears of calls as they begin and end, also where they throw", () => {
    const calls = new Calls({ kernel: "7.0", user: "9.2" });
    const heard: string[] = [];
    calls.listener = {
      entered: ({ name }, thread) => heard.push(`${thread.name}: ${name}`),
      left: ({ name }) => heard.push(`/${name}`),
    };
    const fails = underSymbol({ name: "fails", space: "kernel" }, () => {
      throw new Error("no");
    });
    expect(() => fails({ calls })).toThrow("no");
    expect(heard).toEqual(["swapper/0: fails", "/fails"]);
    expect(calls.frames("kernel")).toEqual([]);
  });

  test("that is not there costs no frames", () => {
    const calls = new Calls({ kernel: "7.0", user: "9.2" });
    const frames = underSymbol({ name: "alone", space: "kernel" }, () => calls.frames("kernel"));
    expect(frames({ calls })).toEqual([]);
  });
});

test.each([
  ["6.12", { from: "6.2" }, true],
  ["6.12", { from: "6.12", below: "7.0" }, true],
  ["5.4", { from: "6.2" }, false],
  ["7.0", { below: "7.0" }, false],
  ["7", { from: "7.0" }, true],
  ["10.0", { below: "9.2" }, false],
] as const)("release %s within %o: %s", (release, releases, expected) => {
  expect(within(release, releases)).toBe(expected);
});
