import { type MapRow, defaultMapColumns, nameStyleOf } from "@intremap/core";
import { describe, expect, test } from "vitest";
import { RowCells, filterRows } from "../src/engine/map/row-filter.ts";

const blank: MapRow = {
  ...({} as MapRow),
  unit: "dmar0",
  index: null,
  requester: null,
  mode: null,
  vector: null,
  destination: null,
  logical: null,
  delivery: null,
  processors: null,
  descriptor: null,
  machine: null,
  vcpu: null,
  irq: null,
  device: null,
  driver: null,
  kind: null,
  input: null,
  name: null,
  chip: null,
  message: null,
  counts: null,
  total: null,
  state: null,
  allocated: null,
  value: null,
  source: null,
  origins: {},
};

const rows: readonly MapRow[] = [
  {
    ...blank,
    device: "0000:01:00.0",
    driver: "nvme",
    irq: 38,
    name: "nvme0q0",
    mode: "remapped",
    processors: [3],
  },
  {
    ...blank,
    device: "0000:01:00.0",
    driver: "nvme",
    irq: 39,
    name: "nvme0q1",
    mode: "posted",
    processors: [31],
  },
  {
    ...blank,
    device: "0000:02:00.0",
    driver: "e1000e",
    irq: 3,
    name: "eth0",
    mode: "remapped",
    processors: [3, 4],
  },
];

function found(filter: string): (number | null)[] {
  return filterRows(rows, filter, defaultMapColumns, new RowCells(nameStyleOf(rows))).map(({ irq }) => irq);
}

describe("the filter of the map", () => {
  test.each([
    ["", [38, 39, 3]],
    ["nvme0", [38, 39]],
    ["NVME0Q1", [39]],
    ["01:00.0", [38, 39]],
    ["0000:01:00.0", [38, 39]],
    ["device:0000:01:00.0 posted", [39]],
    ["0001:01:00.0", []],
    ["01:00.0 posted", [39]],
    ["mode:posted", [39]],
    ["irq:3", [3]],
    ['to:"cpu 3"', [38]],
    ["to:cpu", []],
    ["driver:nvme", [38, 39]],
    ["ff:00.0", []],
    ["no:such", []],
  ])("finds with %j the irqs %j", (filter, irqs) => {
    expect(found(filter)).toEqual(irqs);
  });

  test("tells the segments of a host that has several", () => {
    const several = [...rows, { ...rows[0]!, device: "0001:01:00.0", irq: 50 }];
    const cells = new RowCells(nameStyleOf(several));
    const irqs = (filter: string) =>
      filterRows(several, filter, defaultMapColumns, cells).map(({ irq }) => irq);
    expect(irqs("0000:01:00.0")).toEqual([38, 39]);
    expect(irqs("device:0001:01:00.0")).toEqual([50]);
    expect(irqs("01:00.0")).toEqual([38, 39, 50]);
  });
});
