import { setMaster } from "../../linux/pci/config.ts";
import { vfioPciRemove } from "../../linux/vfio/removal.ts";
import { ActionError } from "../action-error.ts";
import type { Device } from "../device.ts";
import { entriesOf } from "../entries.ts";
import { Driver } from "../driver.ts";
import { VfioProgram } from "../vfio-program.ts";
import {
  type Of,
  type Scene,
  type Told,
  count,
  entriesPhrase,
  entryPhrase,
  plural,
  told,
  vectorsOf,
} from "./scene.ts";

/** After so many rounds a long action lets others in, and tells how far it is. */
const stride = 4096;

/** @throws ActionError when the device is not there any more. */
export function pluggedIn({ machine }: Scene, name: string): Device {
  const device = machine.device(name);
  if (device.pci.removed) throw new ActionError(`${name} is gone`);
  return device;
}

export function enable(scene: Scene, { device: name, kind, vectors, cpus }: Of<"enable">): Told {
  const { machine } = scene;
  const device = pluggedIn(scene, name);
  const owner = machine.ownerOf(device);
  if (owner === undefined) {
    const driver =
      machine.drivers.get(device) ??
      new Driver(machine.kernel, device.pci, (vector) => device.sources[vector]!.handle());
    machine.drivers.set(device, driver);
    setMaster(device.pci);
    driver.enable(kind, vectors, cpus);
  } else owner.enable(device, kind, vectors, cpus);
  device.enabled = vectors;
  machine.settle();
  const who = owner === undefined ? "the host's driver" : `the driver in ${owner.settings.name}`;
  return told(
    `${who} enables ${plural(vectors, "vector")} of ${name}`,
    ...vectorsOf(scene, device),
    entriesPhrase(scene),
    ...(owner?.whyNotPosted() ?? []),
  );
}

export function disable(scene: Scene, { device: name }: Of<"disable">): Told {
  const { machine } = scene;
  const device = pluggedIn(scene, name);
  const driver = machine.drivers.get(device) ?? machine.ownerOf(device)?.driverOf(device);
  if (driver === undefined) throw new ActionError(`nobody has enabled ${name}`);
  driver.disable();
  device.enabled = 0;
  machine.drivers.delete(device);
  machine.settle();
  return told(`${name} is disabled`, entriesPhrase(scene));
}

export function vfioEnable(scene: Scene, { device: name, kind, vectors }: Of<"vfio-enable">): Told {
  const { machine } = scene;
  const device = pluggedIn(scene, name);
  const program =
    machine.programs.get(device) ?? new VfioProgram(machine.kernel, device, machine.wakeUserspace);
  machine.programs.set(device, program);
  program.enable(kind, vectors);
  device.enabled = vectors;
  machine.settle();
  return told(
    `a program enables ${plural(vectors, "vector")} of ${name} through VFIO`,
    ...vectorsOf(scene, device),
    entriesPhrase(scene),
  );
}

export function vfioClose(scene: Scene, { device: name }: Of<"vfio-close">): Told {
  const { machine } = scene;
  const device = pluggedIn(scene, name);
  const program = machine.programs.get(device);
  if (program === undefined) throw new ActionError(`no program has ${name}`);
  program.close();
  device.enabled = 0;
  machine.programs.delete(device);
  machine.settle();
  return told(`the program closes ${name}`, entriesPhrase(scene));
}

export async function interrupt(
  scene: Scene,
  { device: name, vector, times, burst }: Of<"interrupt">,
): Promise<Told> {
  const device = pluggedIn(scene, name);
  const vectors = vector === "each" ? Array.from({ length: device.enabled }, (_, i) => i) : [vector];
  const grouped = vector === "each" && burst > 1;
  for (let i = 0; i < times; i++) {
    if (grouped) raiseTogether(scene, device, vectors, burst);
    else for (const one of vectors) raise(scene, device, one, burst);
    if (i % stride === stride - 1) await scene.progress?.(`${name}: ${count(i + 1)} of ${count(times)}`);
  }
  const each = vectors.length === 1 ? "its vector" : `each of ${vectors.length} vectors`;
  const which = vector === "each" ? each : `vector ${vector}`;
  return told(`${name} raises ${which}${times > 1 ? `, ${count(times)} times` : ""}`);
}

/** So many interrupts of one vector come before anybody looks. */
function raise({ machine }: Scene, device: Device, vector: number, burst: number): void {
  for (let i = 0; i < burst; i++) machine.raise(device, vector);
  machine.settle();
}

/** So many come, of one vector after another. */
function raiseTogether({ machine }: Scene, device: Device, vectors: readonly number[], burst: number): void {
  for (let at = 0; at < vectors.length; at += burst) {
    for (const vector of vectors.slice(at, at + burst)) machine.raise(device, vector);
    machine.settle();
  }
}

export function affinity(scene: Scene, { device: name, vector, cpus }: Of<"affinity">): Told {
  const { machine } = scene;
  const device = pluggedIn(scene, name);
  const driver = machine.drivers.get(device) ?? machine.ownerOf(device)?.driverOf(device);
  if (driver === undefined) throw new ActionError(`nobody has enabled ${name}`);
  const entry = (): string => {
    const found = entriesOf(machine.hardware, device)[vector];
    return found === undefined ? "no entry" : entryPhrase(found);
  };
  const message = (): string => JSON.stringify(device.pci.msi?.descriptors[vector]?.message);
  const before = { entry: entry(), message: message() };
  driver.move(vector, cpus);
  machine.settle();
  return told(
    `vector ${vector} of ${name} moves to CPU ${cpus.join(", ")}`,
    `its entry: ${before.entry}, then ${entry()}`,
    before.message === message() ? "its message stays as it is" : "its message is written anew",
  );
}

export function unplug(scene: Scene, { device: name }: Of<"unplug">): Told {
  const { machine } = scene;
  const device = pluggedIn(scene, name);
  device.pci.removed = true;
  device.enabled = 0;
  const driver = machine.drivers.get(device);
  driver?.disable();
  machine.drivers.delete(device);
  const gone = vfioPciRemove(machine.kernel, device.pci, 0);
  machine.ownerOf(device)?.unplug(device);
  machine.programs.get(device)?.close();
  machine.programs.delete(device);
  machine.settle();
  const end = gone ? "nobody had it" : "its owner gives it back";
  return told(
    `${name} disappears from its slot`,
    driver === undefined ? end : "its driver lets it go",
    entriesPhrase(scene),
  );
}
