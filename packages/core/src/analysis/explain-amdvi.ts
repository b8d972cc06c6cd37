import type { AmdviEvent } from "../evidence/dmesg-amdvi.ts";
import { decode, hex, validate } from "../spec/codec.ts";
import { dte } from "../spec/amdvi/dte.ts";
import {
  type EventName,
  eventCodes,
  eventFlags,
  eventGeneric,
  eventNameOf,
  requestTypes,
} from "../spec/amdvi/events.ts";
import { htInterruptAddress, isHtInterruptAddress } from "../spec/amdvi/request.ts";
import type { RuleId } from "../spec/rules.ts";
import { interruptControl } from "./decode-kinds.ts";
import { type Finding, type Remark, finding } from "./finding.ts";

/** Flag bits 11:9 of INVALID_DEVICE_REQUEST. */
function requestType(flags: number): number {
  return flags >> 9;
}

export function explainEvent(event: AmdviEvent): Finding {
  const name = event.name ?? nameOfWords(event.words!);
  const code = eventCodes[name as EventName] as number | undefined;
  const flags = event.flags ?? 0;
  const { line, requester, address } = event;
  const inRange = address !== null && isHtInterruptAddress(address);
  const interrupt = (flags & eventFlags.i) !== 0 || inRange;
  const common = { line, reason: code ?? null, name, requester };
  const from = requester === null ? "" : ` of ${requester}`;

  switch (code) {
    case eventCodes.IO_PAGE_FAULT:
      return interrupt ? pageFault(event, flags, inRange) : dmaEvent(event, common);
    case eventCodes.ILLEGAL_DEV_TABLE_ENTRY:
      if (!interrupt) return dmaEvent(event, common);
      return finding({
        ...common,
        kind: "interrupt",
        rule: "linux.amdvi.illegal-device-entry",
        what: `An interrupt${from}${message(address)} was blocked: the device table entry is illegal.`,
      });
    case eventCodes.INVALID_DEVICE_REQUEST:
      return invalidRequest(event, common, inRange);
    case eventCodes.DEV_TAB_HARDWARE_ERROR:
      return finding({
        ...common,
        kind: interrupt ? "interrupt" : "dma",
        rule: "amdvi.dte.access",
        what: `A request${from} was blocked: the device table could not be read${at(address)}.`,
      });
    case eventCodes.PAGE_TAB_HARDWARE_ERROR:
      if (!interrupt) return dmaEvent(event, common);
      return finding({
        ...common,
        kind: "interrupt",
        rule: "amdvi.ir.table-access",
        what: `An interrupt${from} was blocked: its entry could not be read${at(address)}.`,
      });
    case eventCodes.RMP_PAGE_FAULT:
      return dmaEvent(event, common);
    default:
      return finding({
        ...common,
        kind: "unit",
        rule: unitRules[code ?? 0] ?? "linux.amdvi.other-event",
        what: `The IOMMU reports ${name}${at(address)}.`,
      });
  }
}

const unitRules: Readonly<Record<number, RuleId>> = {
  [eventCodes.ILLEGAL_COMMAND_ERROR]: "amdvi.command.illegal",
  [eventCodes.COMMAND_HARDWARE_ERROR]: "amdvi.command.read-error",
};

function nameOfWords(words: readonly number[]): string {
  const value = (BigInt(words[1]!) << 32n) | BigInt(words[0]!);
  const code = Number(decode(eventGeneric, value).code);
  return eventNameOf(code) ?? `event ${hex(code)}`;
}

type Common = Pick<Finding, "line" | "reason" | "name" | "requester">;

function pageFault(event: AmdviEvent, flags: number, inRange: boolean): Finding {
  const { line, requester, address } = event;
  const index = inRange ? indexOf(address!) : null;
  const remapEnabled = (flags & eventFlags.pr) !== 0;
  const subject = `An interrupt${requester === null ? "" : ` of ${requester}`}${index === null ? "" : ` for index ${index}`}`;
  const found = remapEnabled
    ? "its entry has reserved bits or values"
    : "its entry has RemapEn=0, or there is none at that index";
  return finding({
    line,
    kind: "interrupt",
    reason: eventCodes.IO_PAGE_FAULT,
    name: "IO_PAGE_FAULT",
    rule: remapEnabled ? "amdvi.irte.reserved" : "amdvi.ir.not-enabled",
    requester,
    index,
    what: `${subject} was blocked: ${found}; the address ${address === null ? "" : `${hex(address)} `}is the message, not memory.`,
  });
}

function invalidRequest(event: AmdviEvent, common: Common, inRange: boolean): Finding {
  const { address, requester } = event;
  const type = requestType(event.flags ?? 0);
  const from = requester === null ? "" : ` of ${requester}`;
  if (type === requestTypes.interruptControlAbort) {
    return finding({
      ...common,
      kind: "interrupt",
      rule: "amdvi.ir.intctl-abort",
      what: `An interrupt${from}${message(address)} was aborted: IntCtl is 00b in the device table entry.`,
    });
  }
  if (inRange || type === requestTypes.reservedInterruptRange) {
    return finding({
      ...common,
      kind: "interrupt",
      rule: "amdvi.ir.malformed-request",
      what: `A request${from} to the interrupt range${at(address)} was blocked: it is no interrupt message (type ${type}).`,
    });
  }
  return dmaEvent(event, common);
}

function dmaEvent({ address, requester }: AmdviEvent, common: Common): Finding {
  const from = requester === null ? "" : ` of ${requester}`;
  return finding({
    ...common,
    name: `DMA fault: ${common.name}`,
    kind: "dma",
    rule: "linux.amdvi.dma-fault",
    what: `A DMA request${from}${at(address)} was blocked; no interrupt is involved.`,
  });
}

/** The table index that a message in the interrupt range carries (amdvi.event.interrupt-address). */
function indexOf(address: bigint): number {
  const { vector, type } = decode(htInterruptAddress, address);
  return (Number(type) << 8) | Number(vector);
}

/** The message of an interrupt that was not looked up in a table. */
function message(address: bigint | null): string {
  if (address === null || !isHtInterruptAddress(address)) return "";
  const { vector, destination } = decode(htInterruptAddress, address);
  return ` (vector or index ${hex(vector)}, destination ${hex(destination)})`;
}

function at(address: bigint | null): string {
  return address === null ? "" : ` at ${hex(address)}`;
}

/** Judges a device table entry that was printed or pasted. */
export function explainDeviceEntry(
  line: number,
  entry: bigint,
  requester: string | null,
): { findings: Finding[]; remark: Remark } {
  const { iv } = decode(dte, entry);
  const violations = iv === 0 ? [] : validate(dte, entry);
  const of = requester === null ? "the device" : requester;
  return {
    findings: violations.map(({ rule, found }) =>
      finding({
        line,
        kind: "entry",
        reason: eventCodes.ILLEGAL_DEV_TABLE_ENTRY,
        name: "ILLEGAL_DEV_TABLE_ENTRY",
        rule,
        requester,
        what: `The device table entry of ${of} is illegal: ${found}.`,
      }),
    ),
    remark: { line, what: `Device table entry of ${of}: ${interruptControl(entry)}.` },
  };
}
