import { describe, expect, test } from "vitest";
import { type Traced, TraceReader } from "./trace.ts";

const marker = "ioapic_mem_read ioapic mem read addr 0x8 regsel: 0x0 size 0x4 retval 0x0";
const lines = [
  "vtd_ir_remap_msi (addr 0xfee000b0, data 0x0) -> (addr 0xfee02000, data 0x4055)",
  "apic_deliver_irq dest 2 dest_mode 0 delivery_mode 0 vector 85 trigger_mode 0",
  "vtd_ir_remap_msi (addr 0xfee000b0, data 0x0) -> (addr 0xffffff00feeff004, data 0xc1ab)",
  "apic_deliver_irq dest 255 dest_mode 1 delivery_mode 1 vector 171 trigger_mode 1",
  marker,
  "qemu-system-x86_64: vtd_irte_get: invalid IRTE SID (index=5, sid=4660, source_id=52)",
  "vtd_frr_new index 0 high 0x2600001234 low 0x5000000000000",
  "vtd_irq_generate addr 0xfee03000 data 0x41",
  "apic_deliver_irq dest 3 dest_mode 0 delivery_mode 0 vector 65 trigger_mode 0",
  marker,
  "amdvi_ir_remap_msi (addr 0xfee00000, data 0x5) -> (addr 0xfee01004, data 0x4030)",
  "apic_deliver_irq dest 1 dest_mode 1 delivery_mode 0 vector 48 trigger_mode 0",
  "apic_deliver_irq dest 7 dest_mode 0 delivery_mode 0 vector 38 trigger_mode 0",
  marker,
];
const wanted: Traced[] = [
  {
    sent: [
      { address: 0xfee0_2000n, data: 0x4055 },
      { address: 0xffff_ff00_feef_f004n, data: 0xc1ab },
    ],
    handed: [
      { destination: 2, logical: 0, deliveryMode: 0, vector: 85, level: 0 },
      { destination: 255, logical: 1, deliveryMode: 1, vector: 171, level: 1 },
    ],
    records: 0,
  },
  {
    sent: [{ address: 0xfee0_3000n, data: 0x41 }],
    handed: [{ destination: 3, logical: 0, deliveryMode: 0, vector: 65, level: 0 }],
    records: 1,
  },
  {
    sent: [{ address: 0xfee0_1004n, data: 0x4030 }, null],
    handed: [
      { destination: 1, logical: 1, deliveryMode: 0, vector: 48, level: 0 },
      { destination: 7, logical: 0, deliveryMode: 0, vector: 38, level: 0 },
    ],
    records: 0,
  },
];

function read(...pieces: readonly Buffer[]): { scenes: Traced[]; other: string[] } {
  const other: string[] = [];
  const reader = new TraceReader((line) => other.push(line));
  for (const piece of pieces) reader.feed(piece);
  return { scenes: reader.scenes, other };
}

describe("a trace", () => {
  const whole = Buffer.from(`${lines.join("\n")}\n`);

  test("is read scene by scene; what is no event is told of", () => {
    expect(read(whole)).toEqual({ scenes: wanted, other: [lines[5]] });
  });

  test("is read the same wherever it is cut, though the pieces are written over", () => {
    for (let cut = 0; cut <= whole.length; cut++) {
      const pieces = [whole.subarray(0, cut), whole.subarray(cut)].map((piece) => Buffer.from(piece));
      const other: string[] = [];
      const reader = new TraceReader((line) => other.push(line));
      for (const piece of pieces) {
        reader.feed(piece);
        piece.fill(0x7a);
      }
      expect(reader.scenes).toEqual(wanted);
    }
  });

  test("of another kind of line says nothing", () => {
    const odd = [
      "",
      "v",
      "vtd_ir_remap_msi",
      "apic_deliver_irqs dest 1",
      "ioapic_mem_write x",
      "\u00ff\u0000",
    ];
    const { scenes, other } = read(Buffer.from(`${odd.join("\n")}\n`, "latin1"));
    expect(scenes).toEqual([]);
    expect(other).toEqual(odd);
  });
});
