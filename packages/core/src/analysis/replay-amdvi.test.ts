import { describe, expect, test } from "vitest";
import { Replay, type ReplayOptions } from "./replay.ts";
import type { ReplayResult } from "./replay-result.ts";

function replay(lines: readonly string[], options: ReplayOptions = {}): ReplayResult {
  const run = new Replay(options);
  run.feed(Uint8Array.from(`${lines.join("\n")}\n`, (char) => char.charCodeAt(0)));
  return run.finish();
}

const strict = { profile: "amdvi-strict" };
const enabled = "amdvi_control_status MMIO_STATUS state 0x23487";
const request = "amdvi_ir_remap_msi_req addr 0xfee00000 data 0x4 devid 0x18";
const remapped = [
  request,
  "amdvi_ir_delivery_mode fixed/arbitrated",
  "amdvi_ir_intctl int_ctl 0x2",
  "amdvi_ir_irte addr 0x64c6000 offset 0x40",
  "amdvi_ir_irte_ga_val hi 0x23 lo 0x841",
  "amdvi_ir_remap_msi (addr 0xfee00000, data 0x4) -> (addr 0xfee08004, data 0x4023)",
  "apic_deliver_irq dest 8 dest_mode 1 delivery_mode 0 vector 35 trigger_mode 0",
];

function unchanged(data: string, devid = "0x18"): string[] {
  return [
    `amdvi_ir_remap_msi_req addr 0xfee00000 data ${data} devid ${devid}`,
    `amdvi_ir_remap_msi (addr 0xfee00000, data ${data}) -> (addr 0xfee00000, data ${data})`,
  ];
}

function edited(from: string | RegExp, to: string): string[] {
  return remapped.map((line) => line.replace(from, to));
}

function withControl(value: number): string[] {
  return [request, `amdvi_ir_intctl int_ctl 0x${value}`];
}

describe("the replay of an AMD-Vi trace", () => {
  test("remaps a request through the entry that QEMU fetched", () => {
    expect(replay([enabled, ...remapped])).toMatchObject({
      vendor: "amd",
      agreed: 1,
      notChecked: {},
      skipped: {},
      requesters: [
        { requester: "xx:03.0", table: "0x64c6000", entries: 1, vectors: [35], destinations: [8] },
      ],
    });
    expect(replay([enabled, ...remapped], strict)).toMatchObject({
      agreed: 1,
      notChecked: { tableLength: 1 },
    });
  });

  test("tells the form of the entry by its event", () => {
    const legacy = [
      request,
      "amdvi_ir_intctl int_ctl 0x2",
      "amdvi_ir_irte addr 0x64c6000 offset 0x10",
      "amdvi_ir_irte_val data 0x230841",
      remapped[5]!,
    ];
    for (const profile of ["amdvi-strict", "amdvi-qemu"]) {
      const result = replay([enabled, ...legacy, ...remapped, ...legacy], {
        profile,
        follow: { ordinal: 1 },
      });
      expect(result).toMatchObject({
        agreed: 3,
        followed: { entry: { width: 32, value: 0x230841n, address: 0x64c6010n } },
      });
    }
  });

  test("finds an entry that does not lie where the index says", () => {
    expect(replay([enabled, ...edited("offset 0x40", "offset 0x30")])).toMatchObject({
      disagreed: [{ line: 7, rule: "amdvi.ir.not-enabled" }],
    });
  });

  test.each([
    ["RemapEn is disabled", "lo 0x840", "amdvi_ir_target_abort"],
    ["guest mode is not zero", "lo 0x8c1", "amdvi_ir_err"],
    ["reserved int_type is set", "lo 0x849", "amdvi_ir_err"],
  ])("agrees that a request was blocked: %s", (reason, low, event) => {
    const blocked = [...edited("lo 0x841", low).slice(0, 5), `${event} ${reason}`];
    for (const profile of ["amdvi-strict", "amdvi-qemu"]) {
      expect(replay([enabled, ...blocked, ...remapped], { profile })).toMatchObject({
        requests: 2,
        agreed: 2,
      });
    }
    expect(replay([enabled, ...remapped.slice(0, 5), `${event} ${reason}`, ...remapped])).toMatchObject({
      disagreed: [{ line: 7, expected: `blocked: ${reason}`, got: "addr 0xfee08004, data 0x4023" }],
    });
  });

  test("obeys IntCtl as fetched: abort, pass and the reserved value", () => {
    const abort = [...withControl(0), "amdvi_ir_target_abort int_ctl abort"];
    const reserved = [...withControl(3), "amdvi_ir_err int_ctl reserved"];
    const pass = [...withControl(1), unchanged("0x4")[1]!];
    const zeroed = [
      ...withControl(1),
      "amdvi_ir_remap_msi (addr 0xfee00000, data 0x4) -> (addr 0xfee00000, data 0x4000)",
    ];
    for (const profile of ["amdvi-strict", "amdvi-qemu"]) {
      expect(replay([enabled, ...abort, ...reserved, ...remapped], { profile })).toMatchObject({ agreed: 3 });
    }
    const passed = replay([enabled, ...pass], { ...strict, follow: { ordinal: 1 } });
    expect(passed).toMatchObject({
      agreed: 1,
      followed: { rule: "amdvi.ir.intctl-pass", outcome: "passed" },
    });
    expect(replay([enabled, ...pass])).toMatchObject({ disagreedCount: 1 });
    const { agreed, followed } = replay([enabled, ...zeroed], { follow: { ordinal: 1 } });
    expect(agreed).toBe(1);
    expect(followed).toMatchObject({ rule: "qemu.amdvi.pass-zeroed", outcome: "passed", entry: null });
    expect(followed!.steps.find(({ verdict }) => verdict === "passed here")).toMatchObject({
      step: 5,
      rule: "qemu.amdvi.pass-zeroed",
    });
    expect(replay([enabled, ...zeroed, ...pass])).toMatchObject({
      disagreed: [{ rule: "qemu.amdvi.pass-zeroed" }],
    });
    expect(replay([enabled, ...zeroed], strict)).toMatchObject({
      disagreed: [{ rule: "amdvi.ir.intctl-pass" }],
    });
  });

  test("passes requests while the unit is off, and those of devices that are not mapped", () => {
    const off = replay([...unchanged("0x31"), enabled, ...unchanged("0x31"), ...remapped], strict);
    expect(off).toMatchObject({ agreed: 3, notChecked: { deviceTable: 1, delivery: 2 } });
    const followed = (ordinal: number): ReplayResult["followed"] =>
      replay([...unchanged("0x31"), enabled, ...unchanged("0x31"), ...remapped], {
        ...strict,
        follow: { ordinal },
      }).followed;
    expect(followed(1)).toMatchObject({ rule: "amdvi.ir.disabled", outcome: "passed" });
    expect(
      followed(1)!
        .steps.map(({ verdict }) => verdict)
        .slice(0, 2),
    ).toEqual(["passed here", "not reached"]);
    expect(followed(2)).toMatchObject({ rule: "amdvi.ir.map-invalid", index: null, entry: null });
  });

  test("sees that QEMU remaps without IommuEn, and the specification does not", () => {
    const disabled = "amdvi_control_status MMIO_STATUS state 0x3e482";
    const lines = [enabled, ...remapped, disabled, ...remapped, enabled, ...remapped];
    expect(replay(lines)).toMatchObject({ agreed: 3 });
    expect(replay(lines, strict)).toMatchObject({
      agreed: 2,
      disagreed: [{ line: 15, rule: "amdvi.ir.disabled" }],
    });
    expect(replay(lines, { follow: { ordinal: 1 } }).followed!.steps[0]).toMatchObject({ verdict: "held" });
  });

  test.each([
    ["NMI", "0x400"],
    ["INIT", "0x500"],
    ["ExtINT", "0x700"],
  ])("takes the pass bit for an %s message from what became of it, and counts that", (_type, data) => {
    const [, pass] = unchanged(data);
    const message = unchanged(data)[0]!;
    for (const profile of ["amdvi-strict", "amdvi-qemu"]) {
      const lines = [
        enabled,
        message,
        "amdvi_ir_delivery_mode x",
        pass!,
        message,
        "amdvi_ir_err passthrough is not enabled",
        ...remapped,
      ];
      const result = replay(lines, { profile, follow: { ordinal: 1 } });
      expect(result).toMatchObject({ agreed: 3, notChecked: { deviceTable: 2 } });
      expect(result.followed).toMatchObject({ rule: "amdvi.ir.type-passes", outcome: "passed" });
    }
  });

  test("refuses a message of a reserved type, and an SMI where QEMU does", () => {
    const message = "amdvi_ir_remap_msi_req addr 0xfee00000 data 0x300 devid 0x18";
    expect(
      replay([enabled, message, "amdvi_ir_delivery_mode unsupported delivery_mode", ...remapped]),
    ).toMatchObject({ agreed: 2 });
    const smi = unchanged("0x200");
    expect(replay([enabled, smi[0]!, ...remapped])).toMatchObject({ agreed: 2 });
    expect(replay([enabled, smi[0]!, ...remapped], strict)).toMatchObject({
      agreed: 1,
      disagreed: [{ line: 2, expected: "blocked" }],
    });
  });

  test("lets an SMI pass by the rule for SMIs", () => {
    const result = replay([enabled, ...unchanged("0x200"), ...remapped], {
      ...strict,
      follow: { ordinal: 1 },
    });
    expect(result).toMatchObject({
      agreed: 2,
      followed: { rule: "amdvi.ir.smi-passes", outcome: "passed" },
    });
  });

  test.each([
    [strict.profile, "0xfee00004", "2048 interrupts a device: data bits 10:8 belong to the index"],
    [strict.profile, "0xfee00000", "data bits 10:8 are 0: fixed"],
    ["amdvi-qemu", "0xfee00004", "data bits 10:8 are 0: fixed"],
  ])(
    "takes data bits 10:8 for the index's only where the unit does: %s, addr %s",
    (profile, addr, detail) => {
      const wide = "amdvi_control_status MMIO_STATUS state 0x80000023487";
      const lines = edited("addr 0xfee00000 data", `addr ${addr} data`).map((line) =>
        line.replace("(addr 0xfee00000,", `(addr ${addr},`),
      );
      const { followed } = replay([wide, ...lines], { profile, follow: { ordinal: 1 } });
      expect(followed!.steps[3]!.detail).toBe(detail);
    },
  );

  test("keeps entries under the strict profile until a table is invalidated, whichever it was", () => {
    const changed = edited("hi 0x23", "hi 0x24").map((line) =>
      line.replace("0x4023", "0x4024").replace("vector 35", "vector 36"),
    );
    const other = edited("devid 0x18", "devid 0x20").map((line) => line.replace("0x64c6000", "0x65c0000"));
    expect(replay([enabled, ...remapped, ...changed])).toMatchObject({ agreed: 2 });
    expect(replay([enabled, ...remapped, ...changed], strict)).toMatchObject({
      agreed: 1,
      disagreed: [{ line: 14 }],
    });
    for (const drop of [
      "amdvi_intr_inval Interrupt table invalidated",
      "amdvi_all_inval Invalidation of all AMD-Vi cache requested ",
    ]) {
      expect(replay([enabled, ...remapped, ...other, drop, ...changed], strict)).toMatchObject({ agreed: 3 });
    }
    expect(
      replay([enabled, ...remapped, "amdvi_intr_inval Interrupt table invalidated", ...changed]).notChecked,
    ).toEqual({});
    expect(
      replay([enabled, ...remapped, "amdvi_intr_inval Interrupt table invalidated", ...changed], strict)
        .notChecked,
    ).toEqual({
      invalidatedDevice: 1,
      tableLength: 2,
    });
    const devtab = "amdvi_devtab_inval device table entry for devid: 00:03.0 invalidated";
    expect(replay([enabled, ...remapped, devtab, ...changed], strict)).toMatchObject({
      disagreedCount: 1,
      skipped: {},
    });
  });

  test("drops what was invalidated while the unit stood still", () => {
    const changed = edited("hi 0x23", "hi 0x24").map((line) =>
      line.replace("0x4023", "0x4024").replace("vector 35", "vector 36"),
    );
    const disabled = "amdvi_control_status MMIO_STATUS state 0x23486";
    const lines = [
      enabled,
      ...remapped,
      disabled,
      "amdvi_intr_inval Interrupt table invalidated",
      enabled,
      ...changed,
    ];
    expect(replay(lines, strict)).toMatchObject({ agreed: 2 });
  });

  test("of a trace that starts late takes the unit for enabled, and counts that", () => {
    for (const profile of ["amdvi-strict", "amdvi-qemu"]) {
      expect(replay(remapped, { profile })).toMatchObject({ agreed: 1, notChecked: { registers: 1 } });
    }
  });

  test("without the entry, or without any event about the unit, does not compare", () => {
    expect(replay([enabled, request, remapped[5]!, ...remapped])).toMatchObject({
      agreed: 1,
      notChecked: { entry: 1 },
    });
    expect(
      replay([enabled, ...remapped.slice(0, 4), "amdvi_ir_err failed to get irte", ...remapped]),
    ).toMatchObject({
      agreed: 1,
      notChecked: { entry: 1 },
    });
    expect(replay([enabled, request, ...remapped])).toMatchObject({
      agreed: 1,
      notChecked: { deviceTable: 1 },
    });
    expect(replay([request, remapped[5]!, request, remapped[5]!])).toMatchObject({
      agreed: 0,
      disagreedCount: 0,
      notChecked: { entry: 2 },
    });
    expect(replay(["amdvi_control_status MMIO_STATUS state 0x0", request, remapped[5]!])).toMatchObject({
      disagreedCount: 1,
    });
  });

  test("skips entries that lie in no table", () => {
    for (const place of [
      "addr 0x64c6001 offset 0x40",
      "addr 0x10000064c6000 offset 0x8000",
      "addr 0xfff00000064c6000 offset 0x40",
    ]) {
      const { skipped, notChecked } = replay([enabled, ...edited("addr 0x64c6000 offset 0x40", place)]);
      expect(skipped).toEqual({ "interrupt table entry outside every table": { count: 1, line: 5 } });
      expect(notChecked).toEqual({ entry: 1 });
    }
  });

  test("counts lines about a request that there is not", () => {
    const { skipped } = replay([...remapped.slice(1, 5), "amdvi_ir_err x", ...remapped]);
    expect(Object.values(skipped).map(({ count }) => count)).toEqual([1, 1, 1, 1]);
  });

  test("tells 256 devices with the same low byte apart, and no more", () => {
    const lines = [enabled];
    for (let table = 0; table < 258; table++) {
      lines.push(...edited("0x64c6000", `0x${(0x64c6000 + table * 0x2000).toString(16)}`));
    }
    const result = replay(lines, strict);
    expect(result).toMatchObject({ requests: 258, agreed: 256, notChecked: { deviceTable: 2 } });
    expect(result.requesters).toHaveLength(256);
  });

  test("follows a guest-mode entry field by field", () => {
    const guest = [...edited("lo 0x841", "lo 0x8c1").slice(0, 5), "amdvi_ir_err guest mode is not zero"];
    const { followed } = replay([enabled, ...guest, ...remapped], { follow: { ordinal: 1 } });
    expect(followed).toMatchObject({ outcome: "blocked", rule: "amdvi.irte.guest-mode", agreed: true });
    expect(followed!.entry!.fields.map(({ name }) => name)).toContain("isrun");
    expect(followed!.steps.map(({ verdict }) => verdict)).toEqual([
      "held",
      "not checked",
      "held",
      "held",
      "held",
      "not checked",
      "held",
      "held",
      "blocked here",
      "not reached",
    ]);
  });
});
