import type { AuditResult, HostMap, Severity } from "@intremap/core";

/** What a page shows of a host without its interrupts: lists are cut, and say how long they are. */
export interface HostSummary {
  readonly release: string | null;
  readonly vendor: AuditResult["vendor"];
  readonly totals: HostMap["totals"];
  readonly budgets: {
    readonly [Kind in keyof HostMap["budgets"]]: Cut<HostMap["budgets"][Kind][number]>;
  };
  readonly missing: Cut<HostMap["missing"][number]>;
  readonly audit: {
    /** The gravest first. */
    readonly findings: Cut<AuditResult["findings"][number]>;
    readonly tally: readonly (readonly [severity: Severity, count: number])[];
    readonly omitted: number;
    readonly checked: number;
    readonly notChecked: AuditResult["notChecked"];
  };
}

export interface Cut<Of> {
  readonly all: number;
  readonly first: readonly Of[];
}

const most = 200;
const gravestFirst: readonly Severity[] = ["high", "medium", "low", "info"];

export function summaryOf(map: HostMap, audit: AuditResult): HostSummary {
  const { tables, processors, devices, machines } = map.budgets;
  const { findings, omitted, checked, notChecked } = audit;
  return {
    release: map.release,
    vendor: audit.vendor,
    totals: map.totals,
    budgets: {
      tables: cut(fullest(tables)),
      processors: cut(fullest(processors)),
      devices: cut(fullest(devices)),
      machines: cut(machines),
    },
    missing: cut(map.missing),
    audit: {
      findings: cut(findings),
      tally: gravestFirst
        .map((severity) => [severity, findings.filter((one) => one.severity === severity).length] as const)
        .filter(([, count]) => count > 0),
      omitted,
      checked: checked.length,
      notChecked,
    },
  };
}

function cut<Of>(list: readonly Of[]): Cut<Of> {
  return { all: list.length, first: list.slice(0, most) };
}

function fullest<Of extends { readonly used: number }>(list: readonly Of[]): readonly Of[] {
  return list.length <= most ? list : [...list].sort((a, b) => b.used - a.used);
}
