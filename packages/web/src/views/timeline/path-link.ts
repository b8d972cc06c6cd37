import { type TimelineData, decode, vtdSpec } from "@intremap/core";
import type { Recorded } from "../../engine/kept-timeline.ts";
import { queryOfRun } from "../../state/run-query.ts";
import type { TimelineSource } from "../../state/timeline.ts";
import { type Flow, inside, nameOf, valuesOf } from "./queries.ts";

const { registers, tableAddress } = vtdSpec;

interface PathLink {
  readonly query: Readonly<Record<string, string>>;
  readonly label: string;
}

/** Where Path shows a row: its interrupt, or the moment at which it happened. Null where it has nothing to go by. */
export function pathOf(
  data: TimelineData,
  row: number,
  flows: readonly Flow[],
  source: TimelineSource,
  vendor: Recorded["vendor"],
): PathLink | null {
  const [flow] = flows;
  if (source.kind === "file") return flow === undefined ? null : tracedPath(data, flow, vendor);
  const query = queryOfRun(source);
  if (flow !== undefined) {
    return { query: { ...query, request: `${flow.id}` }, label: `Interrupt ${flow.id} in Path` };
  }
  const { start } = data;
  const at = start[row]!;
  // Path tells moments apart by their time alone.
  if (start[row - 1] === at || start[row + 1] === at) return null;
  return { query: { ...query, at: `${at}` }, label: "This moment in Path" };
}

/** A traced request by its message and entry, as far as the trace shows them. */
function tracedPath(data: TimelineData, { rows }: Flow, vendor: Recorded["vendor"]): PathLink | null {
  const values = (among: readonly number[], name: string): Readonly<Record<string, string>> => {
    const row = among.find((one) => nameOf(data, one) === name);
    return row === undefined
      ? {}
      : Object.fromEntries(valuesOf(data, row).map((value) => [value.name, value.text]));
  };
  const { address, data: message } = values(rows, "MSI write");
  const { low, high } = values(
    rows.flatMap((row) => inside(data, row)),
    "table entry",
  );
  if (address === undefined || message === undefined || low === undefined) return null;
  const entry = high === undefined ? low : `${high} ${low}`;
  const key = vendor === "amd" ? "amd-irte" : "irte";
  const eime = vendor === "intel" ? modeBefore(data, rows[0]!) : null;
  return {
    query: { [key]: entry, msi: `${address} ${message}`, ...(eime !== null && { eime: `${eime}` }) },
    label: "This request in Path",
  };
}

/** IRTA.EIME as the trace last showed it written before a row; null if it did not. */
function modeBefore(data: TimelineData, row: number): bigint | number | null {
  const name = data.names.indexOf("register written");
  for (let at = row - 1; at >= 0; at--) {
    if (data.name[at] !== name) continue;
    const [offset, value] = valuesOf(data, at);
    if (Number(offset?.text) === registers.IRTA.offset) return decode(tableAddress, BigInt(value!.text)).eime;
  }
  return null;
}
