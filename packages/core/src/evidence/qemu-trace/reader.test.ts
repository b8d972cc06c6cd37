import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import type { TraceHandler, Vendor } from "./handler.ts";
import { QemuTraceReader, lineLimit } from "./reader.ts";

type Call = [string, ...(number | string)[]];

/** Records every call of every method. */
function recorder(): { calls: Call[]; handlerOf: (vendor: Vendor) => TraceHandler } {
  const calls: Call[] = [];
  const handler = new Proxy<TraceHandler>(
    {},
    {
      get:
        (_, method: string) =>
        (...args: (number | string)[]) =>
          void calls.push([method, ...args]),
    },
  );
  return {
    calls,
    handlerOf: (vendor) => {
      calls.push(["vendor", vendor]);
      return handler;
    },
  };
}

function bytes(text: string): Uint8Array {
  return Uint8Array.from(text, (char) => char.charCodeAt(0));
}

function read(...chunks: string[]): { calls: Call[]; reader: QemuTraceReader } {
  const { calls, handlerOf } = recorder();
  const reader = new QemuTraceReader(handlerOf);
  for (const chunk of chunks) reader.feed(bytes(chunk));
  reader.end();
  return { calls, reader };
}

const lines: [string, Call][] = [
  ["vtd_ir_remap_msi_req addr 0xfee00030 data 0x2", ["request", 1, 0xfee00030 | 0, 0, 2, -1, -1]],
  [
    "vtd_ir_remap_msi_req addr 0x1fee00030 data 0xffffffff sid 0x18 do_fault 0",
    ["request", 1, 0xfee00030 | 0, 1, -1, 0x18, 0],
  ],
  [
    "vtd_ir_remap_msi_req addr 0xfee00030 data 0x2 sid 0xffff do_fault 1",
    ["request", 1, 0xfee00030 | 0, 0, 2, -1, 1],
  ],
  // What is printed as low is the entry's high half.
  [
    "vtd_ir_irte_get index 11 low 0x4ff00 high 0x2000022000d",
    ["vtdEntry", 1, 11, 0x22000d, 0x200, 0x4ff00, 0],
  ],
  [
    "vtd_ir_remap index 1 trigger 0 vector 48 deliver 0 dest 0x1 mode 1",
    ["vtdDecoded", 1, 1, 0, 48, 0, 1, 1],
  ],
  ["vtd_ir_remap_type IOAPIC", ["vtdRequestKind", 1]],
  [
    "vtd_ir_remap_msi (addr 0xfee00030, data 0x2) -> (addr 0x1fee0100c, data 0x4030)",
    ["remapped", 1, 0xfee00030 | 0, 0, 2, 0xfee0100c | 0, 1, 0x4030],
  ],
  ["vtd_warn_ir_vector sid 0x18 index 1 vec 2 (should be: 48)", ["vtdRequester", 1, 0x18]],
  ["vtd_warn_ir_trigger sid 0xffff index 1 trigger 0 (should be: 1)", ["vtdRequester", 1, -1]],
  [
    "vtd_reg_write addr 0x90 size 0x8 value 0x1234567811c8000",
    ["vtdRegisterWrite", 1, 0x90, 8, 0x811c8000 | 0, 0x1234567],
  ],
  ["vtd_reg_write_gcmd status 0x4000000 value 0x5000000", ["vtdCommand", 1, 0x4000000, 0x5000000]],
  ["vtd_ir_enable enable 1", ["vtdEnabled", 1, 1]],
  ["vtd_reg_ir_root addr 0x1200000 size 0x10000", ["vtdTable", 1, 0x1200000, 0, 0x10000]],
  ["vtd_inv_qi_tail write tail 90", ["vtdQueueTail", 1, 90]],
  [
    "vtd_inv_desc invalidate desc type wait high 0x1046004 low 0x200000025",
    ["vtdDescriptor", 1, 0x25, 2, 0x1046004, 0],
  ],
  ["vtd_inv_desc_iec granularity 0x1 index 0x16 mask 0x2", ["vtdInvalidate", 1, 1, 0x16, 2]],
  [
    "vtd_frr_new index 0 high 0x8000002200000018 low 0x6000000000000",
    ["vtdFault", 1, 0, 0x60000, 0x18, 0x80000022 | 0],
  ],
  ["vtd_irq_generate addr 0xfee01004 data 0x21", ["ownMessage", 1]],
  ["vtd_reset_exit ", ["vtdReset", 1]],
  ["amdvi_mem_ir_write_req addr 0x4 data 0x2 size 0x4", ["amdviWrite", 1, 4, 2, 4]],
  ["amdvi_ir_remap_msi_req addr 0xfee00000 data 0x2 devid 0xa0", ["request", 1, 0xfee00000 | 0, 0, 2, 0xa0]],
  ["amdvi_ir_delivery_mode fixed/arbitrated", ["amdviDeliveryMode", 1, "fixed/arbitrated"]],
  ["amdvi_ir_intctl int_ctl 0x2", ["amdviIntCtl", 1, 2]],
  ["amdvi_ir_irte addr 0x1249ec000 offset 0x20", ["amdviEntryAddress", 1, 0x249ec000, 1, 0x20]],
  ["amdvi_ir_irte_val data 0x300141", ["amdviEntry", 1, 4, 0x300141, 0, 0, 0]],
  ["amdvi_ir_irte_ga_val hi 0x100000030 lo 0x200000141", ["amdviEntry", 1, 16, 0x141, 2, 0x30, 1]],
  [
    "amdvi_ir_remap_msi (addr 0xfee00000, data 0x2) -> (addr 0xfee01004, data 0x4030)",
    ["remapped", 1, 0xfee00000 | 0, 0, 2, 0xfee01004 | 0, 0, 0x4030],
  ],
  ["amdvi_ir_target_abort RemapEn is disabled", ["amdviBlocked", 1, "RemapEn is disabled"]],
  ["amdvi_ir_err guest mode is not zero", ["amdviBlocked", 1, "guest mode is not zero"]],
  ["amdvi_err MSI is not from IOAPIC.", ["amdviBlocked", 1, "MSI is not from IOAPIC."]],
  ["amdvi_control_status MMIO_STATUS state 0x40000003e483", ["amdviControl", 1, 0x3e483, 0x4000]],
  ["amdvi_intr_inval Interrupt table invalidated", ["amdviInvalidateTable", 1]],
  [
    "amdvi_devtab_inval device table entry for devid: 01:15.2 invalidated",
    ["amdviInvalidateDevice", 1, 0x1aa],
  ],
  ["amdvi_all_inval Invalidation of all AMD-Vi cache requested ", ["amdviInvalidateAll", 1]],
  [
    "amdvi_completion_wait completion wait requested with store address 0x49d3000 and store data 0x1",
    ["amdviCompletionWait", 1],
  ],
  [
    "amdvi_command_exec command buffer head at 0x0 command buffer tail at 0x10 command buffer base at 0x49c6000",
    ["amdviCommand", 1, 0, 0x10, 0x49c6000, 0],
  ],
  ["amdvi_pages_inval AMD-Vi pages for domain 0x3ff invalidated", ["amdviOtherCommand", 1]],
  ["amdvi_ppr_exec Execution of PPR queue requested ", ["amdviOtherCommand", 1]],
  ["amdvi_unhandled_command unhandled command 14", ["amdviIllegalCommand", 1, 14]],
  ["amdvi_command_read_fail error: fail to access memory at 0x49c6000 + 0x10", ["amdviCommandUnreadable", 1]],
  [
    "amdvi_mmio_write AMDVI_MMIO_CMDBUF_BASE write addr 0x8, size 8, val 0x9000000149c6000, offset 0x8",
    ["amdviRegisterWrite", 1, 8, 8, 0x149c6000, 0x9000000],
  ],
  ["amdvi_generate_msi_interrupt Generate MSI", ["ownMessage", 1]],
];

describe("the reader of QEMU traces", () => {
  test.each(lines)("reads %s", (line, call) => {
    const { calls } = read(`${line}\n`);
    expect(calls).toEqual([["vendor", line.startsWith("vtd") ? "intel" : "amd"], call]);
  });

  test.each([
    [
      "apic_deliver_irq dest 1 dest_mode 1 delivery_mode 0 vector 48 trigger_mode 0",
      ["delivered", 2, 1, 1, 0, 48, 0],
    ],
    [
      "x86_iommu_iec_notify Notify IEC invalidation: global=0 index=65535 mask=3",
      ["iecNotify", 2, 0, 65535, 3],
    ],
    ["cpu_set_apic_base 0x00000000fee00d00", ["apicBase", 2, 0xfee00d00 | 0, 0]],
  ] as [string, Call][])("reads %s of either vendor, once the vendor is known", (line, call) => {
    expect(read(`${line}\n`).calls).toEqual([]);
    expect(read(`vtd_ir_enable enable 1\n${line}\n`).calls[2]).toEqual(call);
    expect(read(`amdvi_intr_inval Interrupt table invalidated\n${line}\n`).calls[2]).toEqual(call);
  });

  const log = lines.map(([line]) => `${line}\n`).join("");

  test("reads the same whichever byte the input is cut at", () => {
    const whole = read(log);
    for (let at = 0; at <= log.length; at++) {
      const { calls, reader } = read(log.slice(0, at), log.slice(at));
      expect(calls).toEqual(whole.calls);
      expect(reader.summary()).toEqual(whole.reader.summary());
    }
  });

  test("reads the same however small its chunks are", () => {
    const whole = read(log).calls;
    fc.assert(
      fc.property(fc.array(fc.nat(40), { minLength: 1 }), (sizes) => {
        const chunks: string[] = [];
        for (let at = 0, i = 0; at < log.length; i++) {
          const size = sizes[i % sizes.length]! + (i % 2);
          chunks.push(log.slice(at, at + size));
          at += size;
        }
        expect(read(...chunks).calls).toEqual(whole);
      }),
      { numRuns: 30 },
    );
  });

  test("reads lines with time stamps, CRLF ends and empty lines between, and counts lines from 1", () => {
    const { calls, reader } = read("\r\n\n4711@1700000000.123456:vtd_ir_enable enable 1\r\n");
    expect(calls).toEqual([
      ["vendor", "intel"],
      ["vtdEnabled", 3, 1],
    ]);
    expect(reader.summary()).toEqual({ lines: 3, ignored: {}, skipped: {} });
  });

  test("reads a last line without its newline, and says so", () => {
    const { calls, reader } = read("vtd_ir_enable enable 1");
    expect(calls).toHaveLength(2);
    expect(reader.cutOff).toBe(true);
    expect(read("vtd_ir_enable enable 1\n").reader.cutOff).toBe(false);
  });

  test("ignores known events without a use, by name, and skips what it does not understand, with its line", () => {
    const text = [
      "ioapic_set_irq vector: 4 level: 0",
      "vtd_new_event with arguments",
      "ioapic_set_irq vector: 4 level: 1",
      "[    0.000000] Linux version 6.1",
      "booting from disk",
      "vtd_ir_irte_get index 1 low 0x4ff00 high 0x",
      "vtd_ir_irte_get index 1 low 0x4ff00 high 0x",
      "amdvi_intr_inval Interrupt table invalidated",
      "123: no stamp",
      "vtd_new_event again",
    ];
    const { reader } = read(`vtd_ir_enable enable 1\n${text.join("\n")}\n`);
    expect(reader.summary()).toEqual({
      lines: 11,
      ignored: { ioapic_set_irq: 2 },
      skipped: {
        "unknown event vtd_new_event": { count: 2, line: 3 },
        "not a trace line": { count: 3, line: 5 },
        "malformed vtd_ir_irte_get": { count: 2, line: 7 },
        "amdvi_intr_inval: event of another vendor's unit": { count: 1, line: 9 },
      },
    });
  });

  test("ignores events that the handler does not ask for", () => {
    const reader = new QemuTraceReader(() => ({}));
    reader.feed(bytes("vtd_ir_enable enable 1\nvtd_ir_enable nonsense\n"));
    reader.end();
    expect(reader.summary()).toEqual({ lines: 2, ignored: { vtd_ir_enable: 2 }, skipped: {} });
  });

  test("keeps a bounded number of names apart", () => {
    const names = Array.from({ length: 600 }, (_, i) => `some_event_${i}\n`).join("");
    const long = `${"long_name_".repeat(20)} 1\n`;
    const { skipped } = read(names + long).reader.summary();
    expect(Object.keys(skipped)).toHaveLength(513);
    expect(skipped["unknown event (further names)"]).toEqual({ count: 89, line: 513 });
  });

  test("refuses binary input, and says which it is where it can tell", () => {
    expect(() => read("\x7fELF\0\0\0\n")).toThrow(
      "line 1 holds zero bytes: expected the text of a QEMU trace log",
    );
    expect(() => read(`${"\xff".repeat(8)}\xb4\0\n`)).toThrow("`simple` trace backend");
  });

  test("refuses a line that is longer than any line of a trace, however it comes", () => {
    const long = "x".repeat(lineLimit + 1);
    const message = `line 2 is longer than ${lineLimit} bytes`;
    expect(() => read(`\n${long}`)).toThrow(message);
    expect(() => read("\n", long.slice(0, 40_000), long.slice(40_000))).toThrow(message);
    expect(read(`\n${"x".repeat(lineLimit)}`).reader.lines).toBe(2);
  });

  test("takes any bytes to its end or to one clear error", () => {
    fc.assert(
      fc.property(fc.array(fc.uint8Array({ maxLength: 300 })), (chunks) => {
        const reader = new QemuTraceReader(() => ({}));
        try {
          for (const chunk of chunks) reader.feed(chunk);
          reader.end();
        } catch (error) {
          expect((error as Error).name).toBe("InputError");
        }
      }),
    );
  });
});
