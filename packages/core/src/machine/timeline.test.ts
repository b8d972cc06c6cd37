import { spawnSync } from "node:child_process";
import { describe, expect, test } from "vitest";
import { Calls, Thread, underSymbol } from "../hardware/call-stack.ts";
import { type EventName, type Observer, eventKinds } from "../hardware/event.ts";
import { Clock } from "./clock.ts";
import { costs } from "./cost.ts";
import { PerfettoWriter } from "./perfetto.ts";
import { collect, readTrace } from "./perfetto/testbed.ts";
import { Timeline } from "./timeline.ts";

interface Scene {
  readonly clock: Clock;
  readonly timeline: Timeline;
  readonly calls: Calls;
  /** Reports an event with some values. */
  readonly report: (kind: EventName, ...values: number[]) => void;
  /** Calls a function. */
  readonly call: (name: string, body?: () => void) => void;
  /** Calls an entry of the IDT. */
  readonly interrupt: (name: string, body?: () => void) => void;
}

function reporter(observer: Observer): Scene["report"] {
  return (kind, a = 0, b = 0, c = 0, d = 0, e = 0, f = 0) =>
    observer.record(eventKinds[kind], a, b, c, d, e, f);
}

function traceOf(act: (scene: Scene) => void): ReturnType<typeof readTrace> {
  const trace = collect();
  const clock = new Clock();
  const timeline = new Timeline(
    clock,
    new PerfettoWriter((bytes) => trace.sink(bytes)),
    new Map([[12, "HLT"]]),
  );
  const calls = new Calls({ kernel: "7.0", user: "9.2" });
  calls.listener = timeline;
  const call: Scene["call"] = (name, body = () => {}) => {
    underSymbol({ name, space: "kernel" }, body)({ calls });
  };
  const interrupt: Scene["interrupt"] = (name, body = () => {}) => {
    underSymbol({ name, space: "kernel", idtEntry: true }, body)({ calls });
  };
  act({ clock, timeline, calls, report: reporter(timeline), call, interrupt });
  timeline.finish();
  return readTrace(trace.bytes());
}

/** The events that a flow passes, in their order. */
function path({ events }: ReturnType<typeof readTrace>, flow: number): string[] {
  return events
    .filter(({ flows, lastFlows }) => flows.includes(flow) || lastFlows.includes(flow))
    .map(({ track, name, lastFlows }) => `${track}: ${name}${lastFlows.length > 0 ? " (end)" : ""}`);
}

const device = 0x4200;

describe("flows", () => {
  test("lead from an MSI write through the unit and the processor to the handler", () => {
    const trace = traceOf(({ report, call, interrupt }) => {
      report("request", device, 0xfee00000 | 0, 0);
      report("entry", 5, 1);
      report("remapped", 3, 0, 0, 0, 0x31, 0);
      report("accepted", 3, 0x31, 0, 0);
      call("something_else");
      report("acknowledged", 3, 0x31);
      interrupt("asm_common_interrupt", () => call("common_interrupt"));
    });
    expect(path(trace, 1)).toEqual([
      "42:00.0: MSI write",
      "unit: interrupt request",
      "unit: remapped",
      "APIC 3: vector 31h",
      "swapper/0: asm_common_interrupt (end)",
    ]);
  });

  test("pass the calls in which a guest is left for the interrupt", () => {
    const trace = traceOf(({ report, call, interrupt }) => {
      report("vmEntry", 0, 3);
      report("request", device, 0, 0);
      report("remapped", 3, 0, 0, 0, 0x31, 0);
      report("accepted", 3, 0x31, 0, 0);
      report("acknowledged", 3, 0x31);
      report("vmExit", 0, 3, 1);
      call("vcpu_enter_guest", () => interrupt("asm_common_interrupt", () => interrupt("asm_sysvec_other")));
    });
    expect(path(trace, 1).slice(-2)).toEqual(["APIC 3: vector 31h", "swapper/0: asm_common_interrupt (end)"]);
  });

  test("lead through a descriptor to the vCPU that owns it", () => {
    const trace = traceOf(({ report, timeline }) => {
      timeline.vcpu(0, "guest vCPU 0", 0x1000);
      timeline.vcpu(1, "guest vCPU 1", 0x2000);
      for (const descriptor of [0x1000, 0x2000]) {
        report("request", device, 0, 0);
        report("posted", descriptor, 0, 0x41, 1, 0);
        report("accepted", 2, 0xf2, 0, 0);
      }
      report("virtual", 1, 0x41);
      report("virtual", 0, 0x41);
      report("virtual", 0, 0x41);
    });
    expect(path(trace, 1).slice(2)).toEqual([
      "unit: posted",
      "APIC 2: vector f2h",
      "guest vCPU 0: virtual vector 41h (end)",
    ]);
    expect(path(trace, 2).at(-1)).toBe("guest vCPU 1: virtual vector 41h (end)");
  });

  test("of a vCPU that nobody named are found by the vector", () => {
    const trace = traceOf(({ report }) => {
      report("request", device, 0, 0);
      report("posted", 0x3000, 0, 0x41, 0, 0);
      report("virtual", 7, 0x41);
    });
    expect(path(trace, 1).at(-1)).toBe("vCPU 7: virtual vector 41h (end)");
  });

  test("end at the fault of a request that is blocked", () => {
    const trace = traceOf(({ report, timeline }) => {
      timeline.device(device, "hostile");
      report("request", device, 0, 0);
      report("fault", 0x25, device, -1, 1);
      report("accepted", 0, 0x30, 0, 0);
    });
    expect(path(trace, 1)).toEqual(["hostile: MSI write", "unit: interrupt request", "unit: blocked (end)"]);
    expect(trace.events.find(({ name }) => name === "blocked")!.values).toEqual({
      reason: 0x25n,
      requester: BigInt(device),
      recorded: 1n,
    });
  });

  test.each<[outcome: EventName, values: number[], follows: string[]]>([
    ["fault", [0x25, device, -1, 1], ["unit: blocked (end)"]],
    ["remapped", [3, 0, 0, 0, 0x31, 0], ["unit: remapped", "APIC 3: vector 31h"]],
    ["passed", [0, 0], ["unit: passed", "APIC 3: vector 31h"]],
    ["posted", [0x1000, 0, 0x41, 1, 1], ["unit: posted", "APIC 3: vector 31h"]],
    ["posted", [0x1000, 0, 0x41, 0, 1], ["unit: posted"]],
  ])("keep to their request when the unit interrupts first: %s %j", (outcome, values, follows) => {
    const trace = traceOf(({ report }) => {
      report("request", device, 0, 0);
      report("event");
      report("accepted", 0, 0x20, 0, 0);
      report(outcome, ...values);
      report("accepted", 3, 0x31, 0, 0);
    });
    expect(path(trace, 1)).toEqual(["42:00.0: MSI write", "unit: interrupt request", ...follows]);
  });

  test.each<[string, (scene: Scene) => void]>([
    [
      "an IPI after a call",
      ({ call, report }) => (call("native_send_ipi"), report("accepted", 0, 0xfd, 0, 0)),
    ],
    ["a unit's own interrupt", ({ report }) => (report("event"), report("accepted", 0, 0x24, 0, 0))],
    ["one after a post without notification", ({ report }) => report("accepted", 0, 0xf2, 0, 0)],
  ])("do not lead to %s", (_, act) => {
    const trace = traceOf((scene) => {
      scene.report("request", device, 0, 0);
      scene.report("posted", 0x1000, 0, 0x41, 0, 0);
      act(scene);
    });
    expect(path(trace, 1)).toEqual(["42:00.0: MSI write", "unit: interrupt request", "unit: posted"]);
  });
});

describe("slices", () => {
  test("of calls stand inside one another on their thread, at the clock's time", () => {
    const trace = traceOf(({ clock, calls, call }) => {
      calls.run(new Thread("qemu"), () =>
        call("outer", () => {
          clock.charge(costs.syscall);
          call("inner");
          clock.wait(20);
        }),
      );
    });
    expect(trace.events.map(({ type, time, track, name }) => [type, time, track, name])).toEqual([
      ["begin", 0, "qemu", "outer"],
      ["begin", 80, "qemu", "inner"],
      ["end", 80, "qemu", ""],
      ["end", 100, "qemu", ""],
    ]);
    expect(trace.tracks.at(-1)).toEqual({ name: "qemu", parent: "threads", rank: 0 });
  });

  test("of guest mode stand on the vCPU's and on the processor's track", () => {
    const trace = traceOf(({ report, clock }) => {
      report("vmEntry", 0, 4);
      clock.wait(10);
      report("vmExit", 0, 4, 12);
      report("vmEntry", 0, 4);
      report("vmExit", 0, 4, 13);
    });
    expect(trace.events.map(({ type, track, name }) => `${type} ${track} ${name}`)).toEqual([
      "begin vCPU 0 guest mode",
      "begin APIC 4 guest mode",
      "end APIC 4 ",
      "end vCPU 0 ",
      "instant vCPU 0 HLT",
      "begin vCPU 0 guest mode",
      "begin APIC 4 guest mode",
      "end APIC 4 ",
      "end vCPU 0 ",
      "instant vCPU 0 exit 13",
    ]);
  });

  test("of requests are closed, whatever becomes of them", () => {
    const { events } = traceOf(({ report }) => {
      report("request", device, 0, 0);
      report("request", -1, 0, 0);
      report("passed", 0, 0);
      report("request", device, 0, 0);
    });
    const count = (wanted: string): number => events.filter(({ type }) => type === wanted).length;
    expect(count("begin")).toBe(3);
    expect(count("end")).toBe(3);
    expect(events.map(({ track }) => track)).toContain("unknown requester");
  });
});

/** What is seen as a slice, or in where a flow ends. */
const notInstant: readonly EventName[] = ["vmEntry", "acknowledged"];

test("every other kind of event is shown as an instant, with its values by name", () => {
  const trace = traceOf(({ report }) => {
    for (const kind of Object.keys(eventKinds) as EventName[]) report(kind, 1, 2, 3, 4, 5, 6);
  });
  const instants = trace.events.filter(({ type }) => type === "instant");
  expect(instants).toHaveLength(Object.keys(eventKinds).length - notInstant.length);
  const valuesOf = (name: string): object => instants.find((event) => event.name === name)!.values;
  expect(valuesOf("register written")).toEqual({ offset: 1n, value: 0x3_0000_0002n });
  expect(valuesOf("DMA")).toEqual({ address: 0x3_0000_0002n, length: 4n, write: 5n });
  expect(instants.find(({ name }) => name === "undelivered")!.track).toBe("undelivered");
});

test.each<[values: number[], name: string, shown: object]>([
  [[4, 2, -1], "invalidated", { first: 4n, count: 2n }],
  [[-1, -1, device], "invalidated", { device: BigInt(device) }],
  [[-1, -1, -1], "invalidated: everything", {}],
])("an invalidation of %j shows what was named alone", (given, name, shown) => {
  const { events } = traceOf(({ report }) => report("invalidated", ...given));
  expect(events.map((event) => [event.name, event.values])).toEqual([[name, shown]]);
});

test("a kind of event that does not exist is passed over", () => {
  expect(traceOf(({ timeline }) => timeline.record(999, 0, 0, 0, 0, 0, 0)).events).toEqual([]);
});

test("each of several units has a track", () => {
  const trace = traceOf(({ timeline, report }) => {
    const other = reporter(timeline.unit("dmar1"));
    other("request", device, 0, 0);
    other("remapped", 0, 0, 0, 0, 0x31, 0);
    report("register", 0x18, 0, 0);
  });
  expect(trace.events.filter(({ track }) => track === "dmar1")).toHaveLength(3);
  expect(trace.events.filter(({ track }) => track === "unit")).toHaveLength(1);
});

const hasProtoc = spawnSync("protoc", ["--version"]).status === 0;

test.skipIf(!hasProtoc)("protoc reads the trace of 10,000 interrupts (wants protobuf-compiler)", () => {
  const trace = collect();
  const timeline = new Timeline(new Clock(), new PerfettoWriter((bytes) => trace.sink(bytes)));
  const report = reporter(timeline);
  for (let i = 0; i < 10_000; i++) {
    report("request", device, 0xfee00000 | 0, i);
    report("posted", 0x1000, 0, i & 0xff, 1, 0);
    report("virtual", 0, i & 0xff);
  }
  timeline.finish();
  const { status, stdout } = spawnSync("protoc", ["--decode_raw"], {
    input: trace.bytes(),
    encoding: "utf8",
    maxBuffer: 2 ** 28,
  });
  expect(status).toBe(0);
  expect(stdout.match(/^1 \{$/gm)!.length).toBeGreaterThan(50_000);
});
