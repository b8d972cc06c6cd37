import {
  type HostMap,
  InputError,
  type MapRow,
  mapColumnNamed,
  mapOf,
  nameStyleOf,
  sortMapRows,
} from "@intremap/core";
import { type Io, exitStatus } from "../io.ts";
import { reportMap } from "../map-report.ts";
import { paintFor, writeJson } from "../output.ts";
import { readHost } from "../sources/host.ts";

export interface MapFlags {
  readonly from: string;
  /** Names of columns, comma-separated. */
  readonly columns?: string;
  readonly sort?: string;
  readonly device?: string;
  readonly irq?: string;
  readonly unit?: string;
  /** Also interrupts that nobody uses. */
  readonly all?: boolean;
  readonly json?: boolean;
}

/**
 * Prints every interrupt of a host in one table.
 * @throws InputError when the source cannot be read, or a column, device, irq or unit is none.
 */
export async function map(flags: MapFlags, io: Io): Promise<number> {
  const names = flags.columns?.split(",").map((name) => mapColumnNamed(name.trim()));
  if (flags.sort !== undefined) mapColumnNamed(flags.sort.replace(/^-/, ""));
  const whole = mapOf(await readHost(flags.from, io));
  const style = nameStyleOf(whole.interrupts);
  const found = chosen(whole, flags);
  const rows = flags.sort === undefined ? found : sortMapRows(found, flags.sort, style);
  if (flags.json === true) writeJson(io, "map", { ...whole, interrupts: rows });
  else {
    const shown = flags.all === true ? rows : rows.filter(({ state }) => state !== "unused");
    io.stdout.write(reportMap(whole, shown, names, style, paintFor(io.stdout, io.env)));
  }
  return exitStatus.clean;
}

/** The rows that the flags ask for. */
function chosen({ interrupts }: HostMap, { device, irq, unit }: MapFlags): MapRow[] {
  const wanted = device === undefined ? undefined : deviceTest(device);
  if (irq !== undefined && !/^\d{1,9}$/.test(irq)) throw new InputError(`--irq ${irq}: expected a number`);
  if (unit !== undefined && !interrupts.some((row) => row.unit === unit)) {
    const units = [...new Set(interrupts.map((row) => row.unit))].filter((name) => name !== null);
    const known = units.length === 0 ? "none is known" : `expected ${units.join(" or ")}`;
    throw new InputError(`--unit ${unit}: no interrupt goes through it, ${known}`);
  }
  return interrupts.filter(
    (row) =>
      (wanted === undefined || wanted(row.device) || wanted(row.requester)) &&
      (irq === undefined || row.irq === Number(irq)) &&
      (unit === undefined || row.unit === unit),
  );
}

/** Whether a name is the one given: a function with or without segment, or `ioapic0` and the like. */
function deviceTest(given: string): (name: string | null) => boolean {
  const parts = /^(?:([0-9a-f]{1,8}):)?([0-9a-f]{1,2}):([0-9a-f]{1,2})\.([0-7])$/i.exec(given);
  if (parts === null) {
    if (/^(?:ioapic|hpet|dmar|ivhd)\d{1,4}$/.test(given)) return (name) => name === given;
    throw new InputError(
      `--device ${given.slice(0, 40)}: expected bb:dd.f, ssss:bb:dd.f, or ioapic0 and the like`,
    );
  }
  const [, segment, bus, device, fn] = parts.map((part) => part?.toLowerCase());
  const name = `${bus!.padStart(2, "0")}:${device!.padStart(2, "0")}.${fn}`;
  if (segment !== undefined) return (other) => other === `${segment.padStart(4, "0")}:${name}`;
  return (other) => other !== null && /^[0-9a-f]+:..:/.test(other) && other.endsWith(`:${name}`);
}
