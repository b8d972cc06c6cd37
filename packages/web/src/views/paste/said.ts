import type { DecodeKind } from "@intremap/core";
import { many } from "../../parts/words.ts";
import type { Recognised } from "../../engine/tasks/recognise.ts";

const kindWords: Readonly<Record<DecodeKind, string>> = {
  irte: "a VT-d entry",
  "amd-irte": "an AMD-Vi entry",
  dte: "a device table entry",
  pid: "a posted interrupt descriptor",
  msi: "an MSI message",
  "ioapic-rte": "an I/O APIC entry",
  iec: "an invalidation descriptor",
  frcd: "a fault record",
  irta: "a table address register",
  cap: "a capability register",
  ecap: "an extended capability register",
};

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
  const { understood } = explanation;
  const named = values.length <= namedValues ? values.map(({ kind }) => kindWords[kind]) : [];
  if (kind !== "trace" && tables.length === 0) said.push(...named);
  if (understood > values.length && kind !== "trace") {
    const what = understood === 1 ? "a message" : `${many(understood, "message")} and rows`;
    said.push(`${what} about interrupt remapping`);
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
