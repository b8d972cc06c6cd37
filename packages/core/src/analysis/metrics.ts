import type { AmdviEvent } from "../evidence/dmesg-amdvi.ts";
import type { LogRecord } from "../evidence/dmesg.ts";
import type { HostState } from "../evidence/host/state.ts";
import { eventFlags, requestTypes } from "../spec/amdvi/events.ts";
import { status } from "../spec/amdvi/registers.ts";
import { decode } from "../spec/codec.ts";
import { faultReasons } from "../spec/vtd/faults.ts";
import { faultStatus } from "../spec/vtd/registers.ts";
import { HostLinks } from "./host/links.ts";
import { type HostMap, mapOf } from "./map/map.ts";

/** A metric and its samples; one that is not known of a host is not among them. */
export interface Metric {
  readonly name: string;
  readonly help: string;
  readonly type: "gauge" | "counter";
  readonly samples: readonly MetricSample[];
}

export interface MetricSample {
  readonly labels: Readonly<Record<string, string>>;
  readonly value: number;
}

/** What is worth watching of a host over time. */
export function metricsOf(state: HostState): Metric[] {
  const links = new HostLinks(state);
  const map = mapOf(state, links);
  return [
    ...hostMetrics(state, map),
    ...machineMetrics(state, map),
    ...entryMetrics(links, map),
    ...faultMetrics(state),
    ...vectorMetrics(map),
    ...notificationMetrics(state),
  ].filter(({ samples }) => samples.length > 0);
}

function gauge(name: string, help: string, samples: readonly MetricSample[]): Metric {
  return { name: `intremap_${name}`, help, type: "gauge", samples };
}

function sample(value: number, labels: Readonly<Record<string, string>> = {}): MetricSample {
  return { labels, value };
}

function hostMetrics({ system }: HostState, { totals, missing }: HostMap): Metric[] {
  const release = system.release?.value;
  const { irqs, unremapped, entryUnknown } = totals;
  const known = irqs > 0;
  return [
    gauge(
      "host_info",
      "The kernel that was looked at.",
      release === undefined ? [] : [sample(1, { release })],
    ),
    gauge("not_known", "Things that the source did not show; see intremap map.", [sample(missing.length)]),
    gauge("interrupts", "Interrupts of Linux that are in use.", known ? [sample(irqs)] : []),
    gauge(
      "interrupts_unremapped",
      "Interrupts in use that are not remapped, the units' own among them.",
      known ? [sample(unremapped)] : [],
    ),
    gauge(
      "interrupts_entry_unknown",
      "Interrupts in use that are remapped through an entry that is not known.",
      known ? [sample(entryUnknown)] : [],
    ),
  ];
}

function machineMetrics({ machines }: HostState, { budgets }: HostMap): Metric[] {
  const vectors: MetricSample[] = [];
  const vcpus: MetricSample[] = [];
  for (const { machine: vm, command, posted, remapped, vcpus: count } of budgets.machines) {
    const whose = command === null ? { vm } : { vm, command };
    vectors.push(sample(posted, { ...whose, mode: "posted" }));
    if (remapped !== null) vectors.push(sample(remapped, { ...whose, mode: "remapped" }));
    vcpus.push(sample(count, whose));
  }
  const inhibited = machines.flatMap(({ name, inhibited: reasons }) =>
    reasons === undefined ? [] : [sample(reasons.value === 0n ? 0 : 1, { vm: name })],
  );
  return [
    gauge(
      "vm_vectors",
      "Interrupts of passed-through devices, posted to a vCPU or taken by the host.",
      vectors,
    ),
    gauge("vm_vcpus", "Virtual processors.", vcpus),
    gauge("vm_apicv_inhibited", "Whether KVM keeps APICv or AVIC off for the machine.", inhibited),
  ];
}

function entryMetrics(links: HostLinks, { interrupts, budgets }: HostMap): Metric[] {
  const present: MetricSample[] = [];
  const allocated: MetricSample[] = [];
  const size: MetricSample[] = [];
  const on: MetricSample[] = [];
  for (const one of links.state.units) {
    const unit = one.name;
    const remapping = links.remappingOn(one);
    if (remapping !== undefined) on.push(sample(Number(remapping.value), { unit }));
    const tables = budgets.tables.filter((table) => table.unit === unit);
    if (tables.length === 0) continue;
    const rows = interrupts.filter((row) => row.unit === unit && row.index !== null);
    const posted = rows.filter(({ mode }) => mode !== "remapped").length;
    present.push(
      sample(rows.length - posted, { unit, mode: "remapped" }),
      sample(posted, { unit, mode: "posted" }),
    );
    const sum = (of: (table: (typeof tables)[number]) => number | null): number | null =>
      tables.reduce<number | null>((all, table) => addKnown(all, of(table)), 0);
    const [given, room] = [sum((table) => table.allocated), sum((table) => table.size)];
    if (given !== null) allocated.push(sample(given, { unit }));
    if (room !== null) size.push(sample(room, { unit }));
  }
  return [
    gauge("unit_remapping", "Whether the unit remaps interrupts.", on),
    gauge("entries_present", "Entries of the interrupt remapping tables that are present.", present),
    gauge("entries_allocated", "Entries that the kernel has given away.", allocated),
    gauge("entries_size", "Entries that the interrupt remapping tables have room for.", size),
  ];
}

function addKnown(a: number | null, b: number | null): number | null {
  return a === null || b === null ? null : a + b;
}

function faultMetrics({ log, units }: HostState): Metric[] {
  const pending: MetricSample[] = [];
  const overflow: MetricSample[] = [];
  for (const unit of units) {
    const labels = { unit: unit.name };
    const register = unit.registers.get(unit.vendor === "intel" ? "FSTS" : "STATUS");
    if (register === undefined) continue;
    if (unit.vendor === "intel") {
      const { ppf, pfo } = decode(faultStatus, register.value);
      pending.push(sample(Number(ppf), labels));
      overflow.push(sample(Number(pfo), labels));
    } else overflow.push(sample(Number(decode(status, register.value).eventoverflow), labels));
  }
  const vendors = new Set(units.map(({ vendor }) => vendor));
  const logged = log === undefined ? [] : faultSamples(log.value, vendors);
  return [
    gauge("log_faults", "Faults in the kernel log as far as it still reaches back, by reason.", logged),
    gauge("unit_fault_pending", "Whether fault records wait to be read (FSTS.PPF).", pending),
    gauge(
      "unit_fault_overflow",
      "Whether faults were dropped for want of room (FSTS.PFO, EventOverflow).",
      overflow,
    ),
  ];
}

const amdviInterruptEvents = ["IO_PAGE_FAULT", "INVALID_DEVICE_REQUEST", "ILLEGAL_DEV_TABLE_ENTRY"];

/** Reasons of interrupts come with a zero where they were not seen. */
function faultSamples(records: readonly LogRecord[], vendors: ReadonlySet<"intel" | "amd">): MetricSample[] {
  const counts = new Map<string, { labels: Record<string, string>; value: number }>();
  const count = (labels: Record<string, string>, by: number): void => {
    const key = JSON.stringify(labels);
    const one = counts.get(key) ?? { labels, value: 0 };
    counts.set(key, one);
    one.value += by;
  };
  const interruptReasons = new Set(Object.values(faultReasons).map(({ code }) => code as number));
  if (vendors.has("intel")) for (const code of interruptReasons) count(vtdLabels(code, interruptReasons), 0);
  if (vendors.has("amd")) for (const event of amdviInterruptEvents) count({ event, interrupt: "true" }, 0);
  for (const record of records) {
    if (record.kind === "vtd-fault" && record.reason !== null) {
      count(vtdLabels(record.reason, interruptReasons), 1);
    } else if (record.kind === "amdvi-event") {
      count({ event: record.name ?? "UNKNOWN", interrupt: `${isInterrupt(record)}` }, 1);
    }
  }
  return [...counts.values()];
}

/** The I flag tells; an INVALID_DEVICE_REQUEST has its type in flags 11:9. */
function isInterrupt({ name, flags }: AmdviEvent): boolean {
  if (flags === null) return false;
  const aborted = name === "INVALID_DEVICE_REQUEST" && flags >>> 9 === requestTypes.interruptControlAbort;
  return aborted || (flags & eventFlags.i) !== 0;
}

function vtdLabels(reason: number, interruptReasons: ReadonlySet<number>): Record<string, string> {
  return { reason: `0x${reason.toString(16)}`, interrupt: `${interruptReasons.has(reason)}` };
}

function vectorMetrics({ budgets }: HostMap): Metric[] {
  const cpus = budgets.processors.map(({ cpu, used, by }) => sample(used, { cpu: `${cpu}`, by }));
  const room = budgets.processors.filter(({ available }) => available !== null);
  const messages = budgets.devices.map(({ device, driver, kind, used, available }) => ({
    labels: driver === null ? { device, kind } : { device, driver, kind },
    used,
    available,
  }));
  return [
    gauge("cpu_vectors_used", "Vectors of devices in use on a processor.", cpus),
    gauge(
      "cpu_vectors_size",
      "Vectors of a processor that devices can have.",
      room.map(({ cpu, available }) => sample(available!, { cpu: `${cpu}` })),
    ),
    gauge(
      "message_vectors_used",
      "Vectors of a function's MSI or MSI-X capability in use.",
      messages.map(({ labels, used }) => sample(used, labels)),
    ),
    gauge(
      "message_vectors_size",
      "Vectors that a function's MSI or MSI-X capability has.",
      messages.map(({ labels, available }) => sample(available, labels)),
    ),
  ];
}

/** Rows of /proc/interrupts that count notifications of posted interrupts which reached the host. */
const notificationRows = ["PIN", "NPI", "PIW", "PMN"];

function notificationMetrics({ system }: HostState): Metric[] {
  const samples = notificationRows.flatMap((row) => {
    const counts = system.counters.get(row);
    return counts === undefined
      ? []
      : [
          sample(
            counts.value.reduce((sum, count) => sum + count, 0),
            { row },
          ),
        ];
  });
  return [
    {
      name: "intremap_notifications_total",
      help: "Notifications of posted interrupts that the host took, by row of /proc/interrupts.",
      type: "counter",
      samples,
    },
  ];
}
