import { type LogRecord, readLog } from "../evidence/dmesg.ts";
import type { VtdFaultStatus } from "../evidence/dmesg-vtd.ts";
import type { MsiCapability } from "../evidence/pasted.ts";
import { explainDeviceEntry, explainEvent } from "./explain-amdvi.ts";
import { type Explained, explainAmdviEntry, explainMessage, explainVtdEntry } from "./explain-pasted.ts";
import { explainBoot, explainWarning } from "./explain-qemu.ts";
import {
  describeDescriptor,
  explainFault,
  explainQueueError,
  explainStatus,
  unexplainedStatus,
} from "./explain-vtd.ts";
import type { Finding, Remark } from "./finding.ts";

export type { Finding, FindingKind, Remark } from "./finding.ts";

/** What a text says about interrupt remapping. */
export interface Explanation {
  /** Messages and rows that were understood, of whatever kind. */
  readonly understood: number;
  /** In the order of the text, at most `keptLimit`. */
  readonly findings: readonly Finding[];
  /** What is in order, at most `keptLimit`. */
  readonly remarks: readonly Remark[];
  /** Findings and remarks beyond that. */
  readonly omitted: number;
}

/** Findings, and remarks, that are kept of one text. */
export const keptLimit = 10_000;

/** What the lines above say about the ones below. */
class Reader {
  #device: string | null = null;
  #illegal: string | null = null;
  #capability: MsiCapability | undefined;
  #faults = 0;
  #pending: VtdFaultStatus | undefined;

  explain(record: LogRecord): Partial<Explained> {
    switch (record.kind) {
      case "vtd-fault":
        this.#faults++;
        return { findings: [explainFault(record)] };
      case "vtd-fault-status":
        this.#pending ??= record;
        return { findings: explainStatus(record) };
      case "vtd-queue-error":
        this.#faults++;
        return { findings: [explainQueueError(record)] };
      case "vtd-queue-descriptor":
        return { remarks: [describeDescriptor(record)] };
      case "amdvi-event":
        this.#illegal = record.requester;
        return { findings: [explainEvent(record)] };
      case "amdvi-dte":
        return this.#deviceEntry(record.line, record.entry, this.#illegal);
      case "amdvi-device-entry":
        return this.#deviceEntry(record.line, record.entry, record.requester);
      case "amdvi-table":
        this.#device = record.requester;
        break;
      case "amdvi-entry":
        return explainAmdviEntry(record, this.#device);
      case "vtd-entry":
        return explainVtdEntry(record);
      case "msi-capability":
        this.#capability = record;
        break;
      case "msi-message":
        return explainMessage(record, this.#capabilityOf(record.line));
      case "qemu-warning":
        return { findings: [explainWarning(record)] };
      case "boot-message": {
        const found = explainBoot(record);
        return found === undefined
          ? { remarks: [{ line: record.line, what: record.text }] }
          : { findings: [found] };
      }
      default:
    }
    return {};
  }

  /** What can be said only once the whole text has been read. */
  atEnd(): Finding[] {
    return this.#pending !== undefined && this.#faults === 0 ? [unexplainedStatus(this.#pending)] : [];
  }

  /** lspci prints a message right below its capability. */
  #capabilityOf(line: number): MsiCapability | undefined {
    return this.#capability !== undefined && line - this.#capability.line <= 1 ? this.#capability : undefined;
  }

  #deviceEntry(line: number, entry: bigint, requester: string | null): Explained {
    const { findings, remark } = explainDeviceEntry(line, entry, requester);
    return { findings, remarks: [remark] };
  }
}

/** Explains whatever messages, rows and pairs about interrupt remapping a text holds; the rest of it is passed over. */
export function explainText(text: string): Explanation {
  return explainRecords(readLog(text));
}

/** Explains records of one text, in its order. */
export function explainRecords(records: Iterable<LogRecord>): Explanation {
  const reader = new Reader();
  const findings: Finding[] = [];
  const remarks: Remark[] = [];
  let understood = 0;
  let omitted = 0;
  const keep = <T>(list: T[], more: readonly T[] = []): void => {
    for (const one of more) {
      if (list.length < keptLimit) list.push(one);
      else omitted++;
    }
  };
  for (const record of records) {
    understood++;
    const explained = reader.explain(record);
    keep(findings, explained.findings);
    keep(remarks, explained.remarks);
  }
  keep(findings, reader.atEnd());
  return { understood, findings, remarks, omitted };
}

/** The findings of a text alone; none for a text that says nothing about interrupt remapping. */
export function explain(text: string): Finding[] {
  return [...explainText(text).findings];
}
