import type { Seed } from "./seed-hazards.ts";
import { TraceEdit, range, withNumber } from "./trace-edit.ts";

const bufferBytes = 0x2000;
const commandBytes = 16;
const control = /^amdvi_control_status /;
const controlValue = /^(amdvi_control_status MMIO_STATUS state )(0x[0-9a-f]+)/;
const execution =
  /^(amdvi_command_exec command buffer head at )0x[0-9a-f]+( command buffer tail at )0x[0-9a-f]+/;
const tailWrite = /^amdvi_mmio_read AMDVI_MMIO_COMMAND_TAIL /;
const anyCommand = /^amdvi_(intr_inval|devtab_inval|pages_inval|all_inval|completion_wait) /;
const tableCommand = /^amdvi_intr_inval /;
const wait = /^amdvi_completion_wait /;
const use = /^amdvi_ir_irte_ga_val /;
const bits = { iommuEn: 1n, cmdBufEn: 1n << 12n, gaMEn: 1n << 25n, xtEn: 1n << 50n } as const;

/** One command as the trace has it: the write of the tail, its execution, and what it is. */
function submission(trace: TraceEdit, at: number): number[] {
  const executed = trace.findLast(execution, at);
  if (at - executed > 2 || !tailWrite.test(trace.lines[executed - 1]!)) {
    throw new RangeError(`line ${at + 1} does not end a command that was submitted by itself`);
  }
  return range(executed - 1, at);
}

/** Takes commands away as if the driver had never given them: those behind them move up in the buffer. */
function withoutCommands(trace: TraceEdit, commands: readonly number[]): void {
  trace.remove(commands.flatMap((at) => submission(trace, at)));
  let head = 0;
  for (const at of trace.all(execution)) {
    const next = (head + commandBytes) % bufferBytes;
    trace.lines[at] = trace.lines[at]!.replace(execution, `$10x${head.toString(16)}$20x${next.toString(16)}`);
    head = next;
  }
}

/** The register's value in every write from the one that turns on a bit, or from the first. */
function controls(trace: TraceEdit, change: (value: bigint) => bigint, start = 0): void {
  trace.change(control, (line) => withNumber(line, controlValue, change), start);
}

const diskTable = "0x64c6000";
const diskIndex2 = new RegExp(`^amdvi_ir_irte addr ${diskTable} offset 0x20$`);

/** Changes every use of index 2 of the disk's table: the entry's two halves, and the lines behind it up to the delivery. */
function diskEntry(trace: TraceEdit, change: (high: bigint, low: bigint) => [bigint, bigint]): void {
  for (const at of trace.all(diskIndex2)) {
    const entry = /^amdvi_ir_irte_ga_val hi (0x[0-9a-f]+) lo (0x[0-9a-f]+)$/.exec(trace.lines[at + 1]!)!;
    const [high, low] = change(BigInt(entry[1]!), BigInt(entry[2]!));
    trace.lines[at + 1] = `amdvi_ir_irte_ga_val hi 0x${high.toString(16)} lo 0x${low.toString(16)}`;
  }
}

/** Hazards sown into the AMD boot. */
export const amdSeeds: readonly Seed[] = [
  {
    id: "amd-entry-changed",
    boot: "amd",
    rule: "amdvi.check.entry-changed",
    index: 0,
    what: "The vector of the NVMe controller's index 0 changes from 25h to 26h, and the 15 INVALIDATE_INTERRUPT_TABLE in between are gone, with their waits (asterinas#2645, on AMD).",
    sow(trace) {
      const after = trace.find(/^amdvi_ir_irte_ga_val hi 0x26 lo 0x141$/);
      const before = trace.findLast(/^amdvi_ir_irte_ga_val hi 0x25 lo 0x141$/, after);
      withoutCommands(trace, [...trace.all(tableCommand, before, after), ...trace.all(wait, before, after)]);
    },
  },
  {
    id: "amd-table-switched",
    boot: "amd",
    rule: "amdvi.check.device-entry-changed",
    index: null,
    what: "In the middle of the trace the IOAPIC's interrupt table moves from 49ec000h to 49ee000h, with nothing invalidated.",
    sow(trace) {
      const half = trace.lines.length >> 1;
      trace.change(/^amdvi_ir_irte addr 0x49ec000 /, (line) => line.replace("0x49ec000", "0x49ee000"), half);
    },
  },
  {
    id: "amd-not-waited",
    boot: "amd",
    rule: "amdvi.check.not-waited",
    index: null,
    what: "The last COMPLETION_WAIT is gone: the last invalidation is never waited for.",
    sow: (trace) => withoutCommands(trace, [trace.findLast(wait)]),
  },
  {
    id: "amd-never-waited",
    boot: "amd",
    rule: "amdvi.check.not-waited",
    index: null,
    what: "Every COMPLETION_WAIT is gone.",
    sow: (trace) => withoutCommands(trace, trace.all(wait)),
  },
  {
    id: "amd-invalidation-missing",
    boot: "amd",
    rule: "amdvi.check.invalidation-missing",
    index: null,
    what: "The last INVALIDATE_INTERRUPT_TABLE is gone, its COMPLETION_WAIT is not.",
    sow: (trace) => withoutCommands(trace, [trace.findLast(tableCommand)]),
  },
  {
    id: "amd-enabled-without-invalidation",
    boot: "amd",
    rule: "amdvi.check.enabled-without-invalidation",
    index: null,
    what: "Every INVALIDATE_INTERRUPT_TABLE between IommuEn and the first remapped interrupt is gone, with its wait.",
    sow(trace) {
      const invalidations = trace.all(tableCommand, 0, trace.find(use));
      const waits = invalidations.map((at) => at + 3).filter((at) => wait.test(trace.lines[at]!));
      withoutCommands(trace, [...invalidations, ...waits]);
    },
  },
  {
    id: "amd-command-buffer-unset",
    boot: "amd",
    rule: "amdvi.check.command-buffer-unset",
    index: null,
    what: "The command buffer's base is 0.",
    sow: (trace) => trace.change(execution, (line) => line.replace(/base at 0x[0-9a-f]+$/, "base at 0x0")),
  },
  {
    id: "amd-command-buffer-off",
    boot: "amd",
    rule: "amdvi.check.command-buffer-off",
    index: null,
    what: "CmdBufEn is never set, and no command is executed.",
    sow(trace) {
      controls(trace, (value) => value & ~bits.cmdBufEn);
      trace.remove(trace.all(anyCommand).flatMap((at) => submission(trace, at)));
    },
  },
  {
    id: "amd-remapped-while-off",
    boot: "amd",
    rule: "amdvi.ir.disabled",
    index: null,
    what: "IommuEn is never set: QEMU remaps all the same.",
    sow: (trace) => controls(trace, (value) => value & ~bits.iommuEn),
  },
  {
    id: "amd-unmapped",
    boot: "amd",
    rule: "amdvi.check.unmapped",
    index: null,
    what: "The disk has IV=0 in its device table entry: its interrupts pass as they are.",
    sow(trace) {
      const gone: number[] = [];
      for (const at of trace.all(/^amdvi_ir_remap_msi_req .* devid 0x18$/)) {
        const outcome = trace.find(/^amdvi_ir_remap_msi /, at);
        gone.push(...range(at + 1, outcome - 1));
        trace.lines[outcome] = trace.lines[outcome]!.replace(/\((.*)\) -> \(.*\)/, "($1) -> ($1)");
      }
      trace.remove(gone);
    },
  },
  {
    id: "amd-mode-changed",
    boot: "amd",
    rule: "amdvi.check.mode-changed",
    index: null,
    what: "XTEn is set by the second write to the control register behind IommuEn, and stays.",
    sow(trace) {
      const enabled = trace.find(/^amdvi_control_status MMIO_STATUS state 0x21487$/);
      controls(trace, (value) => value | bits.xtEn, enabled + 1);
    },
  },
  {
    id: "amd-guest-mode-without-ga",
    boot: "amd",
    rule: "amdvi.check.mode-without-ga",
    index: null,
    what: "GAMEn is set before GAEn is.",
    sow: (trace) =>
      controls(
        trace,
        (value) => value | bits.gaMEn,
        trace.find(/^amdvi_control_status MMIO_STATUS state 0x1486$/),
      ),
  },
  {
    id: "amd-x2apic-unsupported",
    boot: "amd",
    profile: "amdvi-qemu-7.2",
    rule: "amdvi.register.unsupported",
    index: null,
    what: "XTEn is set together with GAEn, although EFR.XTSup is 0.",
    sow: (trace) =>
      controls(
        trace,
        (value) => value | bits.xtEn,
        trace.find(/^amdvi_control_status MMIO_STATUS state 0x21486$/),
      ),
  },
  {
    id: "amd-illegal-command",
    boot: "amd",
    rule: "amdvi.command.illegal",
    index: null,
    what: "One INVALIDATE_IOMMU_PAGES has the opcode 15.",
    sow(trace) {
      trace.lines[trace.findLast(/^amdvi_pages_inval /)] = "amdvi_unhandled_command unhandled command 15";
    },
  },
  {
    id: "amd-entry-reserved",
    boot: "amd",
    rule: "amdvi.irte.reserved",
    index: 2,
    what: "The disk's index 2 has bit 72 set, which is reserved.",
    sow: (trace) => diskEntry(trace, (high, low) => [high | 0x100n, low]),
  },
  {
    id: "amd-entry-destination",
    boot: "amd",
    rule: "amdvi.irte.xapic-destination",
    index: 2,
    what: "The disk's index 2 has bit 16 of its destination field set, although XTEn is 0.",
    sow: (trace) => diskEntry(trace, (high, low) => [high, low | 0x1_0000n]),
  },
  {
    id: "amd-entry-vector",
    boot: "amd",
    rule: "apic.vector.illegal-received",
    index: 2,
    what: "The disk's index 2 has the vector 14.",
    sow: (trace) => diskEntry(trace, (high, low) => [(high & ~0xffn) | 14n, low]),
  },
  {
    id: "amd-entry-guest",
    boot: "amd",
    rule: "amdvi.irte.guest-mode",
    index: 2,
    what: "The disk's index 2 is in guest mode, although GAMEn is 0; QEMU refuses it.",
    sow(trace) {
      diskEntry(trace, (high, low) => [high, low | 0x80n]);
      const gone: number[] = [];
      for (const at of trace.all(diskIndex2)) {
        trace.lines[at + 2] = "amdvi_ir_err guest mode is not zero";
        gone.push(...range(at + 3, at + 4));
      }
      trace.remove(gone);
    },
  },
];
