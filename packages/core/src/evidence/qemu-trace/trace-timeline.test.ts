import { describe, expect, test } from "vitest";
import { type SeenTrace, collect, readTrace } from "../../machine/perfetto/testbed.ts";
import { PerfettoWriter } from "../../machine/perfetto.ts";
import { type TracedTimeline, TraceTimeline } from "./trace-timeline.ts";

function read(text: string, chunk = text.length): SeenTrace & { readonly traced: TracedTimeline } {
  const trace = collect();
  const timeline = new TraceTimeline(new PerfettoWriter((bytes) => trace.sink(bytes)));
  const bytes = new TextEncoder().encode(text);
  for (let at = 0; at < bytes.length; at += chunk) timeline.feed(bytes.subarray(at, at + chunk));
  const traced = timeline.finish();
  return { ...readTrace(trace.bytes()), traced };
}

const request = `vtd_ir_remap_msi_req addr 0xfee00030 data 0x2 sid 0x100 do_fault 1
vtd_ir_irte_get index 1 low 0x4ff00 high 0x1000030000d
vtd_ir_remap_msi (addr 0xfee00030, data 0x2) -> (addr 0xfee0100c, data 0x4030)
apic_deliver_irq dest 1 dest_mode 0 delivery_mode 0 vector 48 trigger_mode 0
`;

describe("a request", () => {
  test("is a flow from its message through the unit to the local APIC", () => {
    const { events, tracks } = read(request);
    expect(
      events
        .filter(({ type }) => type !== "end")
        .map(({ track, name, flows, lastFlows }) => [track, name, [...flows, ...lastFlows]]),
    ).toEqual([
      ["01:00.0", "MSI write", [1]],
      ["unit", "interrupt request", [1]],
      ["unit", "table entry", []],
      ["unit", "remapped", [1]],
      ["APIC 1", "vector 30h", [1]],
    ]);
    expect(events.at(-1)!.lastFlows).toEqual([1]);
    expect(tracks.find(({ name }) => name === "APIC 1")!.parent).toBe("processors");
  });

  test("has the values of its lines", () => {
    const values = Object.fromEntries(read(request).events.map(({ name, values: all }) => [name, all]));
    expect(values["MSI write"]).toEqual({ address: 0xfee00030n, data: 2n });
    expect(values["table entry"]).toMatchObject({ index: 1n });
    expect(values["remapped"]).toEqual({ address: 0xfee0100cn, data: 0x4030n });
  });

  test("that is blocked ends at its fault", () => {
    const { events } = read(
      "vtd_ir_remap_msi_req addr 0xfee00030 data 0x2 sid 0x100 do_fault 1\n" +
        "vtd_frr_new index 0 high 0x8000002200000100 low 0x1000000000000\n" +
        "apic_deliver_irq dest 1 dest_mode 0 delivery_mode 0 vector 48 trigger_mode 0\n",
    );
    const blocked = events.find(({ name }) => name === "blocked")!;
    expect(blocked.values).toEqual({ reason: 0x22n, requester: 0x100n });
    expect(blocked.lastFlows).toEqual([1]);
    expect(events.find(({ name }) => name === "vector 30h")!.lastFlows).toEqual([]);
  });

  test("of an AMD unit is one too, by what the trace has of its DeviceID", () => {
    const { events, traced } = read(
      "amdvi_ir_remap_msi_req addr 0xfee00000 data 0x2 devid 0xa0\n" +
        "amdvi_ir_irte_ga_val hi 0x30 lo 0x141\n" +
        "amdvi_ir_remap_msi (addr 0xfee00000, data 0x2) -> (addr 0xfee01004, data 0x4030)\n" +
        "apic_deliver_irq dest 1 dest_mode 1 delivery_mode 0 vector 48 trigger_mode 0\n",
    );
    expect(traced.vendor).toBe("amd");
    expect(events.filter(({ flows, lastFlows }) => [...flows, ...lastFlows].includes(1))).toMatchObject([
      { track: "xx:14.0", name: "MSI write" },
      { track: "unit", name: "interrupt request" },
      { track: "unit", name: "remapped" },
      { track: "logical 1", name: "vector 30h" },
    ]);
    expect(events.find(({ name }) => name === "table entry")!.values).toEqual({ low: 0x141n, high: 0x30n });
  });

  test("without an outcome does not keep the next one from beginning", () => {
    const { events } = read(request.split("\n")[0]!.repeat(1) + "\n" + request);
    expect(events.filter(({ type }) => type === "begin")).toHaveLength(2);
    expect(events.filter(({ type }) => type === "end")).toHaveLength(2);
    expect(events.at(-1)!.lastFlows).toEqual([2]);
  });
});

describe("every other event", () => {
  test("stands by its name where it belongs, with its arguments", () => {
    const { events, traced } = read(
      "ioapic_set_irq vector: 4 level: -1\nmsix_write_config dev nvme enabled 1 masked 0\nhello world\n" +
        request,
    );
    expect(events.slice(0, 2)).toMatchObject([
      { track: "I/O APIC", name: "ioapic_set_irq", values: { vector: 4n, level: -1n } },
      { track: "PCI", name: "msix_write_config", values: { enabled: 1n, masked: 0n } },
    ]);
    expect(traced).toEqual({ vendor: "intel", lines: 7, shown: 6, stamped: false });
  });

  test("may have a name that would be markup elsewhere, or a number that nothing holds", () => {
    const { events } = read(
      `vtd_<b>x</b> 1\nvtd_reg_read addr 0xffffffffffffffff size 99999999999 val 4294967295\n${request}`,
    );
    expect(events[0]!.values).toEqual({ addr: 2n ** 64n - 1n, val: 2n ** 32n - 1n });
  });
});

describe("time", () => {
  test("counts lines where the log has no stamps", () => {
    expect(read(request).events.map(({ time }) => time)).toEqual([1, 1, 2, 3, 3, 4]);
  });

  test("is that of the stamps, from the first one on, and does not go back", () => {
    const stamped =
      "77@1000.000001:ioapic_set_irq vector: 4 level: 0\n77@1000.000004:ioapic_set_irq vector: 4 level: 1\n77@999.000001:vtd_inv_qi_fetch\n";
    const { events, traced } = read(stamped);
    expect(events.map(({ time }) => time)).toEqual([0, 3000, 3000]);
    expect(traced.stamped).toBe(true);
  });
});

test("chunks may be cut anywhere", () => {
  expect(read(request, 3)).toEqual(read(request));
});

test("text without a trace event is refused", () => {
  expect(() => read("hello\nworld\n")).toThrow("no trace events in 2 lines");
});
