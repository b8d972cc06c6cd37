import type { DecodeKind, Explanation, PastedValue } from "@intremap/core";
import { many } from "../../parts/words.ts";
import type { Recognised } from "../../engine/tasks/recognise.ts";

const kindWords: Readonly<Record<DecodeKind, readonly [one: string, several: string]>> = {
  irte: ["a VT-d entry", "VT-d entries"],
  "amd-irte": ["an AMD-Vi entry", "AMD-Vi entries"],
  dte: ["a device table entry", "device table entries"],
  pid: ["a posted interrupt descriptor", "posted interrupt descriptors"],
  msi: ["an MSI message", "MSI messages"],
  "ioapic-rte": ["an I/O APIC entry", "I/O APIC entries"],
  iec: ["an invalidation descriptor", "invalidation descriptors"],
  frcd: ["a fault record", "fault records"],
  irta: ["a table address register", "table address registers"],
  cap: ["a capability register", "capability registers"],
  ecap: ["an extended capability register", "extended capability registers"],
};

/** Values by their kinds, in the order in which they stand. */
function kindsIn(values: readonly PastedValue[]): string[] {
  const kinds = [...new Set(values.map(({ kind }) => kind))];
  return kinds.map((kind) => {
    const count = values.filter((value) => value.kind === kind).length;
    const [one, several] = kindWords[kind];
    return count === 1 ? one : `${count} ${several}`;
  });
}

/** Lines that are explained and hold no value. */
function messagesIn(
  { understood, findings, remarks, omitted }: Explanation,
  values: readonly PastedValue[],
  valuesOmitted: number,
): number {
  const rows = new Set(values.map(({ line }) => line));
  const told = new Set([...findings, ...remarks].map(({ line }) => line).filter((line) => !rows.has(line)));
  return Math.min(understood - rows.size - valuesOmitted, told.size + omitted);
}

/** Values up to this many are named one by one. */
const namedValues = 2;

/** What was recognised, a clause each; empty where nothing was. */
export function saidOf({ kind, text, table }: Recognised): string[] {
  if (kind === "memory") return ["a dump of a machine's memory"];
  if (kind === "archive") return ["an archive of a machine's files"];
  if (table !== null) return [`a firmware table, ${table.signature}`];
  if (text === null) return [];
  const { explanation, values, valuesOmitted, tables, host, lines } = text;
  const said: string[] = [];
  if (kind === "trace") said.push(`a QEMU trace of ${many(lines, "line")}`);
  for (const { signature, length } of tables) said.push(`a hexdump of ${signature}, ${many(length, "byte")}`);
  const named = values.length <= namedValues ? kindsIn(values) : [];
  if (kind !== "trace" && tables.length === 0) said.push(...named);
  const messages = messagesIn(explanation, values, valuesOmitted);
  if (messages > 0 && kind !== "trace") {
    said.push(`${messages === 1 ? "a message" : many(messages, "message")} of an IOMMU`);
  }
  const rowsAlone = named.length > 0 && host?.interrupts === 0 && host.devices === 0;
  if (host !== null && !rowsAlone) {
    const parts = [
      host.entries > 0 ? many(host.entries, "table entry", "table entries") : "",
      host.interrupts > 0 ? many(host.interrupts, "interrupt") : "",
      host.devices > 0 ? many(host.devices, "device") : "",
    ].filter((part) => part !== "");
    said.push(`a part of a machine: ${host.whole ? "" : "at least "}${parts.join(", ")}`);
  }
  if (said.length === 0 && values.length > 0) said.push(many(values.length + valuesOmitted, "value"));
  return said;
}
