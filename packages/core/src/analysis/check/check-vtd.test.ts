import { describe, expect, test } from "vitest";
import { vtdProfiles } from "../../hardware/vtd/profile.ts";
import type { RuleId } from "../../spec/rules.ts";
import type { Hazard } from "./hazard.ts";
import { TracedDriver, checkLines } from "./testing/traced-driver.ts";

function unchecked(trace: TracedDriver, profile?: string): (string | null)[] {
  return trace.check(profile).notChecked.map(({ rule }) => rule);
}

function driver(): TracedDriver {
  return new TracedDriver();
}

function up(): TracedDriver {
  return driver().bringUp();
}

/** A driver that does nothing wrong, with every kind of thing in it. */
function good(): TracedDriver {
  return up()
    .submit(25, "w")
    .use(25, 0x30)
    .use(25, 0x30)
    .submit(25, "w")
    .use(25, 0x31)
    .submit("t", 26, 27, "w")
    .use(26, 0x40)
    .write(0x20, 0x281_7000, 8)
    .command(0x4600_0000)
    .command(0x8600_0000)
    .command(0x600_0000)
    .submit("g", "w")
    .use(25, 0x32)
    .command(0x400_0000);
}

describe("the check of a VT-d trace", () => {
  test.each(vtdProfiles.map(({ name }) => name))(
    "finds nothing in a driver that does as it should, under %s",
    (name) => {
      expect(good().check(name)).toMatchObject({ hazards: [], hazardCount: 0, skipped: {} });
    },
  );

  /** What is expected of a hazard; of its lines, how they begin. */
  type Expected = Partial<Omit<Hazard, "at" | "since">> & { readonly at?: string; readonly since?: string };
  type Row = [title: string, rule: RuleId, trace: TracedDriver, expected?: Expected, profile?: string];

  const rows: Row[] = [
    [
      "an entry that is changed and not invalidated",
      "vtd.check.entry-changed",
      up().submit(25, "w").use(25, 0x30).use(25, 0x31),
      {
        index: 25,
        at: "vtd_ir_irte_get index 25 low 0x40018 high 0x1000031000d",
        since: "vtd_ir_irte_get index 25 low 0x40018 high 0x1000030000d",
      },
    ],
    [
      "an entry that is taken away and not invalidated",
      "vtd.check.entry-changed",
      up().submit(25, "w").use(25, 0x30).use(25, 0),
      { index: 25 },
    ],
    [
      "an entry that is changed when another one is invalidated",
      "vtd.check.entry-changed",
      up().submit(25, "w").use(25, 0x30).submit(24, "w").use(25, 0x31),
      { index: 25 },
    ],
    [
      "an entry that comes back, where not-present entries are kept",
      "vtd.check.entry-changed",
      up().submit(25, "w").use(25, 0).use(25, 0x30),
      { index: 25 },
      "vtd-caching-mode",
    ],
    [
      "an entry that was never invalidated, where not-present entries are kept",
      "vtd.check.first-use",
      up().use(25, 0x30),
      {
        index: 25,
        at: "vtd_ir_irte_get index 25 ",
        since: "vtd_reg_write addr 0x18 size 0x4 value 0x6000000",
      },
      "vtd-caching-mode",
    ],
    [
      "an entry that was never invalidated, where its line may be kept",
      "vtd.check.first-use",
      up().submit(24, "w").use(24, 0x30).use(25, 0x30),
      { index: 25 },
      "vtd-line-cache",
    ],
    [
      "remapping that is enabled before the table was made known",
      "vtd.iec.global-after-sirtp",
      driver().queue().table().command(0x600_0000).submit("g", "w"),
      {
        at: "vtd_reg_write addr 0x18 size 0x4 value 0x6000000",
        since: "vtd_reg_write addr 0x18 size 0x4 value 0x5000000",
      },
    ],
    [
      "a table that is switched in without a global invalidation",
      "vtd.iec.global-after-sirtp",
      up().submit(25, "w").use(25, 0x30).table(0x130_000f).submit(25, "w").use(25, 0x31),
      {
        at: "vtd_ir_remap_msi_req addr 0xfee00338",
        since: "vtd_reg_write addr 0x18 size 0x4 value 0x7000000",
      },
    ],
    [
      "remapping that is enabled before SIRTP",
      "vtd.gcmd.ire-before-sirtp",
      driver().queue().submit("g", "w").command(0x600_0000),
    ],
    [
      "a table in x2APIC mode on a unit without it",
      "vtd.check.eime-unsupported",
      driver().queue().table(0x120_080f).submit("g", "w").command(0x600_0000),
      { at: "vtd_reg_write addr 0x18 size 0x4 value 0x5000000" },
      "vtd-qemu-7.2",
    ],
    [
      "a mode that changes while remapping is on",
      "vtd.irta.eime-change",
      up().table(0x120_080f).submit("g", "w"),
    ],
    [
      "a queue that is enabled with no place",
      "vtd.check.qie-without-iqa",
      driver().write(0x88, 0).command(0x400_0000),
      { at: "vtd_reg_write addr 0x18 size 0x4 value 0x4000000" },
    ],
    [
      "SIRTP that is written back with IRE",
      "vtd.check.one-shot",
      driver().queue().table().submit("g", "w").command(0x700_0000).use(25, 0x30),
      { at: "vtd_reg_write addr 0x18 size 0x4 value 0x7000000" },
    ],
    [
      "SRTP that is written back with TE",
      "vtd.check.one-shot",
      up().command(0x4600_0000).command(0xc600_0000),
    ],
    [
      "two commands in one write",
      "vtd.gcmd.one-bit",
      driver().write(0x90, 0x11c_8000, 8).command(0x8400_0000),
    ],
    [
      "a table that is not aligned to its size",
      "vtd.irta.alignment",
      driver()
        .queue()
        .table(0x121_000f)
        .other("vtd_reg_ir_root addr 0x1210000 size 0x10000")
        .submit("g", "w")
        .command(0x600_0000),
      { at: "vtd_reg_write addr 0x18 size 0x4 value 0x5000000" },
    ],
    [
      "CFI that is left on",
      "vtd.check.cfi",
      up().command(0x680_0000).submit(25, "w").use(25, 0x30).command(0x4600_0000),
      { at: "vtd_ir_remap_msi_req", since: "vtd_reg_write addr 0x18 size 0x4 value 0x6800000" },
    ],
    [
      "CFI that is on at the end",
      "vtd.check.cfi",
      up().command(0x680_0000),
      { at: "vtd_reg_write addr 0x18 size 0x4 value 0x6800000" },
    ],
    [
      "an invalidation that nothing waits for before its entry is used",
      "vtd.check.not-waited",
      up().submit(25).use(25, 0x30).submit(26, "w"),
      {
        at: "vtd_ir_irte_get index 25 ",
        since: "vtd_inv_desc invalidate desc type iec high 0x0 low 0x1900000014",
      },
    ],
    [
      "an invalidation that nothing waits for before the table is enabled",
      "vtd.check.not-waited",
      driver().queue().table().submit("g").command(0x600_0000),
      {
        at: "vtd_reg_write addr 0x18 size 0x4 value 0x6000000",
        since: "vtd_inv_desc invalidate desc type iec",
      },
    ],
    [
      "an invalidation at the end that nothing waits for",
      "vtd.check.not-waited",
      up().submit(25),
      { at: "vtd_inv_desc invalidate desc type iec high 0x0 low 0x1900000014" },
    ],
    [
      "entries that verify nobody",
      "vtd.check.svt-none",
      up().submit("g", "w").use(25, 0x30, 0x18).use(26, 0x30, 0x18).submit("g", "w").use(25, 0x31, 0x18),
      {
        index: 25,
        at: "vtd_ir_irte_get index 25 low 0x18 ",
        found: "entry 25 is present with SVT=00: any function can send its interrupt; 2 such in all",
      },
    ],
    [
      "a processor that is in x2APIC mode before remapping is on",
      "vtd.check.x2apic-first",
      driver()
        .queue()
        .other("cpu_set_apic_base 0x00000000fee00d00")
        .table()
        .submit("g", "w")
        .command(0x600_0000),
      { at: "cpu_set_apic_base" },
    ],
    [
      "a compatibility-format request while remapping is on",
      "vtd.ir.compatibility-blocked",
      up().other("vtd_ir_remap_msi_req addr 0xfee01000 data 0x30"),
      { at: "vtd_ir_remap_msi_req addr 0xfee01000" },
    ],
    [
      "an entry that QEMU forgives",
      "vtd.irte.xapic-destination",
      up()
        .submit(25, "w")
        .other("vtd_ir_remap_msi_req addr 0xfee00338 data 0x0")
        .other("vtd_ir_irte_get index 25 low 0x40018 high 0x10030000d"),
      { index: 25 },
    ],
    [
      "a wait with nothing to wait for",
      "vtd.check.invalidation-missing",
      up().submit("w").submit(25, "w"),
      { at: "vtd_inv_desc invalidate desc type wait", since: "vtd_inv_desc invalidate desc type wait" },
    ],
  ];

  test.each(rows)("names %s: %s", (_, rule, trace, expected = {}, profile = "vtd-strict") => {
    const { hazards, hazardCount } = trace.check(profile);
    expect(hazards.map((one) => one.rule)).toEqual([rule]);
    expect(hazardCount).toBe(1);
    const { at, since, ...others } = expected;
    expect(hazards).toMatchObject([others]);
    const [hazard] = hazards;
    if (at !== undefined) expect(trace.lines[hazard!.at - 1]).toMatch(new RegExp(`^${at}`));
    if (since !== undefined) expect(trace.lines[(hazard!.since ?? 0) - 1]).toMatch(new RegExp(`^${since}`));
  });

  test.each(rows.filter(([, rule]) => rule.startsWith("vtd.check.entry")))(
    "a unit that keeps no entry forgives %s",
    (_title, _rule, trace) => {
      expect(trace.check("vtd-qemu-11.1").hazardCount).toBe(0);
    },
  );

  test.each<[string, TracedDriver, string?]>([
    ["a not-present entry that comes back, where such are not kept", up().use(25, 0).use(25, 0x30)],
    [
      "an entry of which only software's bits change",
      up()
        .submit(25, "w")
        .use(25, 0x30)
        .other("vtd_ir_remap_msi_req addr 0xfee00338 data 0x0")
        .other("vtd_ir_irte_get index 25 low 0x40018 high 0x1000030050d"),
    ],
    ["x2APIC mode behind remapping", up().other("cpu_set_apic_base 0x00000000fee00d00").command(0x400_0000)],
    ["x2APIC mode without remapping", driver().queue().other("cpu_set_apic_base 0x00000000fee00d00")],
    [
      "xAPIC mode",
      driver().other("vtd_ir_enable enable 0").other("cpu_set_apic_base 0x00000000fee00900").bringUp(),
    ],
    ["CFI that is taken back before a request", up().command(0x680_0000).command(0x600_0000).use(25, 0x30)],
    ["a wait in a submission of its own", up().submit(25).submit("w").use(25, 0x30)],
    [
      "a wait in a submission of its own, though the entry is used",
      up().submit(25).use(25, 0x30).submit("w"),
    ],
    ["one wait for two submissions", up().submit(25).submit(26, "w").use(25, 0x30)],
    [
      "a wait that only fences",
      up().other("vtd_inv_desc invalidate desc type wait high 0x0 low 0x45").submit(25, "w"),
    ],
    [
      "a request that QEMU only looks up",
      up()
        .submit(25, "w")
        .use(25, 0x30)
        .other("vtd_ir_remap_msi_req addr 0xfee00338 data 0x0 sid 0x18 do_fault 0")
        .other("vtd_ir_irte_get index 25 low 0x40018 high 0x1000031000d")
        .submit(25, "w")
        .use(25, 0x31),
    ],
    ["SIRTP again, for a new table", up().table(0x130_000f).submit("g", "w").use(25, 0x30)],
  ])("has nothing against %s", (_, trace, profile = "vtd-strict") => {
    expect(trace.check(profile).hazards).toEqual([]);
  });

  test("begins anew with a reset, seen or not", () => {
    const seen = up().submit(25, "w").use(25, 0x30).other("vtd_reset_exit ");
    seen.status = 0;
    expect(seen.bringUp().submit(25, "w").use(25, 0x31).check().hazards).toEqual([]);
    const unseen = up().submit(25, "w").use(25, 0x30).other("vtd_ir_remap_msi_req addr 0xfee01000 data 0x30");
    unseen.status = 0;
    expect(unseen.queue().table().submit("g", "w").command(0x600_0000).use(25, 0x31).check().hazards).toEqual(
      [],
    );
  });
});

describe("a trace that does not show everything", () => {
  const change = up().submit(25, "w").use(25, 0x30).use(25, 0x31).lines;

  function without(pattern: RegExp, lines = change): TracedDriver {
    const trace = new TracedDriver();
    for (const line of lines) if (!pattern.test(line)) trace.other(line);
    return trace;
  }

  test("is not blamed for invalidations that it does not record", () => {
    const { hazards, notChecked } = without(/^vtd_inv_desc/).check();
    expect(hazards).toEqual([]);
    expect(notChecked).toContainEqual(expect.objectContaining({ rule: "vtd.check.entry-changed", count: 2 }));
    expect(without(/^vtd_(inv|reg)/).check().hazards).toEqual([]);
  });

  test("is checked for what it records", () => {
    for (const pattern of [
      /^vtd_inv_desc_iec/,
      /^vtd_inv_desc /,
      /^vtd_inv_qi/,
      /^vtd_reg_write /,
      /^vtd_reg_write_gcmd/,
    ]) {
      const { hazards } = without(pattern).check();
      expect([String(pattern), ...hazards.map(({ rule }) => rule)]).toEqual([
        String(pattern),
        "vtd.check.entry-changed",
      ]);
    }
  });

  test("is blamed for none where software is seen to make none", () => {
    const { hazards } = without(/^vtd_(inv|reg_write addr 0x88)/).check();
    expect(hazards.map(({ rule }) => rule)).toEqual([
      "vtd.iec.global-after-sirtp",
      "vtd.check.entry-changed",
    ]);
  });

  test("is not held to what was before it", () => {
    for (const from of [1, 4, 6, 8, 17, 19, 20, 24]) {
      const { hazards, notChecked } = without(/^$/, good().lines.slice(from)).check("vtd-caching-mode");
      expect([from, hazards]).toEqual([from, []]);
      if (from >= 4) expect(notChecked.map(({ why }) => why).join()).toMatch(/starts after/);
    }
  });

  test("may end anywhere", () => {
    const { lines } = good();
    for (let end = 1; end <= lines.length; end++) {
      // At the end of what it was handed the queue may yet be handed a wait.
      const { hazards } = without(/^$/, lines.slice(0, end)).check("vtd-caching-mode");
      expect([end, hazards]).toEqual([end, []]);
    }
  });

  test("blames nobody for a line that cannot be read", () => {
    const { lines } = good();
    for (let damaged = 0; damaged < lines.length; damaged++) {
      const cut = lines.map((line, i) =>
        i === damaged ? `${line.slice(0, line.lastIndexOf(" "))} ?` : line,
      );
      for (const name of ["vtd-strict", "vtd-caching-mode"]) {
        const { hazards } = checkLines(cut, name);
        expect([lines[damaged], hazards]).toEqual([lines[damaged], []]);
      }
    }
  });

  test("says what no trace shows, and what this one does not", () => {
    expect(unchecked(up())).toEqual([
      "vtd.check.entry-changed",
      "vtd.gcmd.one-bit",
      "vtd.check.x2apic-first",
    ]);
    expect(unchecked(up(), "vtd-non-coherent")).toContain("vtd.memory.incoherent");
    expect(unchecked(up().other("cpu_set_apic_base 0x00000000fee00900"))).not.toContain(
      "vtd.check.x2apic-first",
    );
  });
});
