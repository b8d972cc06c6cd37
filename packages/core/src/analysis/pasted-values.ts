import type { LogRecord } from "../evidence/dmesg.ts";
import { QemuTraceReader, type TraceHandler } from "../evidence/qemu-trace/index.ts";
import { fromWords } from "../spec/codec.ts";
import { type DecodeKind, decodeKind, kindNames } from "./decode.ts";

/** A value that stands in a text, as {@link decodeKind} takes it. */
export interface PastedValue {
  /** From 1. */
  readonly line: number;
  readonly kind: DecodeKind;
  /** The kind's values, with one space between them. */
  readonly value: string;
  /** What the text says of it: `entry 5`; empty where it stands alone. */
  readonly place: string;
  /** Of an entry: its place in its table; null where the text does not say. */
  readonly index: number | null;
  /** Other kinds that the same digits may be. */
  readonly others: readonly DecodeKind[];
}

/** Hex digits, the most significant first, in words of 64 bits. */
function words(value: bigint, width: number): string {
  const digits = value.toString(16).padStart(width / 4, "0");
  return (digits.match(/.{1,16}/g) ?? []).join(" ");
}

function plain(line: number, kind: DecodeKind, value: string, place = ""): PastedValue {
  return { line, kind, value, place, index: null, others: [] };
}

function entryAt(index: number, line: number, kind: DecodeKind, value: string): PastedValue {
  return { ...plain(line, kind, value, `entry ${index}`), index };
}

/** The value that a record of a log holds, if it holds one. */
export function valueOf(record: LogRecord): PastedValue | undefined {
  const { line } = record;
  switch (record.kind) {
    case "vtd-entry": {
      const value = words(record.entry, 128);
      return record.row === null
        ? {
            ...plain(line, "irte", value),
            others: kindsOf(value.split(" ")).filter((kind) => kind !== "irte"),
          }
        : entryAt(record.row.index, line, "irte", value);
    }
    case "amdvi-entry":
      return entryAt(record.index, line, "amd-irte", words(record.entry, record.width));
    case "amdvi-dte":
      return plain(line, "dte", words(record.entry, 256));
    case "amdvi-device-entry":
      return plain(line, "dte", words(record.entry, 256), record.requester ?? "");
    case "msi-message":
      return plain(line, "msi", message(record.address, record.data));
    case "vtd-queue-descriptor":
      // One value: a pair would be taken in either order.
      return plain(
        line,
        "iec",
        words(record.descriptor, 128).replace(" ", ""),
        `${record.which} of the queue`,
      );
    default:
      return undefined;
  }
}

function message(address: bigint, data: number | bigint): string {
  const digits = address.toString(16).padStart(8, "0");
  return `${digits} ${data.toString(16).padStart(4, "0")}`;
}

/** Kinds that take these values, in the order in which `decode` names them. */
function kindsOf(values: readonly string[]): DecodeKind[] {
  return kindNames().filter((kind) => {
    try {
      decodeKind(kind, values);
      return true;
    } catch {
      return false;
    }
  });
}

const capabilities =
  /reg_base_addr [0-9a-f]{1,16} ver \d{1,3}:\d{1,3} cap ([0-9a-f]{1,16}) ecap ([0-9a-f]{1,16})/g;

/** Capability registers that Linux prints when it finds a unit. */
export function* capabilitiesIn(line: string, number: number): Generator<PastedValue> {
  for (const [, cap, ecap] of line.matchAll(capabilities)) {
    yield plain(number, "cap", cap!.padStart(16, "0"));
    yield plain(number, "ecap", ecap!.padStart(16, "0"));
  }
}

const address = /^\s{0,16}(?:0x)?[0-9a-f]{4,16}(?: <[^>]{1,80}>)?:\s{1,8}/i;
const digits = /^(?:0x)?[0-9a-f_`]{2,140}$/i;
/** No kind takes more. */
const mostWords = 8;

/** Hex words that stand alone, as a debugger or a terminal prints them; addresses in front of them are passed over. */
export function wordsAlone(lines: readonly string[]): PastedValue | undefined {
  const found = lines.flatMap((line) =>
    line
      .replace(address, "")
      .split(/[\s,:]+/)
      .filter((word) => word !== ""),
  );
  if (found.length === 0 || found.length > mostWords || !found.every((word) => digits.test(word)))
    return undefined;
  const values = found.map((word) => word.replace(/^0x/i, "").toLowerCase());
  // One short number may be anything; a register has its leading zeros.
  if (values.length === 1 && values[0]!.length < 8) return undefined;
  const [kind, ...others] = kindsOf(values);
  return kind === undefined
    ? undefined
    : { line: 1, kind, value: values.join(" "), place: "", index: null, others };
}

function whole(parts: readonly number[], width: number): string {
  return words(fromWords(Int32Array.from(parts), 0, width), width);
}

/** Takes every entry, message and descriptor in the events of a QEMU trace. */
export function valuesInTrace(bytes: Uint8Array, add: (value: PastedValue) => void): void {
  let offset = 0;
  const handler: TraceHandler = {
    request: (line, low, high, data) => {
      const at = fromWords(Int32Array.of(low, high), 0, 64);
      add(plain(line, "msi", message(at, data >>> 0), "request"));
    },
    vtdEntry: (line, index, ...parts) => add(entryAt(index, line, "irte", whole(parts, 128))),
    vtdDescriptor: (line, ...parts) =>
      add(plain(line, "iec", whole(parts, 128).replace(" ", ""), "descriptor")),
    vtdFault: (line, ...parts) => add(plain(line, "frcd", whole(parts, 128), "fault record")),
    amdviEntryAddress: (_line, _low, _high, at) => {
      offset = at >>> 0;
    },
    amdviEntry: (line, width, ...parts) => {
      const value = whole(width === 4 ? parts.slice(0, 1) : parts, width * 8);
      add(entryAt(offset / width, line, "amd-irte", value));
    },
  };
  try {
    const reader = new QemuTraceReader(() => handler);
    reader.feed(bytes);
    reader.end();
  } catch {
    // What came before the line that is none of a trace stands.
  }
}
