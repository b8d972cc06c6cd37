import { HostDraft, mapOf, nameStyleOf, readPastedHost } from "@intremap/core";
import { describe, expect, test } from "vitest";
import { hostGraph } from "../src/engine/graph/host-graph.ts";
import { layOut } from "../src/engine/graph/lay-out.ts";

/** A host with so many entries, eight to a device; up to 256 each have a destination of their own, of which no CPU is known. */
function rowsOf(entries: number) {
  const rows = Array.from({ length: entries }, (_, index) => {
    const sid = 0x100 + (index >> 3);
    const source = `${hex(sid >> 8, 2)}:${hex((sid >> 3) & 31, 2)}.${sid & 7}`;
    const vector = hex(0x21 + (index % 128), 2);
    const destination = hex(index % 256, 8);
    return ` ${index} ${source} ${destination} ${vector} ${hex(0x4_0000 | sid, 16)} ${destination}00${vector}000d`;
  });
  const text = `IOMMU: dmar0 Register Base Address: fed90000
Name                    Offset          Contents
IRTA                    0xb8            0x000000010090080f

Remapped Interrupt supported on IOMMU: dmar0
 IR table address:100900000
 Entry SrcID DstID Vct IRTE_high IRTE_low
${rows.join("\n")}
****
`;
  const draft = new HostDraft("text");
  readPastedHost(text, draft, "text");
  const { interrupts } = mapOf(draft.finish());
  expect(interrupts).toHaveLength(entries);
  return interrupts;
}

function hex(value: number, digits: number): string {
  return value.toString(16).padStart(digits, "0");
}

function drawn(entries: number, opened: readonly string[] = []) {
  const rows = rowsOf(entries);
  return hostGraph(rows, nameStyleOf(rows), opened);
}

describe("the picture of a host", { timeout: 30_000 }, () => {
  test("has a node for each device, unit, entry and destination of a small one, and a way for each interrupt", () => {
    const { nodes, edges, ways } = drawn(16);
    const count = (kind: string) => nodes.filter((node) => node.kind === kind).length;
    expect([count("device"), count("unit"), count("entry"), count("target")]).toEqual([2, 1, 16, 16]);
    expect(nodes.filter(({ kind }) => kind === "target").map(({ filter }) => filter)).toEqual(
      rowsOf(16).map(({ destination }) => `to:"logical 0x${destination!.toString(16)}"`),
    );
    expect(nodes.filter(({ kind }) => kind === "entry").map(({ subject }) => subject)).toEqual(
      Array.from({ length: 16 }, (_, index) => `dmar0:${index}`),
    );
    expect(ways).toHaveLength(16);
    expect(edges).toHaveLength(2 + 16 + 16);
  });

  test("draws thousands of entries together, and loses none", () => {
    const { nodes, edges } = drawn(6000);
    expect(nodes.length).toBeLessThan(170);
    expect(edges.length).toBeLessThan(1000);
    for (const kind of ["device", "unit", "entry", "target"] as const) {
      const sum = nodes.filter((node) => node.kind === kind).reduce((all, { count }) => all + count, 0);
      expect(sum).toBe(6000);
    }
  });

  test.each(["device", "target"] as const)("draws what a node of %ss holds when it is opened", (kind) => {
    const closed = drawn(400);
    const groups = closed.nodes.filter((node) => node.kind === kind);
    const [group] = groups;
    expect(groups).toHaveLength(1);
    expect(group!.title).toContain(String(group!.holds));
    expect(group!.holds).toBe(kind === "device" ? 50 : 256);
    const opened = drawn(400, [group!.id]).nodes.filter((node) => node.kind === kind);
    expect(opened.filter(({ holds }) => holds === 1)).toHaveLength(Math.min(96, group!.holds));
    // What is too much to be drawn singly stays in it.
    expect(opened.some(({ id }) => id === group!.id)).toBe(group!.holds > 96);
  });

  test("draws the groups with the fewest interrupts as one, which is no group that can be opened", () => {
    const buses = Array.from({ length: 60 }, (_, bus) => ({
      ...rowsOf(1)[0]!,
      requester: `0000:${hex(bus, 2)}:00.0`,
      index: bus,
    }));
    const devices = hostGraph([...buses, ...buses.slice(0, 39)], nameStyleOf(buses), []).nodes.filter(
      ({ kind }) => kind === "device",
    );
    expect(devices).toHaveLength(40);
    const titles = devices.map(({ title, count, holds }) => [title, count, holds]);
    expect(titles.slice(0, 39).every(([, count]) => count === 2)).toBe(true);
    expect(titles[39]).toEqual(["21 others", 21, 1]);
  });

  test("places columns from left to right, and no node on another", () => {
    const { nodes, width, height } = layOut(drawn(100));
    const columns = ["device", "unit", "entry", "target"].map((kind) =>
      nodes.filter((node) => node.kind === kind),
    );
    for (let at = 1; at < columns.length; at++) {
      const right = Math.max(...columns[at - 1]!.map((node) => node.x + node.width));
      expect(Math.min(...columns[at]!.map(({ x }) => x))).toBeGreaterThan(right);
    }
    for (const column of columns) {
      const sorted = [...column].sort((a, b) => a.y - b.y);
      for (let at = 1; at < sorted.length; at++)
        expect(sorted[at]!.y).toBeGreaterThanOrEqual(sorted[at - 1]!.y + sorted[at - 1]!.height);
    }
    for (const node of nodes) {
      expect(node.x).toBeGreaterThanOrEqual(0);
      expect(node.x + node.width).toBeLessThanOrEqual(width);
      expect(node.y + node.height).toBeLessThanOrEqual(height);
    }
  });
});
