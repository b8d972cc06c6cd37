import { type LogLine, type Matcher, fromHex, requesterOf, requesterPattern } from "./log-line.ts";
import { printRequester } from "../spec/requester.ts";

/** An AMD-Vi event as Linux or Xen print it. */
export interface AmdviEvent {
  readonly kind: "amdvi-event";
  readonly line: number;
  /** As printed: `IO_PAGE_FAULT`, `INVALID_DEVICE_REQUEST` …; null where only the raw words were printed. */
  readonly name: string | null;
  /** The device of the event; null where the line names none. */
  readonly requester: string | null;
  /** 64 bits, as printed: interrupts carry a HyperTransport address. */
  readonly address: bigint | null;
  /** The event's 12 flag bits, bit 0 being GN. */
  readonly flags: number | null;
  /** The event's four words, where the program printed them raw. */
  readonly words: readonly number[] | null;
}

/** One quadword of the device table entry that Linux prints after ILLEGAL_DEV_TABLE_ENTRY. */
export interface AmdviDteWord {
  readonly kind: "amdvi-dte-word";
  readonly line: number;
  readonly at: number;
  readonly value: bigint;
}

export type AmdviRecord = AmdviEvent | AmdviDteWord;

const names = [
  "ILLEGAL_DEV_TABLE_ENTRY",
  "IO_PAGE_FAULT",
  "DEV_TAB_HARDWARE_ERROR",
  "PAGE_TAB_HARDWARE_ERROR",
  "ILLEGAL_COMMAND_ERROR",
  "COMMAND_HARDWARE_ERROR",
  "IOTLB_INV_TIMEOUT",
  "INVALID_DEVICE_REQUEST",
  "INVALID_PPR_REQUEST",
  "EVENT_COUNTER_ZERO",
  "RMP_PAGE_FAULT",
  "RMP_HW_ERROR",
] as const;

const named = new RegExp(`\\b(${names.join("|")})(?=[ :])`, "g");
const device = new RegExp(`(?:device=|: )${requesterPattern}\\b`);
const subject = new RegExp(`${requesterPattern}: AMD-Vi: `);
const rawWords = /^:?\s{1,4}([0-9a-fA-F]{8}) ([0-9a-fA-F]{8}) ([0-9a-fA-F]{8}) ([0-9a-fA-F]{8})\b/;

/** What stands behind an event's name, up to the bracket that ends it or the next event. */
function tailOf(line: LogLine, from: number): string {
  const tail = line.text.slice(from, from + 320);
  const end = tail.search(/[\][]|\b[A-Z_]{8,24}(?:_ENTRY|_FAULT|_ERROR|_REQUEST)\b/);
  return end < 0 ? tail : tail.slice(0, end);
}

function hexAfter(tail: string, pattern: RegExp): bigint | null {
  const digits = pattern.exec(tail)?.[1];
  return digits === undefined ? null : fromHex(digits);
}

/** The device that `dev_err` names before the message; an IOMMU that reports on itself is not a requester. */
function subjectOf(line: LogLine, at: number, name: string): string | null {
  if (name !== "IO_PAGE_FAULT" && name !== "RMP_PAGE_FAULT") return null;
  const match = subject.exec(line.text.slice(Math.max(0, at - 120), at));
  return match === null ? null : requesterOf(match[1], match[2]!, match[3]!);
}

function readEvent(match: RegExpExecArray, line: LogLine): AmdviEvent | undefined {
  const name = match[1]!;
  const tail = tailOf(line, match.index + name.length);
  const raw = rawWords.exec(tail);
  if (raw !== null) return fromWords(name, raw.slice(1), line);

  const address = hexAfter(tail, /(?:address ?= ?|\baddr ?=? ?)(?:0x)?([0-9a-fA-F]{1,16})\b/);
  const flags = hexAfter(tail, /\bflags ?=? ?(?:0x)?([0-9a-fA-F]{1,4})\b/);
  const printed = device.exec(tail);
  const id = hexAfter(tail, /device id = (?:0x)?([0-9a-fA-F]{1,4})\b/);
  const requester =
    printed !== null
      ? requesterOf(printed[1], printed[2]!, printed[3]!)
      : id !== null
        ? printRequester(Number(id))
        : subjectOf(line, match.index, name);
  // The name alone, in somebody's sentence, is no event.
  if (address === null && flags === null && requester === null) return undefined;
  return {
    kind: "amdvi-event",
    line: line.number,
    name,
    requester,
    address,
    flags: flags === null ? null : Number(flags),
    words: null,
  };
}

/** The words of an event that was printed raw. */
function fromWords(name: string | null, digits: readonly string[], line: LogLine): AmdviEvent {
  const words = digits.map((word) => Number.parseInt(word, 16));
  return {
    kind: "amdvi-event",
    line: line.number,
    name,
    requester: printRequester(words[0]! & 0xffff),
    address: (BigInt(words[3]!) << 32n) | BigInt(words[2]!),
    flags: (words[1]! >>> 16) & 0xfff,
    words,
  };
}

const word = "0x([0-9a-fA-F]{8})";

export const amdviMatchers: readonly Matcher<AmdviRecord>[] = [
  { probe: "_", pattern: named, read: readEvent },
  {
    probe: "UNKNOWN event[0]=",
    pattern: new RegExp(
      `UNKNOWN event\\[0\\]=${word} event\\[1\\]=${word} event\\[2\\]=${word} event\\[3\\]=${word}`,
      "g",
    ),
    read: (match, line) => fromWords(null, match.slice(1), line),
  },
  {
    probe: "DTE[",
    pattern: /DTE\[([0-3])\]: (?:0x)?([0-9a-fA-F]{1,16})\b/g,
    read: ([, at, digits], line) => ({
      kind: "amdvi-dte-word",
      line: line.number,
      at: Number(at),
      value: fromHex(digits!),
    }),
  },
];
