import { type FaultReason, faultReasons } from "../spec/vtd/faults.ts";
import { type Matcher, fromHex, requesterOf, requesterPattern } from "./log-line.ts";

/**
 * How a reason was printed. `0x`: Linux 5.14 and later; `decimal`: Linux before; `bare-hex`: Xen, and any other program
 * that prints hexadecimal digits without a prefix.
 */
export type ReasonForm = "0x" | "decimal" | "bare-hex";

/** A VT-d fault as Linux or Xen print it. */
export interface VtdFault {
  readonly kind: "vtd-fault";
  readonly line: number;
  /** How the program printed it: with a fault index or with a fault address. */
  readonly printedAs: "interrupt" | "dma";
  /** As printed; Read and Write mean nothing for an interrupt. */
  readonly direction: "read" | "write" | null;
  /** Null where the line with the device is missing. */
  readonly requester: string | null;
  /** Fault index or fault address, 64 bits; both are printed in hexadecimal, with `0x` since Linux 5.14. */
  readonly info: bigint | null;
  /** FRCD.FR; null where the line with the reason is missing. */
  readonly reason: number | null;
  readonly form: ReasonForm | null;
  /** The reason in the program's own words. */
  readonly text: string;
}

/** `DRHD: handling fault status reg`: FSTS as the handler found it. */
export interface VtdFaultStatus {
  readonly kind: "vtd-fault-status";
  readonly line: number;
  /** FSTS, 32 bits. */
  readonly status: number;
}

/** An error of the invalidation queue. */
export interface VtdQueueError {
  readonly kind: "vtd-queue-error";
  readonly line: number;
  readonly error: "queue" | "time-out" | "completion";
  /** IQERCD.IQEI for an error of the queue, else the source id (ITESID, ICESID). */
  readonly value: number;
}

/** A descriptor that Linux prints after an error of the queue. */
export interface VtdQueueDescriptor {
  readonly kind: "vtd-queue-descriptor";
  readonly line: number;
  /** `head` is the one in error, `prior` the one before it. */
  readonly which: "head" | "prior";
  /** 128 bits. */
  readonly descriptor: bigint;
}

export type VtdRecord = VtdFault | VtdFaultStatus | VtdQueueError | VtdQueueDescriptor;

/** The first part of a fault, which may stand on a line of its own. */
export type FaultHead = Pick<VtdFault, "line" | "printedAs" | "direction" | "requester" | "info"> & {
  readonly kind: "fault-head";
};

/** The second part. */
export type FaultTail = Pick<VtdFault, "line" | "reason" | "form" | "text"> & { readonly kind: "fault-tail" };

/**
 * A reason's number. The prefix or suffix decides; a bare number inside `[fault reason ..]` is decimal, unless its
 * digits are not, or the text beside it belongs to the reason that they name in hexadecimal.
 */
function reasonOf(digits: string, marked: boolean, text: string): Pick<VtdFault, "reason" | "form"> {
  const asHex = Number.parseInt(digits, 16);
  if (marked) return { reason: asHex, form: "0x" };
  if (/[a-f]/i.test(digits) || codeOfText(text) === asHex) return { reason: asHex, form: "bare-hex" };
  return { reason: Number.parseInt(digits, 10), form: "decimal" };
}

/** The code of the interrupt fault whose text Linux prints. */
export function codeOfText(text: string): number | undefined {
  const all: readonly FaultReason[] = Object.values(faultReasons);
  return all.find(({ linux }) => linux !== "Unknown" && text.startsWith(linux))?.code;
}

function head(match: RegExpExecArray, line: number): FaultHead {
  const [, direction, segment, busDevice, fn, what, info] = match;
  return {
    kind: "fault-head",
    line,
    printedAs: what === "index" ? "interrupt" : "dma",
    direction: direction === "Read" ? "read" : direction === "Write" ? "write" : null,
    requester: requesterOf(segment, busDevice!, fn!),
    info: fromHex(info!),
  };
}

const reasonText = "\\s{0,4}([A-Za-z][A-Za-z0-9 ,_()/.-]{0,110})?";

export const vtdMatchers: readonly Matcher<VtdRecord | FaultHead | FaultTail>[] = [
  {
    probe: "Request device",
    pattern: new RegExp(
      "(?:DMA (Read|Write)[^\\[\\]]{0,32}\\]:?\\s{0,4})?Request device \\[{1,2}" +
        `${requesterPattern}\\]\\s{0,4}(?:PASID (?:0x)?[0-9a-fA-F]{1,8}\\s{1,4})?` +
        "fault (index|addr) (?:0x)?([0-9a-fA-F]{1,16})(?![0-9a-fA-F])",
      "g",
    ),
    read: (match, line) => head(match, line.number),
  },
  {
    probe: "[fault reason ",
    pattern: new RegExp(`\\[fault reason (0x)?([0-9a-fA-F]{1,4})(h)?\\]${reasonText}`, "g"),
    read: ([, prefix, digits, suffix, text = ""], line) => ({
      kind: "fault-tail",
      line: line.number,
      text: text.trim(),
      ...reasonOf(digits!, prefix !== undefined || suffix !== undefined, text),
    }),
  },
  {
    // Xen prints the number with %02x.
    probe: ": reason ",
    pattern: new RegExp(`(?:INTR-REMAP|DMAR|UNKNOWN): reason ([0-9a-fA-F]{1,4}) -${reasonText}`, "g"),
    read: ([, digits, text = ""], line) => ({
      kind: "fault-tail",
      line: line.number,
      text: text.trim(),
      reason: Number.parseInt(digits!, 16),
      form: "bare-hex",
    }),
  },
  {
    probe: "handling fault status reg",
    pattern: /handling fault status reg (?:0x)?([0-9a-fA-F]{1,8})(?![0-9a-fA-F])/g,
    read: ([, digits], line) => ({
      kind: "vtd-fault-status",
      line: line.number,
      status: Number.parseInt(digits!, 16),
    }),
  },
  {
    probe: "VT-d detected Invalidation",
    pattern:
      /VT-d detected Invalidation (Queue|Time-out|Completion) Error: (?:Reason|SID) (?:0x)?([0-9a-fA-F]{1,4})/g,
    read: ([, error, digits], line) => ({
      kind: "vtd-queue-error",
      line: line.number,
      error: error!.toLowerCase() as VtdQueueError["error"],
      value: Number.parseInt(digits!, 16),
    }),
  },
  {
    probe: "qw0 = ",
    pattern:
      /QI (HEAD|PRIOR): [\w -]{0,60}qw0 = (?:0x)?([0-9a-fA-F]{1,16}), qw1 = (?:0x)?([0-9a-fA-F]{1,16})/g,
    read: ([, which, low, high], line) => ({
      kind: "vtd-queue-descriptor",
      line: line.number,
      which: which === "HEAD" ? "head" : "prior",
      descriptor: (fromHex(high!) << 64n) | fromHex(low!),
    }),
  },
];
