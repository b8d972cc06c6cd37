import type { Seed } from "./seed-hazards.ts";
import { TraceEdit, range, withNumber } from "./trace-edit.ts";

const queueEntries = 256;
const tailWrite = /^vtd_reg_write addr 0x88 size 0x4 value /;
const headRead = /^vtd_inv_qi_head read head /;
const waitStatus = /^vtd_inv_desc_wait_sw /;
const table = /^vtd_reg_write addr 0xb8 /;
const tableValue = /^(vtd_reg_write addr 0xb8 size 0x8 value )(0x[0-9a-f]+)/;
const setTable = /^vtd_reg_write addr 0x18 size 0x4 value 0x5000000$/;
const enable = /^vtd_reg_write addr 0x18 size 0x4 value 0x6000000$/;
const commandWrite = /^vtd_reg_write addr 0x18 size 0x4 value |^vtd_reg_write_gcmd /;
const commandValue = /^(.* value )(0x[0-9a-f]+)$/;

/** The positions of a whole submission, from the write of the tail to the status that its wait writes, around one of its lines. */
function submission(trace: TraceEdit, at: number): number[] {
  return range(trace.findLast(tailWrite, at + 1), trace.find(waitStatus, at));
}

/** Takes submissions away as if the driver had never made them: those behind them move up in the queue. */
function withoutSubmissions(trace: TraceEdit, around: readonly number[]): void {
  trace.remove(around.flatMap((at) => submission(trace, at)));
  renumber(trace);
}

/** Numbers heads and tails anew, by the descriptors that there are. */
function renumber(trace: TraceEdit): void {
  const tails = trace.all(tailWrite);
  let at = 0;
  tails.forEach((line, i) => {
    const heads = trace.all(headRead, line, tails[i + 1]);
    for (const head of heads) {
      trace.lines[head] = `vtd_inv_qi_head read head ${at}`;
      at = (at + 1) % queueEntries;
    }
    trace.lines[line] = `vtd_reg_write addr 0x88 size 0x4 value 0x${(at * 16).toString(16)}`;
    trace.lines[line + 1] = `vtd_inv_qi_tail write tail ${at}`;
  });
}

/** Changes a write to GCMD, which stands in two lines. */
function command(trace: TraceEdit, at: number, change: (value: bigint) => bigint): void {
  for (const line of [at, at + 1]) {
    if (!commandWrite.test(trace.lines[line]!)) throw new RangeError(`line ${line + 1} is no write to GCMD`);
    trace.lines[line] = withNumber(trace.lines[line]!, commandValue, change);
  }
}

function invalidationOf(index: number): RegExp {
  return new RegExp(`^vtd_inv_desc_iec granularity 0x1 index 0x${index.toString(16)} mask 0x0$`);
}

const setOnce = 1n << 24n;
const compatibility = 1n << 23n;
const extendedMode = 1n << 11n;
/** Where the source-id validation type stands in the high half of an entry, which is printed as `low`. */
const svt = 3n << 18n;

/** Hazards sown into the Intel boot. */
export const intelSeeds: readonly Seed[] = [
  {
    id: "intel-entry-changed",
    boot: "intel",
    rule: "vtd.check.entry-changed",
    index: 28,
    what: "The entry of index 28, the NVMe controller's, changes, and the invalidations of it in between are gone (asterinas#2645).",
    sow(trace) {
      const uses = trace.all(/^vtd_ir_irte_get index 28 /);
      const change = uses.findIndex((at, i) => i > 0 && trace.lines[at] !== trace.lines[uses[i - 1]!]);
      withoutSubmissions(trace, trace.all(invalidationOf(28), uses[change - 1], uses[change]));
    },
  },
  {
    id: "intel-svt-none",
    boot: "intel",
    rule: "vtd.check.svt-none",
    what: "SVT is 00b in every entry (asterinas#3920).",
    sow: (trace) =>
      trace.change(/^vtd_ir_irte_get /, (line) =>
        withNumber(line, /( low )(0x[0-9a-f]+)/, (value) => value & ~svt),
      ),
  },
  {
    id: "intel-table-switched",
    boot: "intel",
    rule: "vtd.iec.global-after-sirtp",
    index: null,
    what: "The new table is set and remapping enabled with no global invalidation, although ESIRTPS is 0 (asterinas#3920).",
    sow(trace) {
      withoutSubmissions(trace, [trace.find(/^vtd_inv_desc_iec granularity 0x0 /, trace.find(setTable))]);
    },
  },
  {
    id: "intel-eime-unsupported",
    boot: "intel",
    profile: "vtd-qemu-7.2",
    rule: "vtd.check.eime-unsupported",
    index: null,
    what: "IRTA is written with EIME set, although ECAP.EIM is 0 (asterinas#3920).",
    sow: (trace) =>
      trace.change(table, (line) => withNumber(line, tableValue, (value) => value | extendedMode)),
  },
  {
    id: "intel-x2apic-first",
    boot: "intel",
    rule: "vtd.check.x2apic-first",
    index: null,
    what: "A processor is switched to x2APIC mode ahead of IRTA and IRE (asterinas#3920).",
    sow: (trace) => trace.insert(trace.find(table), "cpu_set_apic_base 0x00000000fee00d00"),
  },
  {
    id: "intel-ire-before-table",
    boot: "intel",
    rule: "vtd.gcmd.ire-before-sirtp",
    index: null,
    what: "IRE is set and no table ever was: IRTA, SIRTP and the global invalidation are gone.",
    sow(trace) {
      const from = trace.find(table);
      const to = trace.find(waitStatus, trace.find(setTable, from));
      trace.remove(range(from, to));
      renumber(trace);
    },
  },
  {
    id: "intel-queue-unset",
    boot: "intel",
    rule: "vtd.check.qie-without-iqa",
    index: null,
    what: "The write to IQA is gone: the queue is enabled with its base unset.",
    sow: (trace) => trace.remove([trace.find(/^vtd_reg_write addr 0x90 /)]),
  },
  {
    id: "intel-one-shot",
    boot: "intel",
    rule: "vtd.check.one-shot",
    index: null,
    what: "IRE is set by the status as it was read, with SIRTP still in it.",
    sow: (trace) => command(trace, trace.find(enable), (value) => value | setOnce),
  },
  {
    id: "intel-table-misaligned",
    boot: "intel",
    rule: "vtd.irta.alignment",
    index: null,
    what: "The table of 1 MiB lies at 1210000h.",
    sow(trace) {
      trace.change(table, (line) => withNumber(line, tableValue, (value) => value | 0x1_0000n));
      trace.change(/^vtd_reg_ir_root /, (line) => line.replace("addr 0x1200000", "addr 0x1210000"));
    },
  },
  {
    id: "intel-compatibility-left-on",
    boot: "intel",
    rule: "vtd.check.cfi",
    index: null,
    what: "CFI is set once IRE is, and stays set.",
    sow(trace) {
      const behind = trace.find(enable) + 3;
      trace.change(
        commandWrite,
        (line) => withNumber(line, commandValue, (value) => value | compatibility),
        behind,
      );
      trace.insert(
        behind,
        "vtd_reg_write addr 0x18 size 0x4 value 0x6800000",
        "vtd_reg_write_gcmd status 0x7000000 value 0x6800000",
      );
    },
  },
  {
    id: "intel-invalidation-missing",
    boot: "intel",
    rule: "vtd.check.invalidation-missing",
    index: null,
    what: "One invalidation of index 28 is gone, its wait is not.",
    sow(trace) {
      const at = trace.find(invalidationOf(28));
      trace.remove(range(at - 2, at + 1));
      renumber(trace);
    },
  },
  {
    id: "intel-not-waited",
    boot: "intel",
    rule: "vtd.check.not-waited",
    index: null,
    what: "The last invalidation has no wait behind it.",
    sow(trace) {
      const at = trace.findLast(waitStatus);
      trace.remove(range(at - 2, at));
      renumber(trace);
    },
  },
  {
    id: "intel-first-use",
    boot: "intel",
    profile: "vtd-line-cache",
    rule: "vtd.check.first-use",
    index: 1,
    what: "Index 1 is used with no invalidation of it since the table was enabled, on hardware that keeps not-present entries.",
    sow: (trace) =>
      withoutSubmissions(trace, trace.all(invalidationOf(1), 0, trace.find(/^vtd_ir_irte_get index 1 /))),
  },
];
