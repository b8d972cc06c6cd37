import { printRequester } from "../spec/requester.ts";
import type { AmdviEntry, MsiCapability, MsiMessage, VtdEntry } from "../evidence/pasted.ts";
import { decode, hex, validate } from "../spec/codec.ts";
import { eventCodes } from "../spec/amdvi/events.ts";
import { irte32 } from "../spec/amdvi/irte.ts";
import type { RuleId } from "../spec/rules.ts";
import { faultReasons } from "../spec/vtd/faults.ts";
import { irtePosted, irteRemapped } from "../spec/vtd/irte.ts";
import { amdIrteLayout, irteLayout } from "./decode-kinds.ts";
import { indexOf, messageShape } from "./decode-message.ts";
import { type Finding, type Remark, finding } from "./finding.ts";

export interface Explained {
  readonly findings: readonly Finding[];
  readonly remarks: readonly Remark[];
}

/** A VT-d entry: held against its layout, and a row's columns against the entry that the row shows. */
export function explainVtdEntry({ line, entry, row }: VtdEntry): Explained {
  const { p, fpd, sid, svt } = decode(irteRemapped, entry);
  const requester = row?.requester ?? printRequester(Number(sid));
  const index = row?.index ?? null;
  const common = { line, kind: "entry", requester, index } as const;
  const findings: Finding[] = [];
  const wrong = row === null ? [] : disagreements(entry, row);
  if (wrong.length > 0) {
    findings.push(
      finding({
        ...common,
        name: "row and entry disagree",
        rule: "linux.debugfs.row-disagrees",
        what: `The row says something else than its entry: ${wrong.join(", ")}.`,
      }),
    );
  }
  if (p === 0) {
    const { code, linux, rule } = faultReasons.notPresent;
    const recorded = fpd === 1 ? "without a record (FPD=1)" : `with reason ${hex(code)}`;
    const what = `The entry is not present: a request for it is blocked ${recorded}.`;
    findings.push(finding({ ...common, reason: code, name: linux, rule, what }));
    return { findings, remarks: [] };
  }
  const notes: string[] = [];
  for (const { rule, found, when } of validate(irteLayout(entry), entry)) {
    if (when === undefined) findings.push(illegalEntry(common, rule, found));
    else notes.push(`${found}, which is wrong with ${when} (${rule})`);
  }
  if (svt === 0) notes.push("SVT is 0, so any requester may use it");
  const remark = { line, what: [describeIrte(entry, index), ...notes].join("; ").concat(".") };
  return { findings, remarks: [remark] };
}

function illegalEntry(
  common: Pick<Finding, "line" | "kind" | "requester" | "index">,
  rule: RuleId,
  found: string,
): Finding {
  const { code, linux, rule: advisedBy } = faultReasons.entryReserved;
  const what = `A request for the entry is blocked with reason ${hex(code)}: ${found}.`;
  return finding({ ...common, reason: code, name: linux, rule, advisedBy, what });
}

function disagreements(entry: bigint, row: NonNullable<VtdEntry["row"]>): string[] {
  const { sid, v, dst, im } = decode(irteRemapped, entry);
  const { pda } = decode(irtePosted, entry);
  const wrong: string[] = [];
  const source = printRequester(Number(sid));
  if (row.requester !== source) wrong.push(`SrcID ${row.requester} is ${source} in the entry`);
  if (row.vector !== v) wrong.push(`vector ${hex(row.vector)} is ${hex(v)} in the entry`);
  const [high, low] = row.destination;
  if (low === undefined) {
    if (high !== dst) wrong.push(`DstID ${hex(high!)} is ${hex(dst)} in the entry`);
    if (im === 1) wrong.push("the row is one of remapped entries and the entry is posted");
  } else {
    const printed = (BigInt(high!) << 32n) | BigInt(low);
    if (printed !== BigInt(pda)) wrong.push(`PDA ${hex(printed)} is ${hex(pda)} in the entry`);
    if (im === 0) wrong.push("the row is one of posted entries and the entry is remapped");
  }
  return wrong;
}

function describeIrte(entry: bigint, index: number | null): string {
  const subject = index === null ? "VT-d entry" : `Entry ${index}`;
  const from = `from ${printRequester(Number(decode(irteRemapped, entry).sid))}`;
  if (irteLayout(entry) === irtePosted) {
    const { vv, pda, urg } = decode(irtePosted, entry);
    return `${subject} posts ${from} vector ${hex(vv)} to the descriptor at ${hex(pda)}${urg === 1 ? ", urgent" : ""}`;
  }
  const { v, dst, dm, dlm } = decode(irteRemapped, entry);
  const { dlm: modes, dm: kinds } = irteRemapped.fields;
  return (
    `${subject} delivers ${from} vector ${hex(v)} (${modes.values?.[Number(dlm)] ?? "reserved"}) ` +
    `to ${kinds.values?.[Number(dm)]} destination ${hex(dst)}`
  );
}

/** A row of AMD's irqtbl, under the device that the text names above it. */
export function explainAmdviEntry(
  { line, index, entry, width }: AmdviEntry,
  requester: string | null,
): Explained {
  const layout = width === 32 ? irte32 : amdIrteLayout(entry);
  const common = { line, kind: "entry", requester, index, reason: eventCodes.IO_PAGE_FAULT } as const;
  if (decode(irte32, entry & 0xffffffffn).remapen === 0) {
    const what = "The entry has RemapEn=0: a message for it is an I/O page fault.";
    return {
      findings: [finding({ ...common, name: "IO_PAGE_FAULT", rule: "amdvi.ir.not-enabled", what })],
      remarks: [],
    };
  }
  const findings: Finding[] = [];
  const notes: string[] = [];
  for (const { rule, found, when } of validate(layout, entry)) {
    if (when !== undefined) notes.push(`${found}, which is wrong with ${when} (${rule})`);
    else {
      const what = `A message for the entry is an I/O page fault: ${found}.`;
      findings.push(
        finding({ ...common, name: "IO_PAGE_FAULT", rule, advisedBy: "amdvi.irte.reserved", what }),
      );
    }
  }
  const { vector, dest } = decode(layout, entry) as Readonly<Record<string, number | bigint>>;
  const action = layout.title.includes("guest") ? "posts" : "delivers";
  const what = `Entry ${index} ${action} vector ${hex(vector!)} to destination ${hex(dest!)}`;
  return { findings, remarks: [{ line, what: [what, ...notes].join("; ").concat(".") }] };
}

/** A message, and what the capability above it says of its function. */
export function explainMessage(message: MsiMessage, capability: MsiCapability | undefined): Explained {
  const { line, address, data } = message;
  if (address === 0n && data === 0n) {
    return { findings: [], remarks: [{ line, what: "No message is programmed." }] };
  }
  const { mode, violations = [], readings = [], notes = [] } = messageShape(address, data);
  const remappable = mode === "remappable";
  const index = remappable ? indexOf(address, data) : null;
  const findings = violations
    .filter(({ when }) => when === undefined)
    .map(({ rule, found }) =>
      finding({
        line,
        kind: "message",
        reason: reasons[rule] ?? null,
        name: "invalid message",
        rule,
        index,
        what: `The message ${hex(address)}, ${hex(data)} is invalid: ${found}.`,
      }),
    );
  if (remappable && capability !== undefined) findings.push(...blockFindings(message, index!, capability));
  const amd = readings.find(({ as }) => as.startsWith("AMD"))!.fields["index"];
  const what = `The message is ${mode}: ${notes.join("; ")}; behind AMD-Vi its index is ${amd}.`;
  return { findings, remarks: [{ line, what }] };
}

const reasons: Readonly<Partial<Record<RuleId, number>>> = {
  "msi.remappable.data-reserved": faultReasons.requestReserved.code,
  "vtd.ir.index-out-of-range": faultReasons.indexOutOfRange.code,
};

function blockFindings(
  { line, data }: MsiMessage,
  index: number,
  { enabled, count }: MsiCapability,
): Finding[] {
  const common = { line, kind: "message", index } as const;
  if (!enabled) return [];
  if (count === 1) {
    if (data === 0n) return [];
    const what = `The function has one vector, yet its data is ${hex(data)}: the entry used is ${index}.`;
    return [finding({ ...common, name: "data of a single MSI", rule: "linux.ir.single-msi-data", what })];
  }
  if (index % count === 0) return [];
  const what = `The function has ${count} vectors, yet its first entry ${index} is no multiple of that.`;
  return [finding({ ...common, name: "block not aligned", rule: "linux.ir.multi-msi-alignment", what })];
}
