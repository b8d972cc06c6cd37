import { linesOf } from "../log-line.ts";

/** A row of /proc/interrupts that is a Linux interrupt. */
export interface InterruptRow {
  readonly line: number;
  readonly irq: number;
  /** One for each column; null where there are not as many numbers as columns, or no heading says whose they are. */
  readonly counts: readonly number[] | null;
  readonly chip: string | null;
  readonly hwirq: bigint | null;
  /** `edge`, `fasteoi`, … */
  readonly flow: string | null;
  readonly actions: readonly string[];
}

/** A row that is no device's: `PIN`, `LOC`. */
export interface CounterRow {
  readonly line: number;
  readonly label: string;
  /** One for each column, or one for the machine (`ERR`, `MIS` before they were counted per processor). */
  readonly counts: readonly number[];
  /** What the row says it counts. */
  readonly title: string;
}

export interface InterruptTable {
  /** Processors of the columns: those that are online. */
  readonly cpus: readonly number[];
  readonly interrupts: readonly InterruptRow[];
  readonly counters: readonly CounterRow[];
  /** Lines that were read, the heading among them. */
  readonly lines: ReadonlySet<number>;
}

/** Characters of a row: eleven a processor. */
const rowLimit = 131_072;
const columnLimit = 8192;

const heading = /^\s*CPU\d{1,5}(?:\s+CPU\d{1,5})*\s*$/;
const start = /^\s*(?:(\d{1,9})|([A-Z][A-Z0-9]{2,7})):/;

/** Labels that are read without a heading above them. */
const known: ReadonlySet<string> = new Set(["PIN", "NPI", "PIW", "PMN"]);

/**
 * Reads /proc/interrupts, or a text that holds it. Of rows without a heading, as `grep` leaves them, it is not known
 * whose their numbers are; they are read where they cannot be anything else.
 */
export function readInterruptTable(text: string): InterruptTable {
  let cpus: number[] | undefined;
  const interrupts: InterruptRow[] = [];
  const counters: CounterRow[] = [];
  const lines = new Set<number>();
  for (const { number, text: line } of linesOf(text, rowLimit)) {
    if (line.includes("CPU") && heading.test(line)) {
      // A second table in the same text is not the first one's rest.
      if (cpus !== undefined) break;
      cpus = line.match(/\d+/g)!.map(Number);
      lines.add(number);
      continue;
    }
    const label = start.exec(line);
    if (label === null) continue;
    const { counts, rest } = leadingNumbers(line.slice(label[0].length), cpus?.length ?? columnLimit);
    const [, irq, name] = label;
    if (cpus === undefined) {
      if (counts.length === 0) continue;
      const row = irq === undefined ? undefined : deviceRow(counts, rest, counts.length);
      if (row !== undefined && row.hwirq !== null) {
        interrupts.push({ line: number, irq: Number(irq), ...row, counts: null });
      } else if (name !== undefined && known.has(name)) {
        counters.push({ line: number, label: name, counts, title: rest });
      } else continue;
      lines.add(number);
      continue;
    }
    if (irq !== undefined) {
      if (counts.length === 0) continue;
      interrupts.push({ line: number, irq: Number(irq), ...deviceRow(counts, rest, cpus.length) });
    } else {
      if (counts.length !== cpus.length && !(counts.length === 1 && rest === "")) continue;
      counters.push({ line: number, label: name!, counts, title: rest });
    }
    lines.add(number);
  }
  return { cpus: cpus ?? [], interrupts, counters, lines };
}

/** Up to `most` numbers at the head of a text, and what follows them. */
function leadingNumbers(text: string, most: number): { counts: number[]; rest: string } {
  const counts: number[] = [];
  const number = /\s*(\d{1,20})(?=\s|$)/y;
  while (counts.length < most) {
    const { lastIndex } = number;
    const match = number.exec(text);
    if (match === null) {
      number.lastIndex = lastIndex;
      break;
    }
    counts.push(Number(match[1]));
  }
  return { counts, rest: text.slice(number.lastIndex).trim() };
}

const described = /^(\S.{0,120}?) (\d{1,20})-(\S{1,24})(?: (.*))?$/;
/** Before Linux 2.6.38 or so the hwirq was not printed. */
const flowOnly = /^(\S{1,60})-(edge|fasteoi|level|percpu|simple)(?: (.*))?$/;
const bare = /^(\S{1,60})(?: (.*))?$/;

function deviceRow(
  counts: readonly number[],
  rest: string,
  columns: number,
): Omit<InterruptRow, "line" | "irq"> {
  const unknown = { counts: null, chip: null, hwirq: null, flow: null, actions: [] };
  // With too few numbers, or one too many, it is not known whose they are, and what follows is no chip.
  if (counts.length !== columns || /^\d+(?:\s|$)/.test(rest)) return unknown;
  const text = rest.slice(0, 4096).replaceAll(/\s+/g, " ");
  const row = described.exec(text);
  if (row !== null) {
    return { counts, chip: row[1]!, hwirq: BigInt(row[2]!), flow: row[3]!, actions: actionsOf(row[4]) };
  }
  const old = flowOnly.exec(text);
  if (old !== null) {
    return { counts, chip: old[1]!, hwirq: null, flow: old[2]!, actions: actionsOf(old[3]) };
  }
  const only = bare.exec(text);
  return only === null
    ? { ...unknown, counts }
    : { counts, chip: only[1]!, hwirq: null, flow: null, actions: actionsOf(only[2]) };
}

/** Names of handlers as they are printed, one behind the other. */
export function actionsOf(text: string | undefined): string[] {
  return (text ?? "")
    .split(",")
    .map((name) => name.trim())
    .filter((name) => name !== "");
}
