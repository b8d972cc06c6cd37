import { expect, test } from "vitest";
import { decode } from "../../spec/codec.ts";
import { irteRemapped } from "../../spec/vtd/irte.ts";
import { host, one } from "../follow/testing/followed-host.ts";
import type { Path } from "../path.ts";
import { Replay } from "../replay.ts";
import { followedSteps, pathSteps } from "./followed-steps.ts";

function followed(lines: readonly string[]): Path {
  const run = new Replay({ follow: { ordinal: 1 } });
  run.feed(new TextEncoder().encode(`${lines.join("\n")}\n`));
  return run.finish().followed!;
}

const vtd = [
  "vtd_reg_write addr 0xb8 size 0x8 value 0x1200007",
  "vtd_reg_write addr 0x18 size 0x4 value 0x1000000",
  "vtd_reg_write addr 0x18 size 0x4 value 0x2000000",
  "vtd_ir_enable enable 1",
  "vtd_ir_remap_msi_req addr 0xfee00338 data 0x0",
  "vtd_ir_irte_get index 25 low 0x40018 high 0x1000023000d",
  "vtd_ir_remap_msi (addr 0xfee00338, data 0x0) -> (addr 0xfee0100c, data 0x4023)",
];
const amdvi = [
  "amdvi_control_status MMIO_STATUS state 0x23487",
  "amdvi_ir_remap_msi_req addr 0xfee00000 data 0x4 devid 0x18",
  "amdvi_ir_delivery_mode fixed/arbitrated",
  "amdvi_ir_intctl int_ctl 0x2",
  "amdvi_ir_irte addr 0x64c6000 offset 0x40",
  "amdvi_ir_irte_ga_val hi 0x23 lo 0x841",
  "amdvi_ir_remap_msi (addr 0xfee00000, data 0x4) -> (addr 0xfee08004, data 0x4023)",
];

test.each([
  ["VT-d", vtd, "irte-remapped", 0x1000023000dn | (0x40018n << 64n)],
  ["AMD-Vi", amdvi, "amdvi-irte-remapped", (0x23n << 64n) | 0x841n],
])(
  "a request of a %s trace is told in the unit's steps, with the entry's bits",
  (_, lines, layout, value) => {
    const path = followed(lines);
    const steps = pathSteps(path);
    const decided = steps.filter(({ verdict }) => verdict !== null);
    expect(decided.map(({ title, detail, verdict, rule }) => ({ title, detail, verdict, rule }))).toEqual(
      path.steps.map(({ title, detail, verdict, rule }) => ({ title, detail, verdict, rule })),
    );
    expect(steps[0]).toMatchObject({ stop: "device", detail: expect.stringContaining("0xfee00") as string });
    expect(steps.at(-1)).toMatchObject({ stop: "apic", title: "the local APICs are handed vector 23h" });
    const read = decided.at(-1)!.touched[0]!;
    expect(read).toMatchObject({ layout, value, before: null });
    expect(read.fields.length).toBeGreaterThan(3);
  },
);

test("an interrupt of a host is told as it was followed, and its entry's bits with it", () => {
  const interrupt = one(host());
  const steps = followedSteps(interrupt);
  expect(
    steps.map(({ title, detail, verdict, rule, section }) => ({ title, detail, verdict, rule, section })),
  ).toEqual(
    interrupt.path.map(({ title, detail, verdict, rule, section }) => ({
      title,
      detail,
      verdict,
      rule,
      section,
    })),
  );
  const stops = new Set(steps.map(({ stop }) => stop));
  expect([...stops]).toEqual(["device", "bus", "unit", "entry", "apic", "software"]);
  const entry = steps.flatMap(({ touched }) => touched).find(({ layout }) => layout === "irte-remapped");
  expect(decode(irteRemapped, entry!.value)).toMatchObject({ v: 0x24, sid: 0x18, dst: 0x200 });
});
