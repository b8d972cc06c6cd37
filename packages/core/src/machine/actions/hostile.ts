import { printRequester } from "../../spec/requester.ts";
import { ActionError } from "../action-error.ts";
import { Attack } from "../attack.ts";
import type { Device } from "../device.ts";
import { addressOf } from "../entries.ts";
import type { DmaTarget } from "../scenario/scenario.ts";
import { type Of, type Scene, type Told, count, hex, plural, told } from "./scene.ts";

export function write(scene: Scene, { device: name, address, data, as }: Of<"write">): Told {
  const { machine } = scene;
  const { fn } = machine.device(name);
  const at = typeof address === "number" ? address : target(scene, address);
  const requester = as ?? fn.requester;
  const routed = machine.hardware.root.write(requester, at, data);
  machine.settle();
  const where = typeof address === "number" ? hex(at) : `${hex(at)}, ${phrase(address)}`;
  const end =
    routed.to === "nowhere"
      ? `refused by ${routed.rule}`
      : routed.to === "memory"
        ? "written"
        : "an interrupt request";
  return told(
    `${name} writes ${hex(data)} to ${where}${as === undefined ? "" : ` as ${printRequester(as)}`}`,
    end,
  );
}

function target(scene: Scene, { of, device: name, vector, offset }: DmaTarget): number {
  return addressOf(scene.machine.hardware, scene.machine.device(name), vector, of) + offset;
}

export function attack(scene: Scene, { device: name, as }: Of<"attack">): Told {
  const { machine } = scene;
  const device = machine.device(name);
  const requester = as ?? device.fn.requester;
  const attack = new Attack(machine.kernel, machine.hardware, device, requester);
  const { attempts, blocked, own, hijacked, cpus, vectors, modes } = attack.run();
  machine.hijacked += hijacked;
  machine.settle();
  return told(
    `${name} tries every message that it can think of${as === undefined ? "" : `, as ${printRequester(as)}`}`,
    `${count(attempts)} attempts: ${count(blocked)} blocked, ${count(own)} of its own, ${count(hijacked)} past its entries`,
    ...(hijacked === 0
      ? []
      : [
          `it reached ${plural(cpus.size, "CPU")}${vectors.size === 0 ? "" : `, with ${plural(vectors.size, "vector")} and ${plural(modes.size, "delivery mode")} of its choosing`}`,
        ]),
  );
}

export function writesTable(
  scene: Scene,
  { device: name, vector, address, data }: Of<"guest-writes-table">,
): Told {
  const { machine } = scene;
  const device = machine.device(name);
  const before = tableEntry(device, vector);
  const owner = machine.ownerOf(device);
  if (owner === undefined) throw new ActionError(`${name} is in no guest`);
  owner.writeTable(device, vector, address, data);
  const after = tableEntry(device, vector);
  return told(
    `the guest writes entry ${vector} of ${name}'s MSI-X table: address ${hex(address)}, data ${hex(data)}`,
    before === after
      ? `the device's own entry stays ${after}`
      : `the device's own entry is now ${after}, was ${before}`,
  );
}

function phrase({ of, device, vector }: DmaTarget): string {
  return of === "irte"
    ? `the entry of ${device}'s vector ${vector}`
    : `the descriptor that ${device}'s vector ${vector} is posted to`;
}

/** An entry of the function's own table, as the function has it. */
function tableEntry({ fn }: Device, vector: number): string {
  const at = 16 * vector;
  return `${hex(fn.msix!.readTable(at))}/${hex(fn.msix!.readTable(at + 8))}`;
}
