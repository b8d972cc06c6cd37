import { expect, test } from "vitest";
import { InputError } from "../input-error.ts";
import { HostDraft } from "./draft.ts";
import type { HostState } from "./state.ts";
import { TraceHost } from "./trace-host.ts";

function read(...lines: string[]): HostState {
  const trace = new TraceHost();
  const bytes = Uint8Array.from(`${lines.join("\n")}\n`, (character) => character.charCodeAt(0));
  trace.feed(bytes.subarray(0, 10));
  trace.feed(bytes.subarray(10));
  const draft = new HostDraft("trace");
  trace.finish(draft);
  expect(trace.lines).toBe(lines.length);
  return draft.finish();
}

test("a VT-d trace has the table, and its entries as they were last fetched", () => {
  const { units, missing } = read(
    "vtd_reg_ir_root addr 0x1200000 size 0x10000",
    "vtd_ir_enable enable 1",
    // The labels are exchanged: what is printed as low is the high half.
    "vtd_ir_irte_get index 1 low 0x4ff00 high 0x1000030000d",
    "vtd_ir_irte_get index 1 low 0x4ff00 high 0x2000030000d",
    "vtd_ir_irte_get index 11 low 0x40018 high 0x2000022000d",
  );
  expect(units).toMatchObject([
    { vendor: "intel", name: "dmar0", remapping: { value: true, origin: { place: "line 2" } } },
  ]);
  expect(units[0]!.vendor === "intel" && units[0]!.table?.value).toEqual({
    base: 0x120_0000n,
    length: 0x1_0000,
    width: 128,
    entries: new Map([
      [1, (0x4ff00n << 64n) | 0x200_0030_000dn],
      [11, (0x40018n << 64n) | 0x200_0022_000dn],
    ]),
    complete: false,
  });
  expect(missing.map(({ what }) => what)).toEqual(["entries that no request used"]);
});

test("a new table begins empty", () => {
  const { units } = read(
    "vtd_reg_ir_root addr 0x1200000 size 0x10000",
    "vtd_ir_irte_get index 1 low 0x4ff00 high 0x1000030000d",
    "vtd_reg_ir_root addr 0x1300000 size 0x100",
  );
  expect(units[0]!.vendor === "intel" && units[0]!.table?.value).toMatchObject({
    base: 0x130_0000n,
    length: 256,
    entries: new Map(),
  });
});

const request = (device: string, base: string, offset: string, low: string): string[] => [
  `amdvi_ir_remap_msi_req addr 0xfee00000 data 0x2 devid ${device}`,
  `amdvi_ir_irte addr ${base} offset ${offset}`,
  `amdvi_ir_irte_ga_val hi 0x30 lo ${low}`,
];

test("an AMD-Vi trace has a table for each device whose low bits are its own", () => {
  const { units, missing, system } = read(
    "amdvi_control_status MMIO_STATUS state 0x2000f",
    ...request("0xa0", "0x49ec000", "0x20", "0x141"),
    ...request("0xa0", "0x49ec000", "0x20", "0x241"),
    ...request("0x0", "0x5000000", "0x0", "0x141"),
    ...request("0x0", "0x6000000", "0x0", "0x141"),
  );
  const [unit] = units;
  expect(unit).toMatchObject({
    vendor: "amd",
    name: "ivhd0",
    control: { value: 0x2000fn },
    extendedMode: { value: false },
  });
  expect(
    unit!.vendor === "amd" &&
      [...unit!.tables].map(([id, { value }]) => [id, value.base, [...value.entries]]),
  ).toEqual([[0xa0, 0x49e_c000n, [[2, (0x30n << 64n) | 0x241n]]]]);
  expect(missing.map(({ what }) => what)).toEqual([
    "bus numbers of the requesters",
    "2 interrupt remapping tables of ivhd0",
    "entries that no request used",
  ]);
  expect(system.routing?.value).toEqual({ mode: "xapic", destinations: "flat" });
});

test("a log without events of a unit is refused", () => {
  expect(() => read("ioapic_set_irq vector: 4 level: 0")).toThrow(InputError);
});
