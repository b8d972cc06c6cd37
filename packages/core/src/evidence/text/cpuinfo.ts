import { linesOf } from "../log-line.ts";
import type { Vendor } from "../qemu-trace/handler.ts";

export interface CpuInfo {
  readonly vendor: Vendor | null;
  readonly vendorLine: number;
  /** Of the first processor. */
  readonly flags: ReadonlySet<string> | null;
  readonly flagsLine: number;
  readonly processors: readonly {
    readonly cpu: number;
    readonly apicId: number | null;
    readonly line: number;
  }[];
  /** Lines that were read. */
  readonly lines: ReadonlySet<number>;
}

const vendors: Readonly<Record<string, Vendor>> = {
  GenuineIntel: "intel",
  AuthenticAMD: "amd",
  HygonGenuine: "amd",
};

const row = /^(processor|vendor_id|flags|apicid)\s*:\s*(.*)$/;

/** Reads /proc/cpuinfo, or a text that holds it. Processors that are offline are not in it. */
export function readCpuInfo(text: string): CpuInfo {
  const info = {
    vendor: null as Vendor | null,
    vendorLine: 0,
    flags: null as Set<string> | null,
    flagsLine: 0,
  };
  const processors: { cpu: number; apicId: number | null; line: number }[] = [];
  const lines = new Set<number>();
  for (const { number, text: line } of linesOf(text, 16_384)) {
    const match = row.exec(line);
    if (match === null) continue;
    const value = match[2]!.trim();
    switch (match[1]) {
      case "processor":
        if (!/^\d{1,5}$/.test(value)) continue;
        processors.push({ cpu: Number(value), apicId: null, line: number });
        break;
      case "apicid":
        if (!/^\d{1,10}$/.test(value) || processors.length === 0) continue;
        processors.at(-1)!.apicId = Number(value);
        break;
      case "vendor_id":
        if (info.vendor !== null) break;
        info.vendor = vendors[value] ?? null;
        info.vendorLine = number;
        break;
      default:
        // `flags` also stands in other files; here a processor goes before it.
        if (processors.length === 0) continue;
        if (info.flags !== null) break;
        info.flags = new Set(value.split(/\s+/));
        info.flagsLine = number;
    }
    lines.add(number);
  }
  return { ...info, processors, lines };
}
