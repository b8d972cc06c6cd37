import { describe, expect, test } from "vitest";
import { Replay, type ReplayOptions } from "./replay.ts";
import type { ReplayResult } from "./replay-result.ts";

function replay(lines: readonly string[], options: ReplayOptions = {}): ReplayResult {
  const run = new Replay(options);
  run.feed(Uint8Array.from(`${lines.join("\n")}\n`, (char) => char.charCodeAt(0)));
  return run.finish();
}

/** QI on, table at 1200000h with 256 entries, remapping on. */
const setup = [
  "vtd_reg_write addr 0x90 size 0x8 value 0x11c8000",
  "vtd_reg_write addr 0x18 size 0x4 value 0x4000000",
  "vtd_reg_write_gcmd status 0x0 value 0x4000000",
  "vtd_reg_write addr 0xb8 size 0x8 value 0x1200007",
  "vtd_reg_write addr 0x18 size 0x4 value 0x5000000",
  "vtd_reg_write_gcmd status 0x4000000 value 0x5000000",
  "vtd_reg_write addr 0x88 size 0x4 value 0x20",
  "vtd_inv_qi_tail write tail 2",
  "vtd_inv_desc invalidate desc type iec high 0x0 low 0x4",
  "vtd_inv_desc invalidate desc type wait high 0x1046004 low 0x200000025",
  "vtd_reg_write addr 0x18 size 0x4 value 0x6000000",
  "vtd_reg_write_gcmd status 0x5000000 value 0x6000000",
  "vtd_ir_enable enable 1",
];
const request = "vtd_ir_remap_msi_req addr 0xfee00338 data 0x0";
const entry = "vtd_ir_irte_get index 25 low 0x40018 high 0x1000023000d";
const outcome = "vtd_ir_remap_msi (addr 0xfee00338, data 0x0) -> (addr 0xfee0100c, data 0x4023)";
const delivery = "apic_deliver_irq dest 1 dest_mode 1 delivery_mode 0 vector 35 trigger_mode 0";
const whole = [request, entry, outcome, delivery];

function frr(reason: number): string {
  return `vtd_frr_new index 0 high 0x800000${reason.toString(16)}00000018 low 0x19000000000000`;
}

function invalidate(low: string): string[] {
  return [`vtd_inv_desc invalidate desc type iec high 0x0 low ${low}`];
}

describe("the replay of a VT-d trace", () => {
  test("remaps a request through the entry that QEMU fetched", () => {
    expect(replay([...setup, ...whole])).toMatchObject({
      agreed: 1,
      notChecked: { sourceId: 1 },
      skipped: {},
    });
  });

  test("agrees that a request was blocked, with or without its reason", () => {
    const absent = entry.replace("3000d", "3000c");
    for (const evidence of [[absent], [absent, frr(0x22)]]) {
      expect(replay([...setup, request, ...evidence, ...whole])).toMatchObject({ requests: 2, agreed: 2 });
    }
  });

  test("disagrees about the reason, at the line of the record", () => {
    const absent = entry.replace("3000d", "3000c");
    const { disagreed } = replay([...setup, request, absent, frr(0x26), ...whole]);
    expect(disagreed).toMatchObject([{ line: 16, expected: "blocked: 26h", rule: "vtd.ir.not-present" }]);
    expect(disagreed[0]!.got).toMatch(/^blocked: 22h, /);
  });

  test("does not take the record of a DMA fault for the request's", () => {
    expect(replay([...setup, ...whole, frr(0x05), ...whole])).toMatchObject({ agreed: 2, skipped: {} });
    expect(replay([...setup, ...whole, frr(0x22), ...whole]).skipped).toMatchObject({
      "vtd_frr_new without a request": { count: 1 },
    });
  });

  test("blocks an index past the table, as QEMU does", () => {
    const past = [
      "vtd_ir_remap_msi_req addr 0xfee02018 data 0x0",
      "vtd_ir_irte_get index 256 low 0x40018 high 0x1000023000d",
      "vtd_ir_remap_msi (addr 0xfee02018, data 0x0) -> (addr 0xfee0100c, data 0x4023)",
    ];
    expect(replay([...setup, past[0]!, ...whole])).toMatchObject({ requests: 2, agreed: 2 });
    for (const profile of ["vtd-qemu-11.1", "vtd-qemu-7.2"]) {
      expect(replay([...setup, ...past], { profile })).toMatchObject({
        disagreed: [{ line: 16, rule: "vtd.ir.index-out-of-range" }],
      });
    }
  });

  test("skips an index that no table has", () => {
    const past = entry.replace("index 25", "index 65536");
    expect(replay([...setup, request, past, outcome])).toMatchObject({
      agreed: 0,
      disagreedCount: 0,
      notChecked: { entry: 1 },
      skipped: { "table index past 65535": { count: 1, line: 15 } },
    });
  });

  test("takes the requester from a patched line or from a warning, and then verifies it", () => {
    const patched = request.replace("data 0x0", "data 0x0 sid 0x18 do_fault 1");
    const warning = "vtd_warn_ir_vector sid 0x18 index 25 vec 2 (should be: 35)";
    for (const lines of [
      [patched, entry, outcome],
      [request, entry, warning, outcome],
    ]) {
      const result = replay([...setup, ...lines], { follow: "instructive" });
      expect(result).toMatchObject({ agreed: 1, notChecked: { delivery: 1 } });
      expect(result.followed).toMatchObject({ requester: "00:03.0", requesterKnown: true });
      expect(result.followed!.steps[7]).toMatchObject({ verdict: "held", rule: "vtd.ir.sid-mismatch" });
    }
    const wrong = replay([...setup, patched.replace("0x18", "0x20"), entry, outcome], {
      follow: "instructive",
    });
    expect(wrong.disagreed).toMatchObject([{ rule: "vtd.ir.sid-mismatch" }]);
    expect(wrong.followed!.steps.map(({ verdict }) => verdict)).toEqual([
      ...Array.from({ length: 7 }, () => "held"),
      "blocked here",
      "not reached",
      "not reached",
    ]);
    expect(wrong.followed).toMatchObject({ outcome: "blocked", message: null, delivery: null });
  });

  test("names a range of buses where the entry gives one", () => {
    const range = entry.replace("0x40018", "0x80205");
    const { requesters, followed } = replay([...setup, request, range, outcome], { follow: "instructive" });
    expect(requesters).toMatchObject([{ requester: "bus 02-05" }]);
    expect(followed!.requester).toBe("bus 02-05");
  });

  test("keeps an entry under the strict profile until it is invalidated, and reads it anew under QEMU's", () => {
    const changed = entry.replace("23000d", "24000d");
    const changedOutcome = outcome.replace("0x4023", "0x4024");
    const stale = [...setup, ...whole, request, changed, changedOutcome];
    expect(replay(stale).disagreedCount).toBe(0);
    expect(replay(stale, { profile: "vtd-strict" }).disagreed).toMatchObject([
      {
        line: 20,
        expected: "addr 0xfee0100c, data 0x4024",
        got: "addr 0xfee0100c, data 0x4023",
        rule: "vtd.ir.remap",
      },
    ]);
    for (const [drop, disagreements] of [
      [invalidate("0x4"), 0],
      [invalidate("0x1900000014"), 0],
      [invalidate("0x1a00000014"), 1],
      [["vtd_inv_desc_iec granularity 0x0 index 0x0 mask 0x0"], 0],
      [["vtd_inv_desc_iec granularity 0x1 index 0x18 mask 0x1"], 0],
      [["vtd_inv_desc_iec granularity 0x1 index 0x1a mask 0x1"], 1],
      [["x86_iommu_iec_notify Notify IEC invalidation: global=1 index=0 mask=0"], 1],
      [[...invalidate("0x1a00000014"), "vtd_inv_desc_iec granularity 0x1 index 0x19 mask 0x0"], 1],
    ] as const) {
      const lines = [...setup, ...whole, ...drop, request, changed, changedOutcome];
      expect(replay(lines, { profile: "vtd-strict" }).disagreedCount).toBe(disagreements);
    }
  });

  test("knows that a unit which keeps neighbours read them as they were, not as the trace first shows them", () => {
    const neighbour = whole.map((line) =>
      line.replaceAll("0xfee00338", "0xfee00358").replace("index 25", "index 26"),
    );
    const options = { profile: "vtd-line-cache" };
    expect(replay([...setup, ...whole, ...neighbour], options)).toMatchObject({ agreed: 2 });
    const changed = neighbour.map((line) =>
      line.replace("23000d", "24000d").replace("0x4023", "0x4024").replace("vector 35", "vector 36"),
    );
    expect(replay([...setup, ...whole, ...neighbour, ...changed], options)).toMatchObject({
      agreed: 2,
      disagreedCount: 1,
    });
    for (const invalidation of ["low 0x4", "low 0x1a00000014"]) {
      const drop = `vtd_inv_desc invalidate desc type iec high 0x0 ${invalidation}`;
      expect(replay([...setup, ...whole, ...neighbour, drop, ...whole, ...changed], options)).toMatchObject({
        agreed: 4,
      });
    }
  });

  test("blocks compatibility requests under the strict profile that QEMU lets through", () => {
    const lines = [
      ...setup,
      "vtd_ir_remap_msi_req addr 0xfee01004 data 0x31",
      "vtd_ir_remap_msi (addr 0xfee01004, data 0x31) -> (addr 0xfee01004, data 0x31)",
    ];
    expect(replay(lines, { follow: "instructive" })).toMatchObject({
      agreed: 1,
      followed: { rule: "qemu.vtd.compatibility-passes", outcome: "passed", index: null },
    });
    const strict = replay(lines, { profile: "vtd-strict", follow: "instructive" });
    expect(strict.disagreed).toMatchObject([{ line: 15, rule: "vtd.ir.compatibility-blocked" }]);
    expect(strict.followed!.steps.slice(1, 5).map(({ verdict }) => verdict)).toEqual([
      "held",
      "blocked here",
      "not reached",
      "not reached",
    ]);
    const cfi = [
      "vtd_reg_write addr 0x18 size 0x4 value 0x6800000",
      "vtd_reg_write_gcmd status 0x7000000 value 0x6800000",
    ];
    const allowed = replay([...setup, ...cfi, ...lines.slice(-2)], {
      profile: "vtd-strict",
      follow: { ordinal: 1 },
    });
    expect(allowed).toMatchObject({ agreed: 1, followed: { rule: "vtd.ir.compatibility-pass" } });
  });

  test("posts where the model's unit can, which QEMU's cannot", () => {
    const posted = entry.replace("0x1000023000d", "0x10000238001").replace("0x40018", "0x40018");
    const lines = [...setup, request, posted, outcome.replace("0xfee0100c", "0xfee01000")];
    expect(replay(lines)).toMatchObject({ agreed: 1 });
    const strict = replay(lines, { profile: "vtd-strict", follow: "instructive" });
    expect(strict).toMatchObject({
      disagreed: [{ got: "posted to a descriptor", rule: "vtd.post.atomic" }],
      followed: { outcome: "posted", message: null, delivery: null },
      requesters: [{ vectors: [] }],
    });
    expect(strict.followed!.entry!.fields.map(({ name }) => name)).toContain("urg");
    expect(strict.followed!.steps[9]!.verdict).toBe("posted");
  });

  test("keeps the two low bits of the request's address, as QEMU does", () => {
    const odd = whole.map((line) =>
      line.replace(/0xfee00338/g, "0xfee0033b").replace("0xfee0100c", "0xfee0100f"),
    );
    expect(replay([...setup, ...odd])).toMatchObject({ agreed: 1 });
  });

  test("without the entry does not compare, and counts it", () => {
    expect(replay([...setup, request, outcome, delivery, request, ...whole])).toMatchObject({
      requests: 3,
      agreed: 1,
      disagreedCount: 0,
      notChecked: { entry: 2 },
    });
  });

  test.each([
    ["the entry", [request, "vtd_ir_irte_get index 25 low 0x40018 high 0x10z", outcome, delivery]],
    ["the outcome", [request, entry, "vtd_ir_remap_msi (addr 0xfee00338, data 0x0) -> (addr 0x", delivery]],
    ["the fault", [request, entry, "vtd_frr_new index 0 high"]],
  ])("does not compare a request with a damaged line: %s", (_what, lines) => {
    const result = replay([...setup, ...lines, ...whole]);
    expect(result).toMatchObject({ requests: 2, agreed: 1, disagreedCount: 0, notChecked: { damaged: 1 } });
    expect(Object.keys(result.skipped)[0]).toMatch(/^malformed vtd_/);
  });

  test("drops the lines of a request that cannot be read itself, and compares the one before it", () => {
    expect(
      replay([...setup, ...whole, "vtd_ir_remap_msi_req addr 0xfee003 data", ...whole.slice(1), ...whole]),
    ).toMatchObject({
      requests: 2,
      agreed: 2,
      skipped: { "malformed vtd_ir_remap_msi_req": { count: 1, line: 18 } },
    });
    const compared = replay([...setup, ...whole, "vtd_ir_enable on", "apic_deliver_irq dest"]);
    expect(compared).toMatchObject({ agreed: 1, notChecked: { sourceId: 1 } });
  });

  describe("that starts after the unit was set up", () => {
    const x2apic = [
      "vtd_ir_enable enable 1",
      "vtd_ir_remap_msi_req addr 0xfee00010 data 0xd1",
      "vtd_ir_irte_get index 0 low 0x0 high 0x100d10005",
      "vtd_ir_remap index 0 trigger 0 vector 209 deliver 0 dest 0x1 mode 1",
      "vtd_ir_remap_type IOAPIC",
      "vtd_ir_remap_msi (addr 0xfee00010, data 0xd1) -> (addr 0xfee01004, data 0x40d1)",
    ];
    const xapic = [
      "vtd_ir_remap_msi_req addr 0xfee00030 data 0xd1",
      "vtd_ir_irte_get index 1 low 0x0 high 0x10000d10005",
      "vtd_ir_remap index 1 trigger 0 vector 209 deliver 0 dest 0x1 mode 1",
      "vtd_ir_remap_msi (addr 0xfee00030, data 0xd1) -> (addr 0xfee01004, data 0x40d1)",
    ];

    test("infers EIME from what QEMU read out of an entry, and counts that", () => {
      expect(replay(x2apic)).toMatchObject({ agreed: 1, notChecked: { registers: 1, delivery: 1 } });
      expect(replay(xapic)).toMatchObject({ agreed: 1, notChecked: { registers: 1 } });
      expect(replay([...x2apic, ...xapic])).toMatchObject({ agreed: 2, notChecked: { registers: 2 } });
      const unclear = xapic.map((line) =>
        line.replace("0x10000d10005", "0xd10005").replace("0xfee01004", "0xfee00004"),
      );
      expect(
        replay([...x2apic, ...unclear.filter((line) => !line.startsWith("vtd_ir_remap index"))]),
      ).toMatchObject({ agreed: 2 });
    });

    test("places the table where a line says it lies", () => {
      const { followed } = replay(["vtd_reg_ir_root addr 0x1200000 size 0x100", ...xapic], {
        follow: "instructive",
      });
      expect(followed!.entry!.address).toBe(0x1200010n);
      expect(followed!.steps[4]!.detail).toContain("256 entries");
      for (const nonsense of [
        "addr 0x1200001 size 0x100",
        "addr 0x1200000 size 0x101",
        "addr 0x1200000 size 0x1",
      ]) {
        const other = replay([`vtd_reg_ir_root ${nonsense}`, ...xapic], { follow: "instructive" });
        expect(other).toMatchObject({ agreed: 1, followed: { entry: { address: null } } });
      }
    });

    test("follows vtd_ir_enable both ways", () => {
      const compatibility = [
        "vtd_ir_remap_msi_req addr 0xfee01004 data 0x31",
        "vtd_ir_remap_msi (addr 0xfee01004, data 0x31) -> (addr 0xfee01004, data 0x31)",
      ];
      const options = { profile: "vtd-strict" };
      expect(replay([...x2apic, ...compatibility], options).disagreedCount).toBe(1);
      expect(replay([...x2apic, "vtd_ir_enable enable 0", ...compatibility], options).disagreedCount).toBe(0);
    });
  });

  describe("with register writes", () => {
    test("takes GCMD from its own event where that is the only one", () => {
      const only = setup.filter((line) => !line.startsWith("vtd_reg_write addr 0x18"));
      expect(replay([...only, ...whole])).toMatchObject({ agreed: 1, notChecked: { sourceId: 1 } });
    });

    test("takes GCMD from the register write where that is the only one", () => {
      const only = setup.filter((line) => !line.startsWith("vtd_reg_write_gcmd"));
      expect(replay([...only, ...whole])).toMatchObject({ agreed: 1 });
    });

    test.each([
      ["that the trace shows", ["vtd_reset_exit "]],
      [
        "that only the next status shows",
        ["vtd_reg_write addr 0x18 size 0x4 value 0x4000000", "vtd_reg_write_gcmd status 0x0 value 0x4000000"],
      ],
    ])("starts over after a reset %s", (_what, reset) => {
      const compatibility = [
        "vtd_ir_remap_msi_req addr 0xfee01004 data 0x31",
        "vtd_ir_remap_msi (addr 0xfee01004, data 0x31) -> (addr 0xfee01004, data 0x31)",
      ];
      expect(
        replay([...setup, ...whole, ...reset, ...compatibility], { profile: "vtd-strict" }),
      ).toMatchObject({ agreed: 2 });
    });

    test("skips writes that no register has", () => {
      const wrong = [
        "vtd_reg_write addr 0x18 size 0x2 value 0x0",
        "vtd_reg_write addr 0x19 size 0x4 value 0x0",
        "vtd_reg_write addr 0x1000 size 0x4 value 0x0",
        "vtd_reg_write addr 0xfffffffc size 0x4 value 0x0",
      ];
      expect(replay([...setup, ...wrong, ...whole]).skipped).toEqual({
        "register write that the specification does not allow": { count: 4, line: 14 },
      });
    });
  });

  test("ends in one clear error when a trace touches more tables than a machine has", () => {
    const run = new Replay();
    const write = (text: string): void => run.feed(Uint8Array.from(text, (char) => char.charCodeAt(0)));
    write(`${setup.join("\n")}\n`);
    expect(() => {
      for (let table = 0; table < 300; table++) {
        const base = (0x1_0000_0000 + table * 0x10_0000).toString(16);
        write(
          `vtd_reg_write addr 0xb8 size 0x8 value 0x${base}\nvtd_reg_write addr 0x18 size 0x4 value 0x7000000\n`,
        );
        write(`${request}\n${entry}\n${outcome}\n`);
      }
    }).toThrow(/^line \d+: tables of more than 256 MiB so far, expected a trace of one machine$/);
  });
});
