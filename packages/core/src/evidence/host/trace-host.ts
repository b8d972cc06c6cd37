import { fromWords } from "../../spec/codec.ts";
import { InputError } from "../input-error.ts";
import { QemuTraceReader, type TraceHandler } from "../qemu-trace/index.ts";
import type { HostDraft } from "./draft.ts";
import { type Fact, fact } from "./fact.ts";
import { lineOf } from "./file-reader.ts";
import { settleHost } from "./settle.ts";
import type { TableEntries } from "./unit.ts";

const source = "trace";
/** Tables that are kept apart. */
const tableLimit = 65_536;

interface Table {
  readonly base: bigint | null;
  readonly width: 32 | 128;
  readonly line: number;
  readonly entries: Map<number, bigint>;
}

/**
 * A QEMU trace as a picture of the machine in it: the entries of the remapping tables as requests last fetched them.
 * Entries that no request used are not in a trace.
 */
export class TraceHost {
  readonly #reader: QemuTraceReader;
  readonly #vtd: VtdTrace = new VtdTrace();
  readonly #amdvi: AmdviTrace = new AmdviTrace();

  constructor() {
    this.#reader = new QemuTraceReader((vendor) =>
      vendor === "intel" ? this.#vtd.handler() : this.#amdvi.handler(),
    );
  }

  /** Lines seen so far. */
  get lines(): number {
    return this.#reader.lines;
  }

  /** @throws InputError on binary input. */
  feed(chunk: Uint8Array): void {
    this.#reader.feed(chunk);
  }

  /** @throws InputError when there was no event of a remapping unit. */
  finish(draft: HostDraft): void {
    this.#reader.end();
    const { vendor } = this.#reader;
    if (vendor === undefined) {
      throw new InputError(
        `${source}: ${this.lines} lines: expected events of a remapping unit: vtd_* or amdvi_*`,
      );
    }
    if (vendor === "intel") this.#vtd.finish(draft);
    else this.#amdvi.finish(draft);
    settleHost(draft);
    draft.missing.push({
      what: "entries that no request used",
      why: "a trace shows an entry when it is fetched",
      needs: "a vmcore of the guest",
    });
  }
}

/** The unit of a VT-d trace. */
class VtdTrace {
  #table: Table | undefined;
  #length: number | null = null;
  #enabled: Fact<boolean> | undefined;
  #command: Fact<number> | undefined;

  handler(): TraceHandler {
    return {
      vtdTable: (line, low, high, entries) => {
        // SIRTP: entries of the old table say nothing of the new one.
        this.#length = entries;
        this.#table = {
          base: fromWords(Int32Array.of(low, high), 0, 64),
          width: 128,
          line,
          entries: new Map(),
        };
      },
      vtdEnabled: (line, on) => {
        this.#enabled = fact(on !== 0, lineOf(source, line));
      },
      vtdCommand: (line, _status, value) => {
        this.#command = fact(value >>> 0, lineOf(source, line));
      },
      vtdEntry: (line, index, ...words) => {
        if (index < 0 || index > 0xffff) return;
        this.#table ??= { base: null, width: 128, line, entries: new Map() };
        this.#table.entries.set(index, fromWords(Int32Array.from(words), 0, 128));
      },
      vtdReset: () => {
        this.#table = this.#enabled = this.#command = undefined;
        this.#length = null;
      },
    };
  }

  finish(draft: HostDraft): void {
    const unit = draft.vtdUnit("dmar0");
    if (this.#enabled !== undefined) unit.remapping ??= this.#enabled;
    if (this.#command !== undefined) unit.command ??= this.#command;
    if (this.#table === undefined) return;
    unit.table ??= tableFact(this.#table, this.#length);
  }
}

/** The unit of an AMD-Vi trace. */
class AmdviTrace {
  readonly #tables = new Map<bigint, Table & { readonly devices: Set<number> }>();
  #control: Fact<bigint> | undefined;
  #device = 0;
  #base: bigint | undefined;
  #offset = 0;

  handler(): TraceHandler {
    return {
      request: (_line, _low, _high, _data, requester) => {
        this.#device = requester & 0xff;
        this.#base = undefined;
      },
      amdviControl: (line, low, high) => {
        this.#control = fact(fromWords(Int32Array.of(low, high), 0, 64), lineOf(source, line));
      },
      amdviEntryAddress: (_line, low, high, offset) => {
        this.#base = fromWords(Int32Array.of(low, high), 0, 64);
        this.#offset = offset >>> 0;
      },
      amdviEntry: (line, bytes, ...words) => {
        const base = this.#base;
        const index = this.#offset / bytes;
        if (base === undefined || !Number.isInteger(index) || index > 0x7ff) return;
        const width = bytes === 4 ? 32 : 128;
        let table = this.#tables.get(base);
        if (table === undefined || table.width !== width) {
          if (this.#tables.size >= tableLimit) return;
          table = { base, width, line, entries: new Map(), devices: new Set() };
          this.#tables.set(base, table);
        }
        table.devices.add(this.#device);
        table.entries.set(index, fromWords(Int32Array.from(words), 0, width));
      },
    };
  }

  /** The trace has the low 8 bits of a device id: where two devices share them, whose a table is is not known. */
  finish(draft: HostDraft): void {
    const unit = draft.amdviUnit("ivhd0");
    if (this.#control !== undefined) unit.control ??= this.#control;
    const users = new Map<number, number>();
    for (const { devices } of this.#tables.values()) {
      for (const device of devices) users.set(device, (users.get(device) ?? 0) + 1);
    }
    let left = 0;
    for (const table of this.#tables.values()) {
      const own = [...table.devices].filter((device) => users.get(device) === 1);
      for (const device of own) if (!unit.tables.has(device)) unit.tables.set(device, tableFact(table, null));
      if (own.length === 0) left++;
    }
    draft.missing.push({
      what: "bus numbers of the requesters",
      why: "the trace has the low 8 bits of a device id, which stand here for all 16",
      needs: null,
    });
    if (left > 0) {
      draft.missing.push({
        what: `${left} interrupt remapping tables of ivhd0`,
        why: "devices on several buses have the same low 8 bits",
        needs: "a vmcore of the guest",
      });
    }
  }
}

function tableFact(table: Table, length: number | null): Fact<TableEntries> {
  const { base, width, entries, line } = table;
  return fact({ base, length, width, entries, complete: false }, lineOf(source, line));
}
