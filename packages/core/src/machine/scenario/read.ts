import { amdviProfileNamed, profileNames, vtdProfileNamed } from "../../hardware/profile.ts";
import { printRequester } from "../../spec/requester.ts";
import {
  type Shape,
  ShapeError,
  entries,
  either,
  flag,
  list,
  mapped,
  oneOf,
  record,
  table,
  text,
  whole,
} from "../../spec/shape.ts";
import { readAction } from "./action.ts";
import { product, requester, word } from "./amounts.ts";
import type {
  DeviceSettings,
  Expectation,
  Expected,
  FirmwareSettings,
  MachineSettings,
  Parameter,
  Scenario,
  VmSettings,
} from "./scenario.ts";

const mostCpus = 255;
const mostVcpus = 64;
const mostVectors = 2048;
const most = 1e9;

const expected: Shape<Expected> = either(
  (value) => typeof value === "number",
  whole(0, most),
  record({}, { atLeast: whole(0, most), atMost: whole(0, most) }),
);

const expectation: Shape<Expectation> = record(
  {},
  {
    delivered: expected,
    lost: expected,
    coalesced: expected,
    blocked: expected,
    hijacked: expected,
    vmExits: expected,
    notifications: expected,
    hostInterrupts: expected,
    posted: expected,
    remapped: expected,
    wakeups: expected,
    ipis: expected,
    fails: text,
    faults: mapped(text, expected as Shape<never>),
    log: list(text),
    logLacks: list(text),
    dataEqual: flag,
    x2apic: flag,
    remapping: flag,
    posting: flag,
  },
);

const firmware = record(
  {},
  { unit: flag, remapping: flag, x2apicOptOut: flag, ioapicScope: flag, hpet: flag },
);

const machine = record(
  { vendor: oneOf("intel", "amd") },
  {
    profile: text,
    cpus: whole(1, mostCpus),
    x2apic: flag,
    cmdline: (value: unknown, place: string) => (value === "" ? "" : text(value, place)),
    firmware,
  },
);

const device = record(
  { at: requester },
  { msix: whole(1, mostVectors), msi: oneOfNumbers(1, 2, 4, 8, 16, 32), alias: requester, confined: flag },
);

const vm = record(
  {},
  {
    vcpus: either((value) => typeof value === "number", whole(1, mostVcpus), list(whole(0, mostCpus - 1))),
    devices: list(word),
    disk: record({ image: text }, {}),
    apicv: flag,
    tableMapped: flag,
  },
);

const parameter = record(
  { default: whole(0, most), about: text },
  { from: whole(0, most), to: whole(0, most) },
);

const head = record(
  { title: text, kernel: oneOf("5.4", "6.12", "7.0"), machine, script: list((value) => value) },
  {
    about: text,
    parameters: table(word, parameter),
    devices: table(word, device),
    vms: table(word, vm),
    expect: expectation,
    beside: word,
    variants: table(word, (value, place) => entries(value, place)),
  },
);

export interface Choice {
  /** Values of the scenario's parameters; their defaults unless told. */
  readonly values?: Readonly<Record<string, number>>;
  readonly variant?: string;
}

/** The parameters that a scenario declares. @throws ShapeError */
export function readParameters(tree: unknown): Parameter[] {
  const { parameters } = entries(tree, "scenario");
  if (parameters === undefined) return [];
  return table(word, parameter)(parameters, "parameters").map(
    ([name, { default: usual, from = 1, to = most, about }]) => ({ name, default: usual, from, to, about }),
  );
}

/**
 * Reads a scenario from the tree that its file holds.
 * @throws ShapeError that names the place in the tree, as in `vms.guest.vcpus`.
 */
export function readScenario(name: string, tree: unknown, choice: Choice = {}): Scenario {
  const whole = entries(tree, "scenario");
  const parameters = readParameters(whole);
  const values = valuesOf(parameters, choice.values ?? {});
  const base = substitute(whole, values, "") as Readonly<Record<string, unknown>>;
  const variants = Object.keys(entries(base["variants"] ?? {}, "variants"));
  const declared = { parameters, values: Object.fromEntries(values), variants };
  const itself = build(name, base, declared);
  if (choice.variant === undefined) return itself;
  if (!variants.includes(choice.variant)) {
    throw new ShapeError(
      "variants",
      `there is no "${choice.variant}", expected ${variants.join(", ") || "none"}`,
    );
  }
  const variant = (base["variants"] as Record<string, Record<string, unknown>>)[choice.variant]!;
  try {
    return build(`${name}: ${choice.variant}`, merge(base, variant), declared);
  } catch (error) {
    if (!(error instanceof ShapeError)) throw error;
    throw new ShapeError(`variants.${choice.variant}.${error.place}`, error.complaint);
  }
}

function valuesOf(
  parameters: readonly Parameter[],
  chosen: Readonly<Record<string, number>>,
): ReadonlyMap<string, number> {
  for (const name of Object.keys(chosen)) {
    if (parameters.some((one) => one.name === name)) continue;
    const known = parameters.map((one) => one.name).join(", ");
    throw new ShapeError("parameters", `there is no "${name}", expected ${known || "none"}`);
  }
  return new Map(
    parameters.map(({ name, default: usual, from, to }) => {
      const value = chosen[name] ?? usual;
      if (!Number.isInteger(value) || value < from || value > to) {
        throw new ShapeError(`parameters.${name}`, `${value}, expected a whole number from ${from} to ${to}`);
      }
      return [name, value];
    }),
  );
}

/** Puts numbers where the tree names parameters. */
function substitute(node: unknown, values: ReadonlyMap<string, number>, place: string): unknown {
  if (typeof node === "string") return product(node, values, place);
  if (Array.isArray(node)) return node.map((one, i) => substitute(one, values, `${place}[${i}]`));
  if (typeof node !== "object" || node === null) return node;
  return Object.fromEntries(
    Object.entries(node).map(([key, value]) => [
      key,
      substitute(value, values, place === "" ? key : `${place}.${key}`),
    ]),
  );
}

/** A variant's keys over the scenario's; what is expected, and lists, are replaced whole. */
function merge(
  base: Readonly<Record<string, unknown>>,
  over: Readonly<Record<string, unknown>>,
): Record<string, unknown> {
  const merged: Record<string, unknown> = { ...base };
  for (const [key, value] of Object.entries(over)) {
    const before = base[key];
    merged[key] = key !== "expect" && isTree(before) && isTree(value) ? merge(before, value) : value;
  }
  return merged;
}

function isTree(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function build(
  name: string,
  tree: Readonly<Record<string, unknown>>,
  declared: Pick<Scenario, "parameters" | "values" | "variants">,
): Scenario {
  const read = unprefixed(() => head(tree, ""));
  const settings = machineOf(read.machine);
  const devices = (read.devices ?? []).map(([one, given]) => deviceOf(one, given));
  const vms = (read.vms ?? []).map(([one, given]) => vmOf(one, given, settings.cpus, devices));
  checkPlaces(devices);
  checkOwners(vms);
  const scene = { cpus: settings.cpus, devices, vms, hpet: settings.firmware.hpet };
  return {
    name,
    title: read.title,
    about: read.about ?? "",
    kernel: read.kernel,
    ...declared,
    machine: settings,
    devices,
    vms,
    script: read.script.map((one, i) => readAction(one, `script[${i}]`, scene)),
    expect: read.expect ?? {},
    ...(read.beside !== undefined && { beside: read.beside }),
  };
}

/** Places at the top have no name before them. */
function unprefixed<T>(reading: () => T): T {
  try {
    return reading();
  } catch (error) {
    if (!(error instanceof ShapeError)) throw error;
    throw new ShapeError(error.place.replace(/^\./, ""), error.complaint);
  }
}

function machineOf(given: ReturnType<typeof machine>): MachineSettings {
  const firmwareSettings: FirmwareSettings = {
    unit: true,
    remapping: true,
    x2apicOptOut: false,
    ioapicScope: true,
    hpet: false,
    ...given.firmware,
  };
  return {
    vendor: given.vendor,
    profile: profileOf(
      given.vendor,
      given.profile ?? (given.vendor === "intel" ? "vtd-strict" : "amdvi-strict"),
    ),
    cpus: given.cpus ?? 4,
    x2apic: given.x2apic ?? true,
    cmdline: given.cmdline ?? "",
    firmware: firmwareSettings,
  };
}

/** A profile of the vendor's, by name or alias. */
function profileOf(vendor: MachineSettings["vendor"], name: string): string {
  const named = vendor === "intel" ? vtdProfileNamed : amdviProfileNamed;
  if (named(name) !== undefined) return name;
  const known = profileNames.filter((one) => named(one) !== undefined).join(", ");
  throw new ShapeError("machine.profile", `"${name}", expected ${known}`);
}

function deviceOf(name: string, given: ReturnType<typeof device>): DeviceSettings {
  if (given.msix === undefined && given.msi === undefined) {
    throw new ShapeError(`devices.${name}`, "has no interrupts, expected msix or msi");
  }
  return {
    name,
    at: given.at,
    msix: given.msix ?? 0,
    msi: given.msi ?? 0,
    confined: given.confined ?? true,
    ...(given.alias !== undefined && { alias: given.alias }),
  };
}

function vmOf(
  name: string,
  given: ReturnType<typeof vm>,
  cpus: number,
  devices: readonly DeviceSettings[],
): VmSettings {
  const vcpus = given.vcpus ?? 1;
  const placed = typeof vcpus === "number" ? Array.from({ length: vcpus }, (_, i) => (i + 1) % cpus) : vcpus;
  for (const [i, cpu] of placed.entries()) {
    if (cpu >= cpus)
      throw new ShapeError(`vms.${name}.vcpus[${i}]`, `CPU ${cpu}, expected one of 0 to ${cpus - 1}`);
    const first = placed.indexOf(cpu);
    if (first < i) {
      const complaint = `CPU ${cpu} is vCPU ${first}'s, expected a CPU for each vCPU`;
      throw new ShapeError(
        typeof vcpus === "number" ? `vms.${name}.vcpus` : `vms.${name}.vcpus[${i}]`,
        complaint,
      );
    }
  }
  const owned = given.devices ?? [];
  for (const [i, one] of owned.entries()) {
    if (!devices.some((device) => device.name === one)) {
      const known = devices.map((device) => device.name).join(", ");
      throw new ShapeError(
        `vms.${name}.devices[${i}]`,
        `there is no device "${one}", expected ${known || "none"}`,
      );
    }
  }
  if (owned.length === 0 && given.disk === undefined) {
    throw new ShapeError(`vms.${name}`, "has no device, expected devices or a disk");
  }
  if (placed.length === 0) throw new ShapeError(`vms.${name}.vcpus`, "has no CPU, expected at least one");
  return {
    name,
    vcpus: placed,
    devices: owned,
    apicv: given.apicv ?? true,
    tableMapped: given.tableMapped ?? false,
    ...(given.disk !== undefined && { disk: given.disk }),
  };
}

/** Each function has a place of its own on the bus; behind a bridge several may be seen under one id. */
function checkPlaces(devices: readonly DeviceSettings[]): void {
  for (const [i, { name, at }] of devices.entries()) {
    const other = devices.slice(0, i).find((one) => one.at === at);
    if (other === undefined) continue;
    throw new ShapeError(`devices.${name}.at`, `${printRequester(at)} is "${other.name}"'s already`);
  }
}

function checkOwners(vms: readonly VmSettings[]): void {
  const owners = new Map<string, string>();
  for (const { name, devices } of vms) {
    for (const [i, device] of devices.entries()) {
      const owner = owners.get(device);
      if (owner !== undefined) {
        throw new ShapeError(`vms.${name}.devices[${i}]`, `"${device}" is ${owner}'s already`);
      }
      owners.set(device, name);
    }
  }
}

function oneOfNumbers<const N extends number>(...numbers: readonly N[]): Shape<N> {
  return (value, place) => {
    const found = numbers.find((number) => number === value);
    if (found === undefined)
      throw new ShapeError(place, `${JSON.stringify(value)}, expected ${numbers.join(", ")}`);
    return found;
  };
}
