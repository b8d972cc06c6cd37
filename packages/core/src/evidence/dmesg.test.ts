import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { type LogRecord, readLog } from "./dmesg.ts";
import { lineLimit } from "./log-line.ts";

function read(text: string): LogRecord[] {
  return [...readLog(text)];
}

const reasons = (text: string): unknown[] =>
  read(text).map((record) => (record.kind === "vtd-fault" ? [record.requester, record.reason] : record));

const compatibility = "Blocked a compatibility format interrupt request";
const source = "Blocked an interrupt request due to source-id verification failure";
const absent = "Present field in the IRTE entry is clear";

describe("VT-d fault lines", () => {
  test.each([
    [
      "4.2 and before, two lines",
      `INTR-REMAP: Request device [[f0:1f.7] fault index 48\nINTR-REMAP:[fault reason 34] ${absent}`,
      ["f0:1f.7", 0x48n, 0x22, "decimal"],
    ],
    [
      "the same on one line",
      `dmar: INTR-REMAP: Request device [[f0:1f.7] fault index 48 INTR-REMAP:[fault reason 34] ${absent}`,
      ["f0:1f.7", 0x48n, 0x22, "decimal"],
    ],
    [
      "4.3 to 5.13",
      `[Thu Oct 22 08:54:51 2020] DMAR: [INTR-REMAP] Request device [42:00.2] fault index 1600 [fault reason 37] ${compatibility}`,
      ["42:00.2", 0x1600n, 0x25, "decimal"],
    ],
    [
      "decimal, index with a letter",
      `DMAR: [INTR-REMAP] Request device [00:11.0] fault index 3b [fault reason 38] ${source}`,
      ["00:11.0", 0x3bn, 0x26, "decimal"],
    ],
    [
      "5.14, with 0x in the device",
      `DMAR: [INTR-REMAP] Request device [0xc9:0x05.0] fault index 0xa00 [fault reason 0x25] ${compatibility}`,
      ["c9:05.0", 0xa00n, 0x25, "0x"],
    ],
    [
      "5.15 and later",
      `[76561.105092] DMAR: [INTR-REMAP] Request device [65:00.0] fault index 0x25 [fault reason 0x22] ${absent}`,
      ["65:00.0", 0x25n, 0x22, "0x"],
    ],
    [
      "through syslog, upper case, in colour",
      `Nov 3 10:00:01 host kernel: \u001b[33mDMAR: \u001b[0m[INTR-REMAP] Request device [F0:1F.0] fault index 0x0 [fault reason 0x25] ${compatibility}\r`,
      ["f0:1f.0", 0n, 0x25, "0x"],
    ],
    [
      "Xen",
      `(XEN) [VT-D]INTR-REMAP: Request device [0000:00:1f.0] fault index 0\n(XEN) [VT-D]INTR-REMAP: reason 25 - ${compatibility}`,
      ["0000:00:1f.0", 0n, 0x25, "bare-hex"],
    ],
    [
      "Xen, with the address of its registers",
      `(XEN) [VT-D]INTR-REMAP: Request device [0000:02:00.0] fault index 1c, iommu reg = ffff82c000201000\n(XEN) [VT-D]INTR-REMAP: reason 22 - ${absent}`,
      ["0000:02:00.0", 0x1cn, 0x22, "bare-hex"],
    ],
    [
      "a number with a suffix",
      `INTR-REMAP: Request device [02:00.0] fault index 1c\nINTR-REMAP:[fault reason 25h] ${compatibility}`,
      ["02:00.0", 0x1cn, 0x25, "0x"],
    ],
    [
      "hexadecimal without a prefix, told by the text beside it",
      `[INTR-REMAP] Request device [02:00.0] fault index 1 [fault reason 26] ${source}`,
      ["02:00.0", 1n, 0x26, "bare-hex"],
    ],
    [
      "wrapped by a mailer",
      `> DMAR: [INTR-REMAP] Request device [00:1c.1] fault index 0x20\n> [fault reason 0x26] ${source}`,
      ["00:1c.1", 0x20n, 0x26, "0x"],
    ],
  ] as const)("are read in the form of %s", (_, text, expected) => {
    const faults = read(text).map((record) =>
      record.kind === "vtd-fault"
        ? [record.requester, record.info, record.reason, record.form]
        : [record.kind],
    );
    expect(faults).toEqual([expected]);
  });

  test("printed with an address keep all of it, and their direction", () => {
    const forms = [
      "DMAR: [DMA Read NO_PASID] Request device [65:00.0] fault addr 0x1b000000000000 [fault reason 0x27] Unknown",
      "DMAR: [DMA Write] Request device [03:00.0] PASID ffffffff fault addr 7f000 [fault reason 05] PTE Write access is not set",
      "DMAR: [DMA Write PASID 0x1f] Request device [03:00.0] fault addr 0xfee00000 [fault reason 0x05] x",
      "dmar: DMAR:[DMA Read] Request device [00:02.0] fault addr ffffffff000 \nDMAR:[fault reason 06] PTE Read access is not set",
    ];
    expect(
      read(forms.join("\n")).map((fault) =>
        fault.kind === "vtd-fault" ? [fault.printedAs, fault.direction, fault.info, fault.reason] : fault,
      ),
    ).toEqual([
      ["dma", "read", 0x1bn << 48n, 0x27],
      ["dma", "write", 0x7f000n, 5],
      ["dma", "write", 0xfee00000n, 5],
      ["dma", "read", 0xffffffff000n, 6],
    ]);
  });

  test("whose reason never comes are not lost, nor completed by a reason far below", () => {
    const head = "INTR-REMAP: Request device [[f0:1f.7] fault index 48";
    const tail = `INTR-REMAP:[fault reason 34] ${absent}`;
    expect(reasons(head)).toEqual([["f0:1f.7", null]]);
    expect(reasons(tail)).toEqual([[null, 0x22]]);
    expect(reasons(`${head}\n\n\n\n\n${tail}`)).toEqual([
      ["f0:1f.7", null],
      [null, 0x22],
    ]);
    expect(reasons(`${head}\n${head}\n${tail}`)).toEqual([
      ["f0:1f.7", null],
      ["f0:1f.7", 0x22],
    ]);
  });
});

test("companions of VT-d faults are read", () => {
  const text = [
    "DMAR: DRHD: handling fault status reg 3",
    "DMAR: VT-d detected Invalidation Queue Error: Reason f",
    "DMAR: VT-d detected Invalidation Time-out Error: SID ffff",
    "DMAR: VT-d detected Invalidation Completion Error: SID 300",
    "DMAR: QI HEAD: Interrupt Entry Cache Invalidation qw0 = 0x14, qw1 = 0x0",
    "DMAR: QI PRIOR: UNKNOWN qw0 = 0x0, qw1 = 0x2",
  ];
  expect(read(text.join("\n"))).toEqual([
    { kind: "vtd-fault-status", line: 1, status: 3 },
    { kind: "vtd-queue-error", line: 2, error: "queue", value: 0xf },
    { kind: "vtd-queue-error", line: 3, error: "time-out", value: 0xffff },
    { kind: "vtd-queue-error", line: 4, error: "completion", value: 0x300 },
    { kind: "vtd-queue-descriptor", line: 5, which: "head", descriptor: 0x14n },
    { kind: "vtd-queue-descriptor", line: 6, which: "prior", descriptor: 2n << 64n },
  ]);
});

describe("AMD-Vi event lines", () => {
  const ht = 0xfffffffdf8000000n;
  test.each([
    [
      "AMD-Vi: Event logged [IO_PAGE_FAULT device=08:00.0 domain=0x002c address=0xfffffffdf8000000 flags=0x0008]",
      ["IO_PAGE_FAULT", "08:00.0", ht, 8],
    ],
    [
      "AMD-Vi: Event logged [IO_PAGE_FAULT domain=0x0055 address=0xfffffffdf8000000 flags=0x0008]",
      ["IO_PAGE_FAULT", null, ht, 8],
    ],
    [
      "ath10k_pci 0000:01:00.0: AMD-Vi: Event logged [IO_PAGE_FAULT domain=0x000d address=0xcff49550 flags=0x0070]",
      ["IO_PAGE_FAULT", "0000:01:00.0", 0xcff49550n, 0x70],
    ],
    [
      "[  +0.000108] iommu ivhd0: AMD-Vi: Event logged [ILLEGAL_DEV_TABLE_ENTRY device=c0:00.1 pasid=0x00000 address=0xfffffffdf8140000 flags=0x0008]",
      ["ILLEGAL_DEV_TABLE_ENTRY", "c0:00.1", 0xfffffffdf8140000n, 8],
    ],
    [
      "iommu ivhd1: AMD-Vi: Event logged [INVALID_DEVICE_REQUEST device=0000:00:00.0 pasid=0x00000 address=0xfffffffdf8000000 flags=0x0a00]",
      ["INVALID_DEVICE_REQUEST", "0000:00:00.0", ht, 0xa00],
    ],
    [
      "kernel: [   13.137925] INVALID_DEVICE_REQUEST device=00:00.1 address=0x000000fdf8000020 flags=0x0a00]",
      ["INVALID_DEVICE_REQUEST", "00:00.1", 0xfdf8000020n, 0xa00],
    ],
    [
      "(XEN) AMD-Vi: IO_PAGE_FAULT: 0000:00:14.0 d0 addr 000000fdf8010140 flags 0x8 I",
      ["IO_PAGE_FAULT", "0000:00:14.0", 0xfdf8010140n, 8],
    ],
    [
      "(XEN) AMD-Vi: IO_PAGE_FAULT: domain = 0, device id = 0x2600, fault address = 0xfffffffdf8000000, flags = 0x8",
      ["IO_PAGE_FAULT", "26:00.0", ht, 8],
    ],
    [
      "pci 0000:00:00.2: AMD-Vi: Event logged [ILLEGAL_COMMAND_ERROR address=0x1000]",
      ["ILLEGAL_COMMAND_ERROR", null, 0x1000n, null],
    ],
    [
      "AMD-Vi: Event logged [UNKNOWN event[0]=0x00002600 event[1]=0x20080000 event[2]=0xf8000000 event[3]=0xfffffffd",
      [null, "26:00.0", ht, 8],
    ],
    [
      "(XEN) AMD-Vi: ILLEGAL_DEV_TABLE_ENTRY 00000010 10080000 f8000000 000000fd",
      ["ILLEGAL_DEV_TABLE_ENTRY", "00:02.0", 0xfdf8000000n, 8],
    ],
  ])("%s", (text, expected) => {
    expect(
      read(text).map((event) =>
        event.kind === "amdvi-event" ? [event.name, event.requester, event.address, event.flags] : event,
      ),
    ).toEqual([expected]);
  });

  test("two on one line are two events", () => {
    const one = "Event logged [IO_PAGE_FAULT device=08:00.0 domain=0x002c address=0x1000 flags=0x0008]";
    expect(read(`${one} ${one.replace("08:", "09:")}`)).toMatchObject([
      { requester: "08:00.0" },
      { requester: "09:00.0" },
    ]);
  });

  test("an event's name in a sentence is no event", () => {
    expect(read("my box drowns in IO_PAGE_FAULT lines since the update")).toEqual([]);
  });

  test("the four lines of a device table entry become one, and a torn dump none", () => {
    const dump = [0x3n, 0n, 0x2008000100258013n, 0n].map(
      (word, at) => `[  +0.000011] AMD-Vi: DTE[${at}]: ${word.toString(16).padStart(16, "0")}`,
    );
    expect(read(dump.join("\n"))).toEqual([
      { kind: "amdvi-dte", line: 1, entry: (0x2008000100258013n << 128n) | 3n },
    ]);
    expect(read(dump.toReversed().join("\n"))).toEqual([]);
  });
});

describe("QEMU's warnings", () => {
  const entry = "index=7, high=0xff00, low=0x100";
  test.each([
    [
      "qemu-system-x86_64: vtd_interrupt_remap_msi: invalid IR MSI (sid=256, address=0xfee003d8, data=0x10000)",
      { warning: "invalid-msi", sid: 256, address: 0xfee003d8n, data: 0x10000n },
    ],
    ["vtd_irte_get: index too large: ind=0x10000", { warning: "index-too-large", index: 0x10000 }],
    ["vtd_irte_get: read failed: ind=0x5 addr=0x1000050", { warning: "read-failed", index: 5 }],
    [
      `vtd_irte_get: detected non-present IRTE (${entry})`,
      { warning: "not-present", index: 7, entry: (0xff00n << 64n) | 0x100n },
    ],
    [`vtd_irte_get: detected non-zero reserved IRTE (${entry})`, { warning: "reserved", index: 7 }],
    [
      "vtd_irte_get: invalid IRTE SID (index=7, sid=64, source_id=80)",
      { warning: "source-id", index: 7, sid: 64 },
    ],
    ["vtd_irte_get: invalid SVT_BUS (index=7, bus=5, min=4, max=3)", { warning: "bus-range", index: 7 }],
    ["vtd_irte_get: detected invalid IRTE SVT (index=7, type=3)", { warning: "svt", index: 7 }],
    [
      "vtd_warn_ir_vector sid 0xf0ff index 2 vec 2 (should be: 49)",
      { warning: "vector", sid: 0xf0ff, index: 2 },
    ],
    ["vtd_warn_ir_trigger sid 0xf0ff index 2 trigger 1 (should be: 0)", { warning: "trigger", index: 2 }],
    ["kvm_x86_fixup_msi_error VT-d failed to remap interrupt for GSI 24", { warning: "fixup-failed" }],
    [
      "Interrupt Remapping cannot work with kernel-irqchip=on, please use 'split|off'.",
      { warning: "kernel-irqchip" },
    ],
  ])("%s", (text, expected) => {
    expect(read(text)).toMatchObject([expected]);
  });
});

describe("messages of a boot", () => {
  test.each([
    ["[    0.074583] DMAR-IR: Enabled IRQ remapping in x2apic mode", "enabled"],
    ["[    0.458001] AMD-Vi: Interrupt remapping enabled", "enabled"],
    ["[    0.025214] Not enable interrupt remapping", "not-enabled"],
    ["DMAR-IR: Not enabling interrupt remapping", "not-enabled"],
    ["Failed to enable irq remapping.  You are vulnerable to irq-injection attacks.", "not-enabled"],
    [
      "DMAR-IR: [Firmware Bug]: ioapic 2 has no mapping iommu, interrupt remapping will be disabled",
      "unscoped-ioapic",
    ],
    ["AMD-Vi: [Firmware Bug]: : IOAPIC[9] not in IVRS table", "not-in-ivrs"],
    ["DMAR-IR: x2apic is disabled because BIOS sets x2apic opt out bit.", "x2apic-opt-out"],
    ["DMAR-IR: HPET id 0 under DRHD base 0xfed91000", "detail"],
    ["DMAR: dmar0: reg_base_addr d37fc000 ver 1:0 cap 8d2078c106f0466 ecap f020df", "detail"],
    ["x2apic: IRQ remapping doesn't support X2APIC mode", "detail"],
    ["AMD-Vi: AMD-Vi:   DEV_SPECIAL(IOAPIC[251])               devid: 0002:80:00.1", "detail"],
    ["kernel: [   13.134460] AMD-Vi: Event logged [", "detail"],
  ])("%s", (text, says) => {
    expect(read(text)).toMatchObject([{ kind: "boot-message", says }]);
  });
});

describe("what people paste", () => {
  test("rows of ir_translation_struct, remapped and posted, with tabs or blanks", () => {
    const rows = [
      " 0     00:0a.0 00000080 24  0000000000040050\t000000800024000d",
      "       1     00:0a.0 00000001 ef  0000000000040050    0000000100ef000d",
      " 65535 3d:00.1 00000001 23456040 f7  0000000100043d01\t2345604000f78001",
    ];
    expect(read(rows.join("\n"))).toEqual([
      {
        kind: "vtd-entry",
        line: 1,
        entry: (0x40050n << 64n) | 0x800024000dn,
        row: { index: 0, requester: "00:0a.0", destination: [0x80], vector: 0x24 },
      },
      expect.objectContaining({ row: { index: 1, requester: "00:0a.0", destination: [1], vector: 0xef } }),
      expect.objectContaining({
        row: { index: 65535, requester: "3d:00.1", destination: [1, 0x23456040], vector: 0xf7 },
      }),
    ]);
  });

  test("a bare pair is a VT-d entry, high half first", () => {
    expect(read("0000000000040050 000000800024000d")).toEqual([
      { kind: "vtd-entry", line: 1, entry: (0x40050n << 64n) | 0x800024000dn, row: null },
    ]);
  });

  test("rows of irqtbl in both widths, and joined as early patches printed them", () => {
    const text = [
      "DeviceId 0000:01:00.0",
      "IRT[0000] 0000000000000020 0000000000000241",
      "IRT[0001] 00000000000000200000000000000841",
      "IRT[0002] 00210041",
    ];
    expect(read(text.join("\n"))).toEqual([
      { kind: "amdvi-table", line: 1, requester: "0000:01:00.0" },
      { kind: "amdvi-entry", line: 2, index: 0, entry: (0x20n << 64n) | 0x241n, width: 128 },
      { kind: "amdvi-entry", line: 3, index: 1, entry: (0x20n << 64n) | 0x841n, width: 128 },
      { kind: "amdvi-entry", line: 4, index: 2, entry: 0x210041n, width: 32 },
    ]);
  });

  test("a row of devtbl", () => {
    const row = "0000:01:00.0 0000000000000000 20000001373b8013 0000000000000038 6000000114d7b603 iommu3";
    expect(read(row)).toMatchObject([{ kind: "amdvi-device-entry", requester: "0000:01:00.0" }]);
  });

  test.each([
    ["        Address: 00000000fee00338  Data: 0000", 0xfee00338n, 0n],
    ["Address: fee00578  Data: 0000", 0xfee00578n, 0n],
    ["msi control=0x1bb, address=0xfee00318, data=0x0", 0xfee00318n, 0n],
    ["  address_hi: 0x00000000\n  address_lo: 0xfee00000\n  msg_data:   0x00000008", 0xfee00000n, 8n],
    ["0xfee00338 0x0", 0xfee00338n, 0n],
    ["fee00000/4039", 0xfee00000n, 0x4039n],
  ])("a message: %j", (text, address, data) => {
    expect(read(text)).toEqual([{ kind: "msi-message", line: 1, address, data }]);
  });

  test("a message of which a part is missing is none", () => {
    expect(read("address_lo: 0xfee00000\nmsg_data:   0x00000008")).toEqual([]);
  });

  test("MSI capabilities of old and new lspci, with the vectors in use", () => {
    const text = [
      "Capabilities: [90] MSI: Enable+ Count=2/32 Maskable+ 64bit+",
      "Capabilities: [50] Message Signalled Interrupts: 64bit+ Queue=0/1 Enable+",
      "Capabilities: [50] MSI: Enable- Count=1/1 Maskable+ 64bit+",
      "Capabilities: [70] MSI-X: Enable+ Count=64 Masked-",
    ];
    expect(read(text.join("\n"))).toEqual([
      { kind: "msi-capability", line: 1, enabled: true, count: 2 },
      { kind: "msi-capability", line: 2, enabled: true, count: 1 },
      { kind: "msi-capability", line: 3, enabled: false, count: 1 },
      { kind: "lspci-detail", line: 4 },
    ]);
  });
});

describe("hostile text", () => {
  const pieces = [
    "Request device [",
    "[fault reason ",
    "IO_PAGE_FAULT ",
    "00:00.0 ",
    "Address: fee00000 Data: ",
    "IRT[0] ",
    "qw0 = 0x0, ",
    "0000000000000000 ",
    " : ",
    "DMA Read",
  ];

  test("a long line of repetitions is read in time that its limit bounds", () => {
    for (const piece of pieces) {
      const line = piece.repeat(1_000_000 / piece.length);
      const started = performance.now();
      read(line);
      expect(performance.now() - started).toBeLessThan(3000);
    }
  });

  test("what stands beyond the limit of a line is not looked at", () => {
    const fault = "DMAR: DRHD: handling fault status reg 2";
    expect(read(`${" ".repeat(lineLimit)}${fault}`)).toEqual([]);
    expect(read(`${" ".repeat(lineLimit - fault.length)}${fault}`)).toHaveLength(1);
  });

  test("no text makes the reader fail, and lines lie within it", () => {
    const text = fc.array(
      fc.oneof(fc.string({ unit: "binary" }), fc.constantFrom(...pieces, "\n", "0x", "27")),
    );
    fc.assert(
      fc.property(text, (parts) => {
        const all = parts.join("");
        for (const record of read(all)) {
          expect(record.line).toBeLessThanOrEqual(all.split("\n").length);
        }
      }),
    );
  });
});
