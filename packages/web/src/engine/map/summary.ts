import type { AuditResult, HostMap, Severity } from "@intremap/core";

/** What a page shows of a host without its interrupts: lists are cut, and say how long they are. */
export interface HostSummary {
  readonly release: string | null;
  readonly vendor: AuditResult["vendor"];
  readonly totals: HostMap["totals"];
  /** Some source tells of Linux's interrupts. */
  readonly irqsListed: boolean;
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
    irqsListed: map.interrupts.some(({ irq }) => irq !== null),
    budgets: {
      tables: cut(fullest(tables, ({ used }) => used)),
      processors: cut(fullest(processors, ({ used }) => used)),
      devices: cut(fullest(devices, ({ used }) => used)),
      machines: cut(fullest(machines, ({ posted, remapped }) => posted + (remapped ?? 0))),
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

/** A list that is cut begins with those that use the most. */
function fullest<Of>(list: readonly Of[], used: (one: Of) => number): readonly Of[] {
  return list.length <= most ? list : [...list].sort((a, b) => used(b) - used(a));
}
