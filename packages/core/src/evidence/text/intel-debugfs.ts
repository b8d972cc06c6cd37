import { printRequester } from "../../spec/requester.ts";
import { type LogLine, fromHex, linesOf, matchLine } from "../log-line.ts";
import { type VtdEntry, pastedMatchers } from "../pasted.ts";

/** What debugfs `iommu/intel` says of a unit; several files may speak of it in one text. */
export interface IntelDebugfsUnit {
  /** Null for rows without a heading. */
  readonly name: string | null;
  readonly table?: IntelTable;
  readonly registers?: IntelRegisters;
  readonly queue?: IntelQueue;
  /** The line that says that the unit does not remap. */
  readonly disabled?: number;
}

export interface IntelTable {
  readonly line: number;
  readonly base: bigint | null;
  /** By index; those that are present. */
  readonly entries: ReadonlyMap<number, bigint>;
  /** Whether posted entries are listed too, if there are any: only then every present entry is there. */
  readonly posted: boolean;
  /** Somebody left rows out. */
  readonly cut: boolean;
}

export interface IntelRegisters {
  readonly line: number;
  readonly base: bigint;
  readonly values: readonly {
    readonly name: string;
    readonly offset: number;
    readonly value: bigint;
    readonly line: number;
  }[];
}

export interface IntelQueue {
  readonly line: number;
  readonly base: bigint;
  readonly head: number;
  readonly tail: number;
  readonly descriptors: readonly { readonly value: bigint; readonly status: number }[];
}

/** Rows of one table, and of one queue. */
const entryLimit = 65_536;
const queueLimit = 32_768;

interface OpenUnit {
  name: string | null;
  table?: {
    line: number;
    base: bigint | null;
    entries: Map<number, bigint>;
    cut: boolean;
    posted: boolean;
  };
  registers?: { line: number; base: bigint; values: IntelRegisters["values"][number][] };
  queue?: {
    line: number;
    base: bigint;
    head: number;
    tail: number;
    descriptors: { value: bigint; status: number }[];
  };
  disabled?: number;
}

const tableHeading = /^\s*(Remapped|Posted) Interrupt supported on IOMMU: (dmar\d{1,4})\s*$/;
const tableBase = /^\s*IR table address: ?(?:0x)?([0-9a-f]{1,16})\s*$/;
const columns = /^\s*Entry\s+SrcID\s+(?:DstID|PDA_high\s+PDA_low)\s+Vct\s+IRTE_high\s+IRTE_low\s*$/;
const registersHeading = /^\s*IOMMU: (dmar\d{1,4}) Register Base Address: (?:0x)?([0-9a-f]{1,16})\s*$/;
const registerRow = /^\s*([A-Z][A-Z0-9_]{1,24})\s+0x([0-9a-f]{1,4})\s+0x([0-9a-f]{1,16})\s*$/;
const queueHeading = /^\s*Invalidation queue on IOMMU: (dmar\d{1,4})\s*$/;
const queueBase = /^\s*Base: 0x([0-9a-f]{1,16})\s+Head: (\d{1,6})\s+Tail: (\d{1,6})\s*$/;
const queueRow = /^\s*(\d{1,6})\s+((?:[0-9a-f]{16}\s+){2}(?:(?:[0-9a-f]{16}\s+){2})?)([0-9a-f]{16})\s*$/;
const other = /^\s*(?:Name\s+Offset\s+Contents|Index\s+qw0\s+qw1\b.*)\s*$/;
const omission = /^\s*\[?(?:\.\.\.|…)\]?\s*$/;

/** Reads `ir_translation_struct`, `iommu_regset` and `invalidation_queue`, in any order and with anything between. */
export function readIntelDebugfs(text: string): {
  units: readonly IntelDebugfsUnit[];
  lines: ReadonlySet<number>;
} {
  const reading = new Reading();
  for (const line of linesOf(text)) if (reading.take(line)) reading.lines.add(line.number);
  return { units: reading.finish(), lines: reading.lines };
}

class Reading {
  readonly lines = new Set<number>();
  readonly #units = new Map<string | null, OpenUnit>();
  #unit: OpenUnit | undefined;
  #section: "remapped" | "posted" | "registers" | "queue" | undefined;
  #stars = false;

  /** Whether the line was understood. */
  take(line: LogLine): boolean {
    const { text, number } = line;
    if (text.includes("on IOMMU: ") || text.includes("IOMMU: dmar")) return this.#heading(text, number);
    if (/^\*{4}\s*$/.test(text.trim())) {
      this.#stars = true;
      return this.#section === "remapped";
    }
    if (omission.test(text)) {
      if (this.#unit?.table !== undefined && (this.#section === "remapped" || this.#section === "posted")) {
        this.#unit.table.cut = true;
      }
      return false;
    }
    if (text.includes("Interrupt Remapping is not enabled")) {
      if (this.#unit === undefined) return false;
      this.#unit.disabled = number;
      return true;
    }
    if (columns.test(text) || other.test(text)) return true;
    if (this.#section === "registers") return this.#register(text, number);
    if (this.#section === "queue") return this.#queueLine(text, number) || this.#row(line);
    return this.#tableBase(text) || this.#row(line);
  }

  finish(): IntelDebugfsUnit[] {
    const units = [...this.#units.values()];
    for (const { table } of units) if (table !== undefined) table.posted ||= this.#stars;
    return units;
  }

  #heading(text: string, number: number): boolean {
    const table = tableHeading.exec(text);
    if (table !== null) {
      this.#section = table[1] === "Posted" ? "posted" : "remapped";
      this.#open(table[2]!);
      const open = this.#table(number);
      if (this.#section === "posted") open.posted = true;
      return true;
    }
    const registers = registersHeading.exec(text);
    if (registers !== null) {
      this.#section = "registers";
      this.#open(registers[1]!).registers ??= { line: number, base: fromHex(registers[2]!), values: [] };
      return true;
    }
    const queue = queueHeading.exec(text);
    if (queue === null) return false;
    this.#section = "queue";
    this.#open(queue[1]!);
    return true;
  }

  #open(name: string | null): OpenUnit {
    let unit = this.#units.get(name);
    if (unit === undefined) {
      unit = { name };
      this.#units.set(name, unit);
    }
    this.#unit = unit;
    return unit;
  }

  #table(number: number): NonNullable<OpenUnit["table"]> {
    const unit = this.#unit ?? this.#open(null);
    unit.table ??= { line: number, base: null, entries: new Map(), cut: false, posted: false };
    return unit.table;
  }

  #tableBase(text: string): boolean {
    const match = tableBase.exec(text);
    if (match === null || this.#unit?.table === undefined) return false;
    this.#unit.table.base ??= fromHex(match[1]!);
    return true;
  }

  /** A row; its columns repeat what stands in the entry, and one in which they differ is not believed. */
  #row(line: LogLine): boolean {
    const row = matchLine(pastedMatchers, line).find(
      (record): record is VtdEntry & { row: NonNullable<VtdEntry["row"]> } =>
        record.kind === "vtd-entry" && record.row !== null,
    );
    if (row === undefined) return false;
    const { entry } = row;
    const { index, vector, requester } = row.row;
    if (
      Number((entry >> 16n) & 0xffn) !== vector ||
      printRequester(Number((entry >> 64n) & 0xffffn)) !== requester.slice(-7)
    )
      return false;
    // Rows that stand behind another section have lost their heading.
    if (this.#section !== "remapped" && this.#section !== "posted") this.#open(null);
    const table = this.#table(line.number);
    if (index >= entryLimit || table.entries.has(index)) return false;
    table.entries.set(index, entry);
    return true;
  }

  #register(text: string, number: number): boolean {
    const match = registerRow.exec(text);
    const registers = this.#unit?.registers;
    if (match === null || registers === undefined || registers.values.length > 256) return false;
    const [, name, offset, value] = match;
    registers.values.push({
      name: name!,
      offset: Number.parseInt(offset!, 16),
      value: fromHex(value!),
      line: number,
    });
    return true;
  }

  #queueLine(text: string, number: number): boolean {
    const unit = this.#unit!;
    const base = queueBase.exec(text);
    if (base !== null) {
      unit.queue ??= {
        line: number,
        base: fromHex(base[1]!),
        head: Number(base[2]),
        tail: Number(base[3]),
        descriptors: [],
      };
      return true;
    }
    const row = queueRow.exec(text);
    const queue = unit.queue;
    if (row === null || queue === undefined) return false;
    // Rows are numbered by their place; behind a gap that somebody left, the place is no longer the number.
    if (Number(row[1]) !== queue.descriptors.length || queue.descriptors.length >= queueLimit) return true;
    const words = row[2]!.trim().split(/\s+/).map(fromHex);
    const value = words.reduceRight((value, word) => (value << 64n) | word, 0n);
    queue.descriptors.push({ value, status: Number(fromHex(row[3]!) & 0xffn) });
    return true;
  }
}
