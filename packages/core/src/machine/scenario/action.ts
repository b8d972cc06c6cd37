import {
  type Shape,
  ShapeError,
  either,
  entries,
  flag,
  list,
  oneOf,
  record,
  text,
  whole,
} from "../../spec/shape.ts";
import { requester, word } from "./amounts.ts";
import type { Action, DeviceSettings, VcpuName, VmSettings } from "./scenario.ts";

/** What an action may speak of. */
export interface Scene {
  readonly cpus: number;
  readonly devices: readonly DeviceSettings[];
  readonly vms: readonly VmSettings[];
  readonly hpet: boolean;
}

type Reader = (value: unknown, place: string, scene: Scene) => Action;

const mostTimes = 1e8;
const mostVectors = 2048;
const dword = whole(0, 0xffff_ffff);
const address = whole(0, Number.MAX_SAFE_INTEGER);

const vectorOrEach: Shape<number | "each"> = either(
  (value) => typeof value === "string",
  oneOf("each"),
  whole(0, mostVectors - 1),
);

/** Each action by its key in the script. */
const readers: Readonly<Record<string, Reader>> = {
  start: (value, place, scene) => ({ do: "start", vm: vm(value, place, scene).name }),
  stop: (value, place, scene) => ({ do: "stop", vm: vm(value, place, scene).name }),
  enable: (value, place, scene) => enabled("enable", value, place, scene),
  "vfio-enable": (value, place, scene) => enabled("vfio-enable", value, place, scene),
  disable: (value, place, scene) => ({ do: "disable", device: device(value, place, scene).name }),
  "vfio-close": (value, place, scene) => ({ do: "vfio-close", device: device(value, place, scene).name }),
  unplug: (value, place, scene) => ({ do: "unplug", device: device(value, place, scene).name }),
  interrupt: (value, place, scene) => {
    const given = record(
      { device: word },
      { vector: vectorOrEach, times: whole(1, mostTimes), burst: whole(1, 10_000) },
    )(value, place);
    const { name, msi, msix } = device(given.device, `${place}.device`, scene);
    const vector = given.vector ?? "each";
    if (vector !== "each") checkVector(vector, Math.max(msi, msix), `${place}.vector`);
    return { do: "interrupt", device: name, vector, times: given.times ?? 1, burst: given.burst ?? 1 };
  },
  write: (value, place, scene) => {
    const target = record(
      { of: oneOf("irte", "descriptor"), device: word },
      { vector: whole(0, mostVectors - 1), offset: whole(0, 63) },
    );
    const given = record(
      { device: word, address: either((one) => typeof one === "number", address, target), data: dword },
      { as: requester },
    )(value, place);
    const { name } = device(given.device, `${place}.device`, scene);
    if (typeof given.address === "object") device(given.address.device, `${place}.address.device`, scene);
    return {
      do: "write",
      device: name,
      address: typeof given.address === "number" ? given.address : { vector: 0, offset: 0, ...given.address },
      data: given.data,
      ...(given.as !== undefined && { as: given.as }),
    };
  },
  attack: (value, place, scene) => {
    const given = record({ device: word }, { as: requester })(value, place);
    const { name } = device(given.device, `${place}.device`, scene);
    return { do: "attack", device: name, ...(given.as !== undefined && { as: given.as }) };
  },
  "guest-writes-table": (value, place, scene) => {
    const given = record({ device: word, vector: whole(0, mostVectors - 1), address, data: dword }, {})(
      value,
      place,
    );
    const { name, msix } = device(given.device, `${place}.device`, scene);
    checkVector(given.vector, msix, `${place}.vector`);
    return { ...given, do: "guest-writes-table", device: name };
  },
  affinity: (value, place, scene) => {
    const given = record({ device: word, vector: whole(0, mostVectors - 1), cpus: cpuList(scene) }, {})(
      value,
      place,
    );
    const { name, msi, msix } = device(given.device, `${place}.device`, scene);
    checkVector(given.vector, Math.max(msi, msix), `${place}.vector`);
    return { ...given, do: "affinity", device: name };
  },
  migrate: (value, place, scene) => {
    const given = record({ vcpu: text, to: whole(0, scene.cpus - 1) }, {})(value, place);
    return { do: "migrate", vcpu: vcpu(given.vcpu, `${place}.vcpu`, scene), to: given.to };
  },
  preempt: (value, place, scene) => ({ do: "preempt", vcpu: vcpu(value, place, scene) }),
  "resume-vcpu": (value, place, scene) => ({ do: "resume-vcpu", vcpu: vcpu(value, place, scene) }),
  halt: (value, place, scene) => ({ do: "halt", vcpu: vcpu(value, place, scene) }),
  ipi: (value, place, scene) => {
    const given = record({ vcpu: text, to: whole(0, 63) }, { times: whole(1, mostTimes) })(value, place);
    const from = vcpu(given.vcpu, `${place}.vcpu`, scene);
    vcpu(`${from.vm}/${given.to}`, `${place}.to`, scene);
    return { do: "ipi", vcpu: from, to: given.to, times: given.times ?? 1 };
  },
  "disk-read": (value, place, scene) => {
    const given = record({ vm: word, sector: whole(0, 2 ** 31) }, { count: whole(1, 128) })(value, place);
    return {
      do: "disk-read",
      vm: withDisk(given.vm, `${place}.vm`, scene),
      sector: given.sector,
      count: given.count ?? 1,
    };
  },
  "disk-write": (value, place, scene) => {
    const given = record({ vm: word, sector: whole(0, 2 ** 31), text }, {})(value, place);
    return {
      do: "disk-write",
      vm: withDisk(given.vm, `${place}.vm`, scene),
      sector: given.sector,
      text: given.text,
    };
  },
  suspend: (value, place) => {
    const given = record({}, { hpetRestored: flag })(value ?? {}, place);
    return { do: "suspend", hpetRestored: given.hpetRestored ?? true };
  },
  hpet: (value, place, scene) => {
    if (!scene.hpet)
      throw new ShapeError(place, "the machine has none, expected machine.firmware.hpet: true");
    return { do: "hpet", times: record({}, { times: whole(1, mostTimes) })(value ?? {}, place).times ?? 1 };
  },
  crash: () => ({ do: "crash" }),
};

/** One action of a script: a single key that says what, and its settings. @throws ShapeError */
export function readAction(value: unknown, place: string, scene: Scene): Action {
  const keys = typeof value === "string" ? [value] : Object.keys(entries(value, place));
  const [what, ...others] = keys;
  const known = Object.keys(readers).join(", ");
  if (what === undefined) throw new ShapeError(place, `nothing, expected one of ${known}`);
  if (others.length > 0)
    throw new ShapeError(`${place}.${others[0]!}`, `unknown key beside the action "${what}"`);
  const reader = Object.hasOwn(readers, what) ? readers[what] : undefined;
  if (reader === undefined)
    throw new ShapeError(`${place}.${what}`, `unknown action, expected one of ${known}`);
  const settings = typeof value === "string" ? undefined : (value as Record<string, unknown>)[what];
  return reader(settings, `${place}.${what}`, scene);
}

function enabled(what: "enable" | "vfio-enable", value: unknown, place: string, scene: Scene): Action {
  const given = record(
    { device: word },
    { kind: oneOf("msi", "msix"), vectors: whole(1, mostVectors), cpus: cpuList(scene) },
  )(value, place);
  const { name, msi, msix } = device(given.device, `${place}.device`, scene);
  const kind = given.kind ?? (msix > 0 ? "msix" : "msi");
  const has = kind === "msix" ? msix : msi;
  const vectors = given.vectors ?? has;
  if (vectors > has) {
    throw new ShapeError(
      `${place}.vectors`,
      `${vectors}, expected at most the ${has} that ${name} has of ${kind}`,
    );
  }
  return { do: what, device: name, kind, vectors, ...(given.cpus !== undefined && { cpus: given.cpus }) };
}

function cpuList(scene: Scene): Shape<readonly number[]> {
  return (value, place) => {
    const cpus = list(whole(0, scene.cpus - 1))(value, place);
    if (cpus.length === 0) throw new ShapeError(place, "is empty, expected at least one CPU");
    return cpus;
  };
}

function checkVector(vector: number, vectors: number, place: string): void {
  if (vector >= vectors) throw new ShapeError(place, `${vector}, expected one of 0 to ${vectors - 1}`);
}

function device(value: unknown, place: string, scene: Scene): DeviceSettings {
  const name = word(value, place);
  const found = scene.devices.find((one) => one.name === name);
  if (found !== undefined) return found;
  const known = scene.devices.map((one) => one.name).join(", ");
  throw new ShapeError(place, `there is no device "${name}", expected ${known || "none"}`);
}

function vm(value: unknown, place: string, scene: Scene): VmSettings {
  const name = word(value, place);
  const found = scene.vms.find((one) => one.name === name);
  if (found !== undefined) return found;
  const known = scene.vms.map((one) => one.name).join(", ");
  throw new ShapeError(place, `there is no VM "${name}", expected ${known || "none"}`);
}

function withDisk(value: unknown, place: string, scene: Scene): string {
  const found = vm(value, place, scene);
  if (found.disk === undefined) throw new ShapeError(place, `"${found.name}" has no disk`);
  return found.name;
}

const vcpuForm = /^([a-z][a-z0-9-]*)\/(\d{1,2})$/;

function vcpu(value: unknown, place: string, scene: Scene): VcpuName {
  const match = typeof value === "string" ? vcpuForm.exec(value) : null;
  if (match === null)
    throw new ShapeError(place, `${JSON.stringify(value)}, expected VM/number as in "guest/0"`);
  const { name, vcpus } = vm(match[1], place, scene);
  const number = Number(match[2]);
  if (number >= vcpus.length) {
    throw new ShapeError(place, `"${name}" has no vCPU ${number}, expected 0 to ${vcpus.length - 1}`);
  }
  return { vm: name, vcpu: number };
}
