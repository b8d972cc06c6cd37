import { fromHex, linesOf, matchLine } from "../log-line.ts";
import { pastedMatchers } from "../pasted.ts";
import { pciAddressOf } from "./pci-address.ts";

/** What debugfs `iommu/amd` says. */
export interface AmdDebugfs {
  readonly tables: readonly AmdTable[];
  readonly devices: readonly AmdDevice[];
  readonly queue: AmdQueue | null;
  readonly registers: readonly { readonly offset: number; readonly value: bigint; readonly line: number }[];
  readonly lines: ReadonlySet<number>;
}

/** The rows of `irqtbl` below one device: its entries with RemapEn. */
export interface AmdTable {
  readonly line: number;
  readonly segment: number;
  readonly requester: number;
  readonly width: 32 | 128;
  readonly entries: ReadonlyMap<number, bigint>;
  readonly cut: boolean;
}

/** A row of `devtbl`. */
export interface AmdDevice {
  readonly line: number;
  readonly segment: number;
  readonly requester: number;
  /** Linux's number of the unit; null where the row does not end with it. */
  readonly unit: number | null;
  /** 256 bits. */
  readonly entry: bigint;
}

/** `cmdbuf`: the commands as they lie in memory. */
export interface AmdQueue {
  readonly line: number;
  /** Indices of commands. */
  readonly head: number;
  readonly tail: number;
  readonly commands: readonly bigint[];
}

const commandLimit = 32_768;
const messages =
  /Interrupt remapping is disabled|IRQ lookup table not set for|invalid IRT length value|^\s*DeviceId\s+QWORD\[3\]/;
const bufferHeading = /^\s*CMD Buffer Head Offset:(\d{1,6}) Tail Offset:(\d{1,6})\s*$/;
const bufferRow = /^\s*(\d{1,6}): ([0-9a-f]{8}) ?([0-9a-f]{8}) ?([0-9a-f]{8}) ?([0-9a-f]{8})\s*$/;
const registerRow = /^\s*(?:\$\s*)?Offset:0x([0-9a-f]{1,5}) Value:0x([0-9a-f]{1,16})\s*$/;
const omission = /^\s*\[?(?:\.\.\.|…)\]?\s*$/;

/** Reads `irqtbl`, `devtbl`, `cmdbuf` and `mmio`, in any order and with anything between. */
export function readAmdDebugfs(text: string): AmdDebugfs {
  const tables: {
    line: number;
    segment: number;
    requester: number;
    width: 32 | 128;
    entries: Map<number, bigint>;
    cut: boolean;
  }[] = [];
  const devices: AmdDevice[] = [];
  const registers: { offset: number; value: bigint; line: number }[] = [];
  const lines = new Set<number>();
  let queue: { line: number; head: number; tail: number; commands: bigint[] } | null = null;
  let open: (typeof tables)[number] | undefined;
  for (const line of linesOf(text)) {
    if (omission.test(line.text) && open !== undefined) open.cut = true;
    if (messages.test(line.text)) lines.add(line.number);
    const heading = bufferHeading.exec(line.text);
    if (heading !== null) {
      queue ??= { line: line.number, head: Number(heading[1]), tail: Number(heading[2]), commands: [] };
      lines.add(line.number);
      continue;
    }
    const command = queue === null ? null : bufferRow.exec(line.text);
    if (command !== null) {
      lines.add(line.number);
      if (Number(command[1]) === queue!.commands.length && queue!.commands.length < commandLimit) {
        queue!.commands.push(fromHex(command.slice(2, 6).toReversed().join("")));
      }
      continue;
    }
    const register = registerRow.exec(line.text);
    if (register !== null) {
      lines.add(line.number);
      if (registers.length < 256) {
        registers.push({
          offset: Number.parseInt(register[1]!, 16),
          value: fromHex(register[2]!),
          line: line.number,
        });
      }
      continue;
    }
    for (const record of matchLine(pastedMatchers, line)) {
      switch (record.kind) {
        case "amdvi-table": {
          const address = pciAddressOf(record.requester);
          open = undefined;
          if (address === undefined) break;
          open = { line: line.number, ...address, width: 128, entries: new Map(), cut: false };
          tables.push(open);
          lines.add(line.number);
          break;
        }
        case "amdvi-entry":
          if (open === undefined || record.index >= 2048) break;
          if (open.entries.size === 0) open.width = record.width;
          if (open.width !== record.width || open.entries.has(record.index)) break;
          open.entries.set(record.index, record.entry);
          lines.add(line.number);
          break;
        case "amdvi-device-entry": {
          const address = record.requester === null ? undefined : pciAddressOf(record.requester);
          if (address === undefined) break;
          const unit = /\biommu(\d{1,4})\s*$/.exec(line.text)?.[1];
          devices.push({
            line: line.number,
            ...address,
            unit: unit === undefined ? null : Number(unit),
            entry: record.entry,
          });
          lines.add(line.number);
          break;
        }
      }
    }
  }
  return { tables, devices, queue, registers, lines };
}
