import { latin1 } from "../evidence/byte-source.ts";
import { type LogRecord, readLog } from "../evidence/dmesg.ts";
import { HostDraft } from "../evidence/host/draft.ts";
import { readPastedHost } from "../evidence/host/read-pasted.ts";
import { encodeText } from "../evidence/input/decode-text.ts";
import { readHexdumps } from "../evidence/input/hexdump.ts";
import { kindBytes, kindOf } from "../evidence/input/input-kind.ts";
import { type DecodedTable, decodeTable, isTableKind } from "./decode-table.ts";
import { type Explanation, explainRecords } from "./explain.ts";
import { type PastedValue, capabilitiesIn, valueOf, valuesInTrace, wordsAlone } from "./pasted-values.ts";

/** A firmware table in a text. */
export interface PastedTable {
  /** Of the text, from 1; 0 where the input is the table itself. */
  readonly line: number;
  /** Of which this many bytes are there. */
  readonly length: number;
  readonly signature: string;
  /** Null where it is of no kind that `decode` takes, or damaged: then `wrong` says how. */
  readonly table: DecodedTable | null;
  readonly wrong: string | null;
}

/** What a text of any kind holds, for whoever has to choose where to look at it. */
export interface Recognition {
  readonly lines: number;
  /** Most of its first lines are events of a QEMU trace. */
  readonly trace: boolean;
  /** As `explain` prints it. */
  readonly explanation: Explanation;
  /** The first {@link valueLimit}, in the order of the text. */
  readonly values: readonly PastedValue[];
  readonly valuesOmitted: number;
  /** False for a trace of which only the first {@link traceLength} characters were looked through for values. */
  readonly valuesWhole: boolean;
  readonly tables: readonly PastedTable[];
  /** What of a host it describes: entries of remapping tables, Linux's interrupts, devices; null for nothing. */
  readonly host: RecognisedHost | null;
}

/** How much of a host a text describes. */
export interface RecognisedHost {
  readonly entries: number;
  readonly interrupts: number;
  readonly devices: number;
  /** False for a text of which only the first {@link hostLength} characters were looked through. */
  readonly whole: boolean;
}

/** Values that are named one by one. */
export const valueLimit = 200;
/** Of a text no more is looked through for a host, in characters. */
export const hostLength: number = 1 << 22;
/** Of a trace no more is looked through for values, in characters. */
export const traceLength: number = 1 << 20;
/** Lines after which it says how far it is. */
const linesAtOnce = 1000;

/** Lines of a text that stands alone, when it is short enough to be a value. */
const shortText = 2048;

/**
 * Says what a pasted text is. It never fails: what is not understood is not in the result.
 * @param progress takes what is being done.
 */
export function recognise(text: string, progress: (what: string) => void = () => {}): Recognition {
  progress("looking for tables");
  const start = encodeText(text.slice(0, traceLength));
  const trace = kindOf(start.subarray(0, kindBytes)) === "trace";
  const tables = readHexdumps(text)
    .map(({ line, bytes }) => recogniseTable(bytes, line))
    .filter((table) => table !== undefined);
  const found = new Values();
  const explanation = explained(text, found, progress);
  progress("looking for a machine");
  if (trace) valuesInTrace(start, found.add);
  const { values, omitted } = found;
  if (
    values.length === 0 &&
    explanation.understood === 0 &&
    tables.length === 0 &&
    text.length <= shortText
  ) {
    const alone = wordsAlone(text.split("\n"));
    if (alone !== undefined) values.push(alone);
  }
  values.sort((a, b) => a.line - b.line);
  return {
    lines: countLines(text),
    trace,
    explanation,
    values,
    valuesOmitted: omitted,
    valuesWhole: !trace || text.length <= traceLength,
    tables,
    host: trace ? null : hostIn(text),
  };
}

/** A firmware table by its signature: one that is read, or another one whose header makes sense. */
export function recogniseTable(bytes: Uint8Array, line = 0): PastedTable | undefined {
  const signature = latin1(bytes.subarray(0, 4));
  if (!/^[A-Z][A-Z0-9]{3}$/.test(signature)) return undefined;
  const kind = signature.toLowerCase();
  const common = { line, length: bytes.length, signature };
  if (!isTableKind(kind)) return { ...common, table: null, wrong: "decode takes DMAR and IVRS" };
  try {
    return { ...common, table: decodeTable(kind, bytes), wrong: null };
  } catch (error) {
    return { ...common, table: null, wrong: (error as Error).message };
  }
}

/** What Linux prints of a unit when it finds it. */
const unitFound = "reg_base_addr ";

/** The first {@link valueLimit} values, and how many more there are. */
class Values {
  readonly values: PastedValue[] = [];
  omitted = 0;

  readonly add = (value: PastedValue): void => {
    if (this.values.length < valueLimit) this.values.push(value);
    else this.omitted++;
  };
}

function explained(text: string, found: Values, progress: (what: string) => void): Explanation {
  let told = 0;
  function* records(): Generator<LogRecord> {
    for (const record of readLog(text)) {
      if (record.line >= told) {
        progress(`looking for messages, line ${record.line.toLocaleString("en")}`);
        told = record.line + linesAtOnce;
      }
      const value = valueOf(record);
      if (value !== undefined) found.add(value);
      yield record;
    }
  }
  progress("looking for messages");
  const explanation = explainRecords(records());
  let number = 1;
  let counted = 0;
  for (let at = text.indexOf(unitFound); at >= 0; at = text.indexOf(unitFound, at + 1)) {
    number += newlinesIn(text.slice(counted, at));
    counted = at;
    const [line = ""] = text.slice(at, at + 160).split("\n", 1);
    for (const value of capabilitiesIn(line, number)) found.add(value);
  }
  return explanation;
}

function countLines(text: string): number {
  return newlinesIn(text) + (text === "" || text.endsWith("\n") ? 0 : 1);
}

function newlinesIn(text: string): number {
  let count = 0;
  for (let at = text.indexOf("\n"); at >= 0; at = text.indexOf("\n", at + 1)) count++;
  return count;
}

function hostIn(text: string): RecognisedHost | null {
  const draft = new HostDraft("pasted text");
  try {
    readPastedHost(text.slice(0, hostLength), draft, "pasted text");
  } catch {
    return null;
  }
  const { units, interrupts, devices } = draft.finish();
  const entries = units.reduce(
    (sum, unit) =>
      sum +
      (unit.vendor === "intel"
        ? (unit.table?.value.entries.size ?? 0)
        : [...unit.tables.values()].reduce((all, { value }) => all + value.entries.size, 0)),
    0,
  );
  const held = { entries, interrupts: interrupts.length, devices: devices.length };
  const all = entries + held.interrupts + held.devices;
  return all === 0 ? null : { ...held, whole: text.length <= hostLength };
}
