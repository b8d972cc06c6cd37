import { describe, expect, test } from "vitest";
import { type FaultReason, faultReasons } from "../spec/vtd/faults.ts";
import { rules } from "../spec/rules.ts";
import { advice } from "./causes.ts";
import { explain, explainText, keptLimit } from "./explain.ts";
import { groupFindings, printPlaces } from "./finding-groups.ts";

/** Reason, rule, requester and index of each finding. */
function facts(text: string): unknown[] {
  return explain(text).map(({ reason, rule, requester, index }) => [reason, rule, requester, index]);
}

const dmaAt = (addr: string): string =>
  `DMAR: [DMA Write NO_PASID] Request device [03:00.0] fault addr ${addr} [fault reason 0x05] PTE Write access is not set`;
const rulesOf = (text: string): unknown[] => explain(text).map(({ rule, requester }) => [rule, requester]);
const queue = (info: string): string => `DMAR: VT-d detected Invalidation Queue Error: Reason ${info}`;
const event = (name: string, address: string, flags: string, device = "device=08:00.0 "): string =>
  `AMD-Vi: Event logged [${name} ${device}domain=0x002c address=${address} flags=${flags}]`;
const dump = (word: string): string =>
  [
    event("ILLEGAL_DEV_TABLE_ENTRY", "0xfffffffdf8140000", "0x0008"),
    ...["0000000000000003", "0000000000000000", word, "0000000000000000"].map(
      (w, i) => `AMD-Vi: DTE[${i}]: ${w}`,
    ),
  ].join("\n");
const absentOf = (device: string): string =>
  `DMAR: [INTR-REMAP] Request device [${device}] fault index 0x25 [fault reason 0x22] x`;

describe("VT-d faults", () => {
  const named = Object.values(faultReasons).filter(({ linux }) => linux !== "Unknown");
  const all: readonly FaultReason[] = Object.values(faultReasons);

  test.each(named)(
    "of reason $code are the same in every form of printing",
    ({ code, rule, linux, indexed }) => {
      const hexa = code.toString(16);
      const index = indexed ? 0x1f : null;
      const forms = [
        `INTR-REMAP: Request device [[3a:1f.7] fault index 1f\nINTR-REMAP:[fault reason ${code}] ${linux}`,
        `DMAR: [INTR-REMAP] Request device [3a:1f.7] fault index 1f [fault reason ${code}] ${linux}`,
        `DMAR: [INTR-REMAP] Request device [0x3a:0x1f.7] fault index 0x1f [fault reason 0x${hexa}] ${linux}`,
        `DMAR: [INTR-REMAP] Request device [3a:1f.7] fault index 0x1f [fault reason 0x${hexa}] ${linux}`,
        `(XEN) [VT-D]INTR-REMAP: Request device [3a:1f.7] fault index 1f\n(XEN) [VT-D]INTR-REMAP: reason ${hexa} - ${linux}`,
      ];
      for (const form of forms) expect(facts(form)).toEqual([[code, rule, "3a:1f.7", index]]);
    },
  );

  test("of reasons that Linux prints as unknown DMA faults are interrupt faults, the index in the address", () => {
    for (const { code, rule, indexed } of all.filter(({ code }) => code > 0x26)) {
      const line =
        `DMAR: [DMA Read NO_PASID] Request device [65:00.0] fault addr 0x1b000000000000 ` +
        `[fault reason 0x${code.toString(16)}] Unknown`;
      expect(facts(line)).toEqual([[code, rule, "65:00.0", indexed ? 0x1b : null]]);
      expect(explain(line)[0]).toMatchObject({ kind: "interrupt" });
      expect(explain(line)[0]!.what).toContain("linux.dmar.posted-fault-as-dma");
    }
    expect(
      facts("DMAR: [DMA Write] Request device [65:00.0] fault addr 1b000000000000 [fault reason 39] Unknown"),
    ).toEqual([[0x27, "vtd.post.descriptor-access", "65:00.0", 0x1b]]);
  });

  test("keep a segment only where one is printed", () => {
    expect(
      facts(
        "(XEN) [VT-D]INTR-REMAP: Request device [0000:00:1f.0] fault index 3\n(XEN) [VT-D]INTR-REMAP: reason 22 - x",
      ),
    ).toEqual([[0x22, "vtd.ir.not-present", "0000:00:1f.0", 3]]);
  });

  test("of DMA are called so, and name the interrupt range where the address lies in it", () => {
    expect(facts(dmaAt("0x7f000"))).toEqual([[5, "linux.dmar.dma-fault", "03:00.0", null]]);
    expect(explain(dmaAt("0x7f000"))[0]).toMatchObject({ kind: "dma" });
    expect(explain(dmaAt("0x7f000"))[0]!.name).toMatch(/^DMA fault/);
    expect(explain(dmaAt("0x7f000"))[0]!.what).toContain("no interrupt is involved");
    expect(explain(dmaAt("0xfee01000"))[0]!.what).toContain("interrupt range");
    expect(
      facts("[DMA Read NO_PASID] Request device [03:00.0] fault addr 0x0 [fault reason 0x71] Unknown"),
    ).toEqual([[0x71, "linux.dmar.dma-fault", "03:00.0", null]]);
  });

  test("with an index past 65535 are explained without it", () => {
    for (const index of ["10000", "ffffffffffffffff"]) {
      const line = `DMAR: [INTR-REMAP] Request device [00:01.0] fault index 0x${index} [fault reason 0x22] x`;
      expect(facts(line)).toEqual([[0x22, "vtd.ir.not-present", "00:01.0", null]]);
      expect(explain(line)[0]!.what).toContain("past 65535");
    }
  });

  test("of which a half is missing are explained by the other", () => {
    expect(facts("INTR-REMAP: Request device [[f0:1f.7] fault index 48")).toEqual([
      [null, "vtd.fault.record", "f0:1f.7", null],
    ]);
    expect(facts("[DMA Read] Request device [f0:1f.7] fault addr 48000")).toEqual([
      [null, "vtd.fault.record", "f0:1f.7", null],
    ]);
    expect(facts("INTR-REMAP:[fault reason 34] Present field in the IRTE entry is clear")).toEqual([
      [0x22, "vtd.ir.not-present", null, null],
    ]);
    expect(facts("DMAR:[fault reason 06] PTE Read access is not set")).toEqual([
      [6, "linux.dmar.dma-fault", null, null],
    ]);
  });

  test("make their status line redundant, unless it tells of an overflow", () => {
    const fault = "DMAR: [INTR-REMAP] Request device [00:01.0] fault index 0x1 [fault reason 0x22] x";
    const status = "DMAR: DRHD: handling fault status reg";
    expect(facts(`${status} 2\n${fault}`)).toEqual([[0x22, "vtd.ir.not-present", "00:01.0", 1]]);
    expect(facts(`${status} 3\n${fault}`).map((fact) => (fact as unknown[])[1])).toEqual([
      "vtd.fault.overflow",
      "vtd.ir.not-present",
    ]);
    expect(facts(`${status} 2`)).toEqual([[null, "vtd.fault.event", null, null]]);
    expect(facts(`${status} 12\n${fault}`).map((fact) => (fact as unknown[])[1])).toEqual([
      "vtd.qi.halt",
      "vtd.ir.not-present",
    ]);
  });

  test("of the queue name what stopped it", () => {
    expect(["1", "2", "3", "4", "5", "6", "7", "9", "f"].flatMap((info) => rulesOf(queue(info)))).toEqual([
      ["vtd.qi.invalid-tail", null],
      ["vtd.qi.fetch-error", null],
      ["vtd.qi.invalid-type", null],
      ["vtd.qi.reserved", null],
      ["vtd.qi.width", null],
      ["vtd.qi.tail-alignment", null],
      ["vtd.qi.halt", null],
      ["vtd.qi.halt", null],
      ["linux.dmar.registers-gone", null],
    ]);
    expect(rulesOf("DMAR: VT-d detected Invalidation Time-out Error: SID 300")).toEqual([
      ["vtd.qi.halt", "03:00.0"],
    ]);
    expect(rulesOf("DMAR: VT-d detected Invalidation Completion Error: SID ffff")).toEqual([
      ["linux.dmar.registers-gone", null],
    ]);
    expect(
      explainText("QI HEAD: x qw0 = 0x14, qw1 = 0x0\nQI PRIOR: x qw0 = 0xe, qw1 = 0x0").remarks,
    ).toMatchObject([
      { what: expect.stringContaining("interrupt-entry-cache invalidate") },
      { what: expect.stringContaining("unknown type 0xe") },
    ]);
  });
});

describe("AMD-Vi events", () => {
  test.each([
    ["IO_PAGE_FAULT", "0xfffffffdf8030000", "0x0008", [2, "amdvi.ir.not-enabled", "08:00.0", 3]],
    ["IO_PAGE_FAULT", "0xfdf80f0160", "0x0008", [2, "amdvi.ir.not-enabled", "08:00.0", 15]],
    ["IO_PAGE_FAULT", "0xfffffffdf8ff001c", "0x0008", [2, "amdvi.ir.not-enabled", "08:00.0", 0x7ff]],
    ["IO_PAGE_FAULT", "0xfffffffdf8000000", "0x0018", [2, "amdvi.irte.reserved", "08:00.0", 0]],
    ["IO_PAGE_FAULT", "0x1000", "0x0008", [2, "amdvi.ir.not-enabled", "08:00.0", null]],
    ["IO_PAGE_FAULT", "0xcff49550", "0x0070", [2, "linux.amdvi.dma-fault", "08:00.0", null]],
    [
      "ILLEGAL_DEV_TABLE_ENTRY",
      "0xfffffffdf8140000",
      "0x0008",
      [1, "linux.amdvi.illegal-device-entry", "08:00.0", null],
    ],
    ["ILLEGAL_DEV_TABLE_ENTRY", "0x135300000", "0x0080", [1, "linux.amdvi.dma-fault", "08:00.0", null]],
    ["INVALID_DEVICE_REQUEST", "0xfffffffdf8140200", "0x0a00", [8, "amdvi.ir.intctl-abort", "08:00.0", null]],
    ["INVALID_DEVICE_REQUEST", "0xfdf8000000", "0x0000", [8, "amdvi.ir.malformed-request", "08:00.0", null]],
    ["INVALID_DEVICE_REQUEST", "0x1000", "0x0c00", [8, "amdvi.ir.malformed-request", "08:00.0", null]],
    ["INVALID_DEVICE_REQUEST", "0x1000", "0x0600", [8, "linux.amdvi.dma-fault", "08:00.0", null]],
    ["DEV_TAB_HARDWARE_ERROR", "0x1000", "0x0600", [3, "amdvi.dte.access", "08:00.0", null]],
    ["PAGE_TAB_HARDWARE_ERROR", "0x1000", "0x0008", [4, "amdvi.ir.table-access", "08:00.0", null]],
    ["PAGE_TAB_HARDWARE_ERROR", "0x1000", "0x0600", [4, "linux.amdvi.dma-fault", "08:00.0", null]],
    ["ILLEGAL_COMMAND_ERROR", "0x1000", "0x0000", [5, "amdvi.command.illegal", "08:00.0", null]],
    ["COMMAND_HARDWARE_ERROR", "0x1000", "0x0000", [6, "amdvi.command.read-error", "08:00.0", null]],
    ["IOTLB_INV_TIMEOUT", "0x1000", "0x0000", [7, "linux.amdvi.other-event", "08:00.0", null]],
    ["RMP_PAGE_FAULT", "0x1000", "0x0000", [13, "linux.amdvi.dma-fault", "08:00.0", null]],
  ])("%s at %s with flags %s", (name, address, flags, expected) => {
    expect(facts(event(name, address, flags))).toEqual([expected]);
  });

  test("without a device have no requester", () => {
    expect(facts(event("IO_PAGE_FAULT", "0xfffffffdf8000000", "0x0008", ""))).toEqual([
      [2, "amdvi.ir.not-enabled", null, 0],
    ]);
  });

  test("printed raw get their name from their code", () => {
    const raw = "UNKNOWN event[0]=0x00002600 event[1]=0x20080000 event[2]=0xf8030000 event[3]=0xfffffffd";
    expect(facts(raw)).toEqual([[2, "amdvi.ir.not-enabled", "26:00.0", 3]]);
    expect(facts(raw.replace("0x20080000", "0xf0000000"))).toEqual([
      [null, "linux.amdvi.other-event", "26:00.0", null],
    ]);
  });

  test("are followed by the entry that they speak of", () => {
    expect(explainText(dump("2008000100258013")).remarks).toEqual([
      {
        line: 2,
        what: "Device table entry of 08:00.0: interrupts are remapped by 512 entries from 0x8000100258000.",
      },
    ]);
    expect(facts(dump("200800010025801f"))[1]).toEqual([1, "amdvi.dte.inttablen", "08:00.0", null]);
    expect(facts(dump("3008000100258013"))[1]).toEqual([1, "amdvi.dte.intctl-reserved", "08:00.0", null]);
  });
});

test("QEMU's warnings are the faults that hardware would record", () => {
  const entry = "(index=7, high=0xff00, low=0x100)";
  const lines = [
    "vtd_interrupt_remap_msi: invalid IR MSI (sid=256, address=0xfee003d8, data=0x10000)",
    "vtd_irte_get: index too large: ind=0x10000",
    "vtd_irte_get: read failed: ind=0x5 addr=0x1000050",
    `vtd_irte_get: detected non-present IRTE ${entry}`,
    `vtd_irte_get: detected non-zero reserved IRTE ${entry}`,
    "vtd_irte_get: invalid IRTE SID (index=7, sid=64, source_id=80)",
    "vtd_irte_get: invalid SVT_BUS (index=7, bus=5, min=4, max=3)",
    "vtd_irte_get: detected invalid IRTE SVT (index=7, type=3)",
    "vtd_warn_ir_vector sid 0xf0ff index 2 vec 2 (should be: 49)",
    "vtd_warn_ir_trigger sid 0xf0ff index 2 trigger 1 (should be: 0)",
    "VT-d failed to remap interrupt for GSI 24",
    "Interrupt Remapping cannot work with kernel-irqchip=on, please use 'split|off'.",
  ];
  expect(facts(lines.join("\n"))).toEqual([
    [0x20, "vtd.ir.request-reserved", "01:00.0", null],
    [0x21, "vtd.ir.index-out-of-range", null, null],
    [0x23, "vtd.ir.table-access", null, 5],
    [0x22, "vtd.ir.not-present", null, 7],
    [0x24, "vtd.ir.entry-reserved", null, 7],
    [0x26, "vtd.ir.sid-mismatch", "00:08.0", 7],
    [0x26, "vtd.ir.sid-mismatch", null, 7],
    [0x26, "vtd.ir.sid-mismatch", null, 7],
    [null, "linux.ioapic.pin-as-vector", "f0:1f.7", 2],
    [null, "linux.ioapic.pin-as-vector", "f0:1f.7", 2],
    [null, "qemu.ir.route-not-remapped", null, null],
    [null, "qemu.ir.kernel-irqchip", null, null],
  ]);
});

test("a boot that enabled remapping is in order, and one that could not is not", () => {
  const good = explainText("DMAR-IR: Enabled IRQ remapping in x2apic mode\nx2apic enabled");
  expect(good).toMatchObject({ understood: 2, findings: [] });
  expect(good.remarks).toHaveLength(2);
  const bad = [
    "DMAR-IR: [Firmware Bug]: ioapic 2 has no mapping iommu, interrupt remapping will be disabled",
    "DMAR-IR: Not enabling interrupt remapping",
    "AMD-Vi: [Firmware Bug]: : IOAPIC[9] not in IVRS table",
    "This system BIOS has enabled interrupt remapping on a chipset that contains an erratum making that feature unstable.",
  ];
  expect(explain(bad.join("\n")).map(({ rule }) => rule)).toEqual([
    "linux.ir.all-ioapics",
    "linux.ir.not-enabled",
    "linux.amdvi.ioapic-in-ivrs",
    "linux.ir.chipset-erratum",
  ]);
});

test("text that says nothing about interrupt remapping is not understood", () => {
  for (const text of [
    "",
    "hello",
    "\0\u0001\uffff",
    "usb 1-1: new high-speed USB device number 2 using xhci_hcd",
  ]) {
    expect(explainText(text)).toEqual({ understood: 0, findings: [], remarks: [], omitted: 0 });
  }
});

test("findings name their line, in the order of the text", () => {
  const fault = "DMAR: [INTR-REMAP] Request device [00:01.0] fault index 0x1 [fault reason 0x22] x";
  expect(explain(`\n${fault}\r\n\n${fault}\n`).map(({ line }) => line)).toEqual([2, 4]);
});

test("what is beyond the limit of kept findings is counted", () => {
  const fault = "DMAR: [INTR-REMAP] Request device [00:01.0] fault index 0x1 [fault reason 0x22] x\n";
  const { understood, findings, omitted } = explainText(fault.repeat(keptLimit + 5));
  expect([understood, findings.length, omitted]).toEqual([keptLimit + 5, keptLimit, 5]);
  expect(groupFindings({ findings, omitted }).map(printPlaces)).toEqual([
    "at least 10,000 times, lines 1, 2, 3, 4, 5, 6, 7, 8 …",
  ]);
});

describe("causes and next steps", () => {
  test("stand under rules that exist, and leave no blank that is not known", () => {
    for (const [rule, { causes, next }] of Object.entries(advice)) {
      expect(rules).toHaveProperty([rule]);
      expect(causes.length).toBeGreaterThan(0);
      expect(next.length).toBeGreaterThan(0);
      for (const step of next)
        expect(step.replaceAll(/\{(requester|device|index)\}/g, "")).not.toMatch(/\{\w*\}/);
    }
  });

  test("are filled in with the device and the index, and steps without them are left out", () => {
    const { next } = explain(absentOf("65:00.0"))[0]!;
    expect(next).toContain("sudo awk '$1 == 37' /sys/kernel/debug/iommu/intel/ir_translation_struct");
    expect(next).toContain("sudo lspci -vvs 65:00.0 | grep -A3 MSI");
    expect(next.join()).toContain("/sys/bus/pci/devices/0000:65:00.0/");
    expect(explain(absentOf("10000:65:00.0"))[0]!.next.join()).toContain("/devices/10000:65:00.0/");
    const without = explain("[fault reason 0x22] x")[0]!.next;
    expect(without.length).toBeGreaterThan(0);
    expect(without.join()).not.toMatch(/lspci|awk|\{/);
  });
});
