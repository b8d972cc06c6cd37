import { InputError } from "../../evidence/input-error.ts";
import type { PciDevice } from "../../evidence/host/device.ts";
import type { LinuxInterrupt } from "../../evidence/host/interrupt.ts";
import type { Vcpu, VirtualMachine } from "../../evidence/host/virtual-machine.ts";
import type { UnitState } from "../../evidence/host/unit.ts";
import { printFunction, printRequester } from "../../spec/requester.ts";
import type { HostLinks } from "../host/links.ts";

/** What is to be followed. */
export type Subject =
  | { readonly kind: "device"; readonly device: PciDevice; readonly vector: number | null }
  | { readonly kind: "interrupt"; readonly interrupt: LinuxInterrupt }
  | {
      readonly kind: "entry";
      readonly unit: UnitState;
      /** AMD-Vi: whose table. */
      readonly requester: number | null;
      readonly index: number;
    }
  | { readonly kind: "vcpu"; readonly machine: VirtualMachine; readonly vcpu: Vcpu };

const forms = "DEVICE, DEVICE:VECTOR, irq N, UNIT:INDEX (as dmar0:22 or ivhd0:00:03.0:2) or VM/VCPU";
const mostNamed = 8;

/**
 * What a user means by `01:00.0`, `0000:01:00.0:3`, `irq 38`, `dmar0:22`, `4711/0`.
 * @throws InputError for what cannot be read, or is not on the host; it names what is.
 */
export function readSubject(links: HostLinks, text: string): Subject {
  const trimmed = text.trim().replaceAll(/\s+/g, " ");
  const irq = /^irq ?(\d{1,9})$/i.exec(trimmed);
  if (irq !== null) return { kind: "interrupt", interrupt: interruptNamed(links, Number(irq[1])) };
  const vcpu = /^([^/]{1,64})\/(\d{1,6})$/.exec(trimmed);
  if (vcpu !== null) return vcpuNamed(links, vcpu[1]!, Number(vcpu[2]));
  const device = /^((?:[0-9a-f]{4,8}:)?[0-9a-f]{1,2}:[0-9a-f]{1,2}\.[0-7])(?::(\d{1,5}))?$/i.exec(trimmed);
  if (device !== null) return deviceNamed(links, device[1]!, device[2]);
  const entry = /^([a-z]{1,16}\d{1,4}):(?:([0-9a-f]{2}:[0-9a-f]{2}\.[0-7]):)?(\d{1,6})$/i.exec(trimmed);
  if (entry !== null) return entryNamed(links, entry[1]!, entry[2], Number(entry[3]));
  throw new InputError(`subject "${shorten(text)}": expected ${forms}`);
}

function interruptNamed({ state }: HostLinks, irq: number): LinuxInterrupt {
  const found = state.interrupts.find((one) => one.irq === irq);
  if (found !== undefined) return found;
  const known = ranges(state.interrupts.map((one) => one.irq));
  throw new InputError(
    `irq ${irq}: ${state.source} knows no such interrupt, ${known === "" ? "and none at all" : `expected one of ${known}`}`,
  );
}

function deviceNamed(links: HostLinks, name: string, vector: string | undefined): Subject {
  const { state } = links;
  const device = links.deviceNamed(name);
  if (device === undefined) {
    const names = list(state.devices.map(printFunction));
    throw new InputError(
      `device ${name}: ${state.source} knows no such device, ${names === "" ? "and none at all" : `expected one of ${names}`}`,
    );
  }
  if (vector === undefined) return { kind: "device", device, vector: null };
  const index = Number(vector);
  const own = interruptsOf(links, device).map((one) => links.sourceOf(one));
  const indices = own.flatMap((source) =>
    source?.kind === "pci" && source.index !== null ? [source.index] : [],
  );
  if (!indices.includes(index)) {
    const known = ranges(indices);
    const what = known === "" ? "none of its vectors is known" : `Linux uses ${known}`;
    throw new InputError(`device ${name}: vector ${index}: ${what}`);
  }
  return { kind: "device", device, vector: index };
}

function entryNamed(links: HostLinks, name: string, requester: string | undefined, index: number): Subject {
  const { state } = links;
  const unit = links.unitNamed(name.toLowerCase());
  if (unit === undefined) {
    const names = list(state.units.map((one) => one.name));
    throw new InputError(
      `unit ${name}: ${state.source} knows no such unit, ${names === "" ? "and none at all" : `expected one of ${names}`}`,
    );
  }
  if (unit.vendor === "intel" && requester !== undefined) {
    throw new InputError(`unit ${name}: VT-d has one table for a unit, expected ${name}:${index}`);
  }
  if (unit.vendor === "intel") return { kind: "entry", unit, requester: null, index };
  const whose =
    requester === undefined
      ? undefined
      : (links.deviceNamed(requester)?.requester ?? parseRequester(requester));
  if (whose === undefined || !unit.tables.has(whose)) {
    const names = list([...unit.tables.keys()].map(printRequester));
    const tables = names === "" ? "none is known" : `those of ${names} are known`;
    throw new InputError(
      `unit ${name}: expected ${name}:DEVICE:INDEX with a device that has a table; ${tables}`,
    );
  }
  return { kind: "entry", unit, requester: whose, index };
}

function parseRequester(text: string): number {
  const [bus, rest] = text.split(":");
  const [device, fn] = rest!.split(".");
  return (Number.parseInt(bus!, 16) << 8) | ((Number.parseInt(device!, 16) & 31) << 3) | Number(fn);
}

function vcpuNamed({ state }: HostLinks, name: string, id: number): Subject {
  const machine = state.machines.find((one) => one.name === name || String(one.pid?.value) === name);
  if (machine === undefined) {
    const names = list(state.machines.map((one) => one.name));
    throw new InputError(
      `VM ${shorten(name)}: ${state.source} knows no such VM, ${names === "" ? "and none at all" : `expected one of ${names}`}`,
    );
  }
  const vcpu = machine.vcpus.find((one) => one.id === id);
  if (vcpu === undefined) {
    const ids = ranges(machine.vcpus.map((one) => one.id));
    throw new InputError(
      `VM ${machine.name}: no vCPU ${id}, ${ids === "" ? "and none at all" : `expected one of ${ids}`}`,
    );
  }
  return { kind: "vcpu", machine, vcpu };
}

/** The interrupts of a device: its messages, or the one of its pin if it has none. */
export function interruptsOf(links: HostLinks, device: PciDevice): LinuxInterrupt[] {
  const { interrupts } = links.state;
  const messages = interrupts.filter((one) => links.deviceOf(one) === device);
  if (messages.length > 0 || (device.lineIrq?.value ?? 0) === 0) return messages;
  return interrupts.filter(({ irq }) => irq === device.lineIrq!.value);
}

function list(names: readonly string[]): string {
  const shown = names.slice(0, mostNamed).join(", ");
  return names.length > mostNamed ? `${shown} and ${names.length - mostNamed} more` : shown;
}

/** Numbers with those in a row drawn together. */
function ranges(numbers: readonly number[]): string {
  const sorted = [...new Set(numbers)].sort((a, b) => a - b);
  const runs: [number, number][] = [];
  for (const number of sorted) {
    const last = runs.at(-1);
    if (last !== undefined && number === last[1] + 1) last[1] = number;
    else runs.push([number, number]);
  }
  return list(runs.map(([from, to]) => (from === to ? `${from}` : `${from}-${to}`)));
}

function shorten(text: string): string {
  return text.length > 60 ? `${text.slice(0, 60)}…` : text;
}
