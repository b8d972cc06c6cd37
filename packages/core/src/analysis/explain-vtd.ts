import type { VtdFault, VtdFaultStatus, VtdQueueDescriptor, VtdQueueError } from "../evidence/dmesg-vtd.ts";
import { printRequester } from "../spec/requester.ts";
import { decode, hex } from "../spec/codec.ts";
import type { RuleId } from "../spec/rules.ts";
import { descriptorHeader } from "../spec/vtd/descriptors.ts";
import { type FaultName, type FaultReason, faultNameOf, faultReasons } from "../spec/vtd/faults.ts";
import { faultStatus, queueError } from "../spec/vtd/registers.ts";
import { type Finding, type Remark, finding } from "./finding.ts";

/** What hardware found, and what the reason is called where Linux has no name for it. */
const wording: Readonly<Record<FaultName, { readonly found: string; readonly name?: string }>> = {
  requestReserved: { found: "reserved fields of its message are set" },
  indexOutOfRange: { found: "its index lies past the end of the remapping table" },
  notPresent: { found: "its entry is not present (P=0)" },
  tableAccess: { found: "its entry could not be read from the table" },
  entryReserved: { found: "its entry has reserved bits set, or a reserved value" },
  compatibilityBlocked: { found: "its message is not in remappable format" },
  sidMismatch: { found: "its requester id is not one that the entry admits (SVT, SQ, SID)" },
  descriptorAccess: {
    found: "the posted-interrupt descriptor could not be accessed",
    name: "Error accessing the posted-interrupt descriptor",
  },
  descriptorReserved: {
    found: "reserved bits of the posted-interrupt descriptor are set",
    name: "Detected reserved fields in the posted-interrupt descriptor",
  },
  malformedRequest: {
    found: "it is no aligned 4-byte write without PASID",
    name: "Malformed request to the interrupt address range",
  },
  eimRequired: {
    found: "the unit demands EIME and IRTA has it at 0",
    name: "Extended interrupt mode required",
  },
  remappingRequired: {
    found: "the unit demands remapping and it is off",
    name: "Interrupt remapping required",
  },
};

export function explainFault(fault: VtdFault): Finding {
  if (fault.reason === null) return withoutReason(fault);
  const name = faultNameOf(fault.reason);
  return name === undefined ? dmaFault(fault, fault.reason) : interruptFault(fault, name);
}

function interruptFault(fault: VtdFault, name: FaultName): Finding {
  const reason: FaultReason = faultReasons[name];
  const { found, name: own = reason.linux } = wording[name];
  const printed = indexAsPrinted(fault);
  const index = reason.indexed ? printed : null;
  const damaged = index !== null && index > 0xffff;
  const asDma = fault.printedAs === "dma" && fault.info !== null;
  const parts = [
    `An interrupt request${of(fault)}${index === null || damaged ? "" : ` for index ${index}`} was blocked: ${found}`,
  ];
  if (!reason.indexed) parts.push("the index is undefined for this reason");
  if (damaged) parts.push(`the printed index ${hex(index)} is past 65535, so the line is damaged`);
  if (asDma)
    parts.push(
      "it is printed as a DMA fault, and Read or Write mean nothing (linux.dmar.posted-fault-as-dma)",
    );
  return finding({
    line: fault.line,
    kind: "interrupt",
    reason: reason.code,
    name: own,
    rule: reason.rule,
    requester: fault.requester,
    index,
    what: `${parts.join("; ")}.`,
  });
}

/** FI holds the index in bits 63:48; what prints it as an address shows all of FI. */
function indexAsPrinted({ info, printedAs }: VtdFault): number | null {
  if (info === null) return null;
  return Number(printedAs === "interrupt" ? info : info >> 48n);
}

function dmaFault(fault: VtdFault, reason: number): Finding {
  const { info, text, direction } = fault;
  const name = text === "" || text === "Unknown" ? `DMA fault ${hex(reason)}` : `DMA fault: ${text}`;
  const at = info === null ? "" : ` at ${hex(info)}`;
  const inRange = info !== null && info >> 20n === 0xfeen;
  const about = inRange
    ? "the address lies in the interrupt range, but it was no well-formed interrupt message"
    : "no interrupt is involved";
  return finding({
    line: fault.line,
    kind: "dma",
    reason,
    name,
    rule: "linux.dmar.dma-fault",
    requester: fault.requester,
    what: `A DMA ${direction ?? "request"}${of(fault)}${at} was blocked with reason ${hex(reason)}; ${about}.`,
  });
}

function withoutReason(fault: VtdFault): Finding {
  const interrupt = fault.printedAs === "interrupt";
  return finding({
    line: fault.line,
    kind: interrupt ? "interrupt" : "dma",
    name: "reason not given",
    rule: "vtd.fault.record",
    requester: fault.requester,
    what: `${interrupt ? "An interrupt request" : "A request"}${of(fault)} was blocked; the line with its reason is missing.`,
  });
}

function of({ requester }: VtdFault): string {
  return requester === null ? "" : ` of ${requester}`;
}

/** What FSTS says beyond a pending fault, whose record has a line of its own. */
export function explainStatus({ line, status }: VtdFaultStatus): Finding[] {
  const { pfo, iqe } = decode(faultStatus, BigInt(status));
  const findings: Finding[] = [];
  if (pfo === 1) {
    findings.push(
      finding({
        line,
        kind: "unit",
        name: "Primary fault overflow",
        rule: "vtd.fault.overflow",
        what: "The fault records overflowed (PFO): more faults happened than the log shows.",
      }),
    );
  }
  if (iqe === 1) findings.push(queueHalted(line, "The invalidation queue has stopped at an error (IQE)."));
  return findings;
}

/** A fault was pending, and nothing in the whole text says which. */
export function unexplainedStatus({ line }: VtdFaultStatus): Finding {
  return finding({
    line,
    kind: "unit",
    name: "Primary pending fault",
    rule: "vtd.fault.event",
    what: "A fault was pending (PPF); the line with its record is missing.",
  });
}

function queueHalted(line: number, what: string, requester: string | null = null): Finding {
  return finding({
    line,
    kind: "unit",
    name: "Invalidation queue error",
    rule: "vtd.qi.halt",
    requester,
    what,
  });
}

const queueRules: Readonly<Record<number, RuleId>> = {
  1: "vtd.qi.invalid-tail",
  2: "vtd.qi.fetch-error",
  3: "vtd.qi.invalid-type",
  4: "vtd.qi.reserved",
  5: "vtd.qi.width",
  6: "vtd.qi.tail-alignment",
};

/** IQEI and source id of a register that reads as all ones. */
const gone = { info: 0xf, sid: 0xffff };

export function explainQueueError({ line, error, value }: VtdQueueError): Finding {
  if (value === (error === "queue" ? gone.info : gone.sid)) {
    return finding({
      line,
      kind: "unit",
      name: `Invalidation ${error} error, registers read as all ones`,
      rule: "linux.dmar.registers-gone",
      what: "The unit's error registers read as all ones: it no longer answers.",
    });
  }
  if (error !== "queue") {
    const requester = printRequester(value);
    const late =
      error === "time-out" ? "did not answer an invalidation in time" : "answered an invalidation wrongly";
    return queueHalted(line, `The device TLB of ${requester} ${late}.`, requester);
  }
  const rule = queueRules[value];
  const meaning = queueError.fields.iqei.values?.[value] ?? "unknown";
  const what = `The invalidation queue stopped: ${meaning} (IQEI ${value}).`;
  return rule === undefined
    ? queueHalted(line, what)
    : finding({ line, kind: "unit", name: `Invalidation queue error: ${meaning}`, rule, what });
}

export function describeDescriptor({ line, which, descriptor }: VtdQueueDescriptor): Remark {
  const { type } = decode(descriptorHeader, descriptor);
  const name = descriptorHeader.fields.type.values?.[Number(type)] ?? `of the unknown type ${hex(type)}`;
  const place = which === "head" ? "The descriptor at the head of the queue" : "The descriptor before it";
  return { line, what: `${place} is ${name}: ${hex(descriptor)}.` };
}
