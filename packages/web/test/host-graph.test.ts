import { HostDraft, mapOf, nameStyleOf, readPastedHost } from "@intremap/core";
import { describe, expect, test } from "vitest";
import { hostGraph } from "../src/engine/graph/host-graph.ts";
import { layOut } from "../src/engine/graph/lay-out.ts";

/** A host with so many entries, eight to a device and each to a CPU's logical bit of its own. */
function rowsOf(entries: number) {
  const rows = Array.from({ length: entries }, (_, index) => {
    const sid = 0x100 + (index >> 3);
    const source = `${hex(sid >> 8, 2)}:${hex((sid >> 3) & 31, 2)}.${sid & 7}`;
    const vector = hex(0x21 + (index % 128), 2);
    const destination = hex(index % 256, 8);
    return ` ${index} ${source} ${destination} ${vector} ${hex(0x4_0000 | sid, 16)} ${destination}00${vector}000d`;
  });
  const text = `Remapped Interrupt supported on IOMMU: dmar0
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
    expect([count("device"), count("unit"), count("entry"), count("target")]).toEqual([2, 1, 16, 1]);
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

  test("draws what a node holds when it is opened", () => {
    const closed = drawn(400);
    const group = closed.nodes.find(({ kind, holds }) => kind === "device" && holds > 1)!;
    const { nodes } = drawn(400, [group.id]);
    expect(nodes.some(({ id }) => id === group.id)).toBe(false);
    expect(nodes.filter(({ kind }) => kind === "device").length).toBe(group.holds);
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
