import { spawnSync } from "node:child_process";
import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { PerfettoWriter, TrackEventType } from "./perfetto.ts";
import { collect, readTrace } from "./perfetto/testbed.ts";

/** What a reader finds in what was written. */
function traceOf(write: (writer: PerfettoWriter) => void, chunkBytes = 0): ReturnType<typeof readTrace> {
  const trace = collect();
  const writer = new PerfettoWriter((bytes) => trace.sink(bytes), chunkBytes);
  write(writer);
  writer.finish();
  return readTrace(trace.bytes());
}

describe("the trace", () => {
  test("has tracks under their parents, slices, instants, flows and values", () => {
    const { tracks, events, flags } = traceOf((writer) => {
      const devices = writer.track("devices", 0, 2);
      const disk = writer.track("disk", devices, 7);
      const write = writer.name("write");
      const address = writer.valueName("address");
      const count = writer.valueName("count");
      writer.event(TrackEventType.begin, 5, disk, write);
      writer.flow(3);
      writer.close();
      writer.event(TrackEventType.instant, 6, disk, writer.name("write"));
      writer.lastFlow(3);
      writer.hex(address, -0x120_0000, 0);
      writer.integer(count, -1);
      writer.close();
      writer.event(TrackEventType.end, 2 ** 40, disk, 0);
      writer.close();
    });
    expect(tracks).toEqual([
      { name: "devices", parent: null, rank: 2 },
      { name: "disk", parent: "devices", rank: 7 },
    ]);
    const plain = { track: "disk", flows: [], lastFlows: [], values: {} };
    expect(events).toEqual([
      { ...plain, type: "begin", time: 5, name: "write", flows: [3] },
      {
        ...plain,
        type: "instant",
        time: 6,
        name: "write",
        lastFlows: [3],
        values: { address: 0xfee0_0000n, count: -1n },
      },
      { ...plain, type: "end", time: 2 ** 40, name: "" },
    ]);
    expect(flags).toEqual([1, ...Array.from({ length: flags.length - 1 }, () => 2)]);
  });

  test("keeps any time, flow, integer, 64-bit value and name", () => {
    const int32 = fc.integer({ min: -(2 ** 31), max: 2 ** 31 - 1 });
    fc.assert(
      fc.property(
        fc.nat(Number.MAX_SAFE_INTEGER),
        fc.nat(Number.MAX_SAFE_INTEGER),
        int32,
        int32,
        fc.string({ unit: "binary", maxLength: 40 }),
        (time, flow, low, high, name) => {
          const { events } = traceOf((writer) => {
            const track = writer.track(name);
            const value = writer.valueName(`value of ${name}`);
            writer.event(TrackEventType.instant, time, track, writer.name(name));
            writer.flow(flow);
            writer.integer(value, low);
            writer.hex(writer.valueName(`value of ${name}`), low, high);
            writer.close();
          });
          expect(events).toMatchObject([{ time, track: name, name, flows: [flow] }]);
          const wide = (BigInt(high >>> 0) << 32n) | BigInt(low >>> 0);
          expect(Object.values(events[0]!.values)).toEqual([wide]);
        },
      ),
    );
  });

  test("negative integers and half characters survive, long names are cut between characters", () => {
    const { tracks, events } = traceOf((writer) => {
      const track = writer.track("\ud800x");
      writer.track("é".repeat(2000));
      const value = writer.valueName("value");
      writer.event(TrackEventType.instant, 0, track, writer.name("a"));
      writer.integer(value, -(2 ** 31));
      writer.close();
    });
    expect(tracks[0]!.name).toBe("\ufffdx");
    expect(tracks[1]!.name).toMatch(/^é{400,500}$/);
    expect(events[0]!.values).toEqual({ value: BigInt(-(2 ** 31)) });
  });

  test("is handed out in chunks, and nothing but the chunk is kept", () => {
    const trace = collect();
    const writer = new PerfettoWriter((bytes) => {
      expect(bytes.length).toBeLessThanOrEqual(4096);
      trace.sink(bytes);
    }, 4096);
    const track = writer.track("t");
    const name = writer.name("n");
    for (let i = 0; i < 2000; i++) {
      writer.event(TrackEventType.instant, i, track, name);
      writer.close();
    }
    writer.finish();
    writer.finish();
    expect(trace.chunks).toBeGreaterThan(5);
    expect(readTrace(trace.bytes()).events.map(({ time }) => time)).toEqual(
      Array.from({ length: 2000 }, (_, i) => i),
    );
  });
});

const hasProtoc = spawnSync("protoc", ["--version"]).status === 0;

describe.skipIf(!hasProtoc)("protoc (wants protobuf-compiler)", () => {
  test("reads every packet", () => {
    const trace = collect();
    const writer = new PerfettoWriter((bytes) => trace.sink(bytes));
    const track = writer.track("device");
    const name = writer.name("MSI write");
    const value = writer.valueName("address");
    for (let i = 0; i < 300; i++) {
      writer.event(TrackEventType.instant, i * 1e9, track, name);
      writer.flow(i);
      writer.hex(value, i, i);
      writer.close();
    }
    writer.finish();
    const { status, stdout } = spawnSync("protoc", ["--decode_raw"], {
      input: trace.bytes(),
      encoding: "utf8",
    });
    expect(status).toBe(0);
    expect(stdout.match(/^1 \{$/gm)).toHaveLength(303);
    expect(stdout).toContain(`2: "MSI write"`);
    expect(stdout).toContain(`8: ${299 * 1e9}`);
  });
});
