import { describe, expect, test } from "vitest";
import { Replay, type ReplayOptions } from "./replay.ts";
import type { ReplayResult } from "./replay-result.ts";

function replay(text: string, options: ReplayOptions = {}): ReplayResult {
  const run = new Replay(options);
  run.feed(Uint8Array.from(text, (char) => char.charCodeAt(0)));
  return run.finish();
}

const passed = [
  "vtd_ir_remap_msi_req addr 0xfee01004 data 0x4031",
  "vtd_ir_remap_msi (addr 0xfee01004, data 0x4031) -> (addr 0xfee01004, data 0x4031)",
  "apic_deliver_irq dest 1 dest_mode 1 delivery_mode 0 vector 49 trigger_mode 0",
];

describe("a replay", () => {
  test("passes requests through while remapping is off, and counts them", () => {
    expect(replay(`${passed.join("\n")}\n`)).toMatchObject({
      requests: 1,
      agreed: 1,
      lines: 3,
      requesters: [{ requester: "unknown", entries: 0, vectors: [49], destinations: [1] }],
    });
  });

  test.each([
    "",
    "\n\n",
    "vtd_ir_enable enable 1\n",
    "ioapic_set_irq vector: 4 level: 0\n",
    "some other text\n",
  ])("of %j, which holds no request, says so", (text) => {
    expect(() => replay(text)).toThrow(/^no interrupt requests in \d+ lines: expected vtd_ir_remap_msi_req/);
  });

  test("refuses a profile that there is not, and one of the other vendor", () => {
    expect(() => new Replay({ profile: "vtd-qemu-6.0" })).toThrow(
      'profile "vtd-qemu-6.0": expected one of vtd-strict',
    );
    expect(() => replay(passed.join("\n"), { profile: "amdvi-strict" })).toThrow(
      'profile "amdvi-strict" is not for the unit of this trace, VT-d: expected one of vtd-strict',
    );
    expect(() => replay("amdvi_intr_inval Interrupt table invalidated\n", { profile: "vtd-strict" })).toThrow(
      "AMD-Vi",
    );
  });

  test("knows the newest QEMU's profiles by their short names", () => {
    expect(replay(passed.join("\n"), { profile: "vtd-qemu" }).profile).toBe("vtd-qemu-11.1");
  });

  test("says which request it cannot follow", () => {
    expect(() => replay(passed.join("\n"), { follow: { ordinal: 2 } })).toThrow(
      "request 2 to follow: the trace has requests 1 to 1",
    );
    expect(() => replay(passed.join("\n"), { follow: { line: 9 } })).toThrow(
      "line 9 to follow: no interrupt request's line",
    );
    const blocked =
      "vtd_ir_remap_msi_req addr 0xfee00318 data 0x0\nvtd_ir_remap_msi (addr 0xfee00318, data 0x0) -> (addr 0xfee01004, data 0x4031)\n";
    expect(() => replay(blocked, { follow: "instructive" })).toThrow("no request to follow");
  });

  test("compares what the local APICs were handed, field by field", () => {
    for (const [from, to] of [
      ["dest 1", "dest 2"],
      ["dest_mode 1", "dest_mode 0"],
      ["delivery_mode 0", "delivery_mode 1"],
      ["vector 49", "vector 50"],
      ["trigger_mode 0", "trigger_mode 1"],
    ] as const) {
      const text = passed.join("\n").replace(from, to);
      expect(replay(text.concat("\n"))).toMatchObject({
        disagreedCount: 1,
        disagreed: [{ line: 3, rule: "vtd.ir.pass-through" }],
      });
    }
  });

  test("names what each side says", () => {
    const text = passed.join("\n").replace(/0x4031\)$/m, "0x4032)");
    expect(replay(`${text}\n`).disagreed).toEqual([
      {
        line: 2,
        expected: "addr 0xfee01004, data 0x4032",
        got: "addr 0xfee01004, data 0x4031",
        rule: "vtd.ir.pass-through",
      },
    ]);
  });

  test("finds an outcome of another request than the one before it", () => {
    const text = passed.join("\n").replace("(addr 0xfee01004", "(addr 0xfee02004");
    expect(replay(`${text}\n`).disagreed).toMatchObject([
      { line: 2, expected: "outcome of addr 0xfee02004, data 0x4031" },
    ]);
  });

  test("keeps the first thousand disagreements and counts them all", () => {
    const wrong = passed[1]!.replace(/0x4031\)$/, "0x4032)");
    const result = replay(`${passed[0]}\n${wrong}\n`.repeat(1500));
    expect(result).toMatchObject({ requests: 1500, agreed: 0, disagreedCount: 1500 });
    expect(result.disagreed).toHaveLength(1000);
  });

  test("counts lines that belong to no request, and requests that are none", () => {
    const text = [
      passed[1],
      passed[2],
      "vtd_ir_irte_get index 1 low 0x4ff00 high 0x1000030000d",
      ...passed,
      passed[1],
      passed[2],
      "vtd_ir_irte_get index 1 low 0x4ff00 high 0x1000030000d",
      "vtd_ir_remap_msi_req addr 0x1fee01004 data 0x31",
      passed[1],
      "vtd_ir_remap_msi_req addr 0xfed01004 data 0x31",
    ];
    expect(replay(`${text.join("\n")}\n`)).toMatchObject({
      requests: 1,
      agreed: 1,
      skipped: {
        "outcome without a request": { count: 3, line: 1 },
        "delivery without a request": { count: 2, line: 2 },
        "vtd_ir_irte_get without a request": { count: 2, line: 3 },
        "request outside FEEx_xxxxh": { count: 2, line: 10 },
      },
    });
  });

  test("does not take the delivery of the unit's own message for the request's", () => {
    const own = [
      "vtd_irq_generate addr 0xfee02004 data 0x21",
      "apic_deliver_irq dest 2 dest_mode 1 delivery_mode 0 vector 33 trigger_mode 0",
    ];
    expect(replay(`${[passed[0], passed[1], ...own, passed[2]].join("\n")}\n`)).toMatchObject({
      agreed: 1,
      notChecked: {},
    });
  });

  test("counts deliveries that the trace does not show", () => {
    expect(replay(`${passed[0]}\n${passed[1]}\n${passed[0]}\n${passed[1]}\n`)).toMatchObject({
      agreed: 2,
      notChecked: { delivery: 2 },
    });
  });

  test("of a log that is cut off anywhere never disagrees, and loses no request", () => {
    const text = `${[...passed, ...passed].join("\n")}\n`;
    for (let end = passed[0]!.length; end <= text.length; end++) {
      const result = replay(text.slice(0, end));
      expect(result.disagreedCount).toBe(0);
      const { outcome = 0, damaged = 0 } = result.notChecked;
      expect(result.requests).toBe(result.agreed + outcome + damaged);
    }
  });

  test("takes a destination beyond 8 bits as QEMU prints it, cut or whole", () => {
    const wide = [
      "vtd_ir_remap_msi_req addr 0xfee00010 data 0xd1",
      "vtd_ir_irte_get index 0 low 0x0 high 0x1200d10005",
      "vtd_ir_remap index 0 trigger 0 vector 209 deliver 0 dest 0x12 mode 1",
    ];
    const entry = wide
      .join("\n")
      .replace("0x1200d10005", "0x4561200d10005")
      .replace("dest 0x12", "dest 0x45612");
    const message = "vtd_ir_remap_msi (addr 0xfee00010, data 0xd1) -> (addr 0x45600fee12004, data 0x40d1)";
    for (const [destination, agreed] of [
      [0x12, 1],
      [0x45612, 1],
      [0x56, 0],
    ] as const) {
      const delivery = `apic_deliver_irq dest ${destination} dest_mode 1 delivery_mode 0 vector 209 trigger_mode 0`;
      expect(replay(`${entry}\n${message}\n${delivery}\n`)).toMatchObject({
        agreed,
        disagreedCount: 1 - agreed,
      });
    }
  });
});
