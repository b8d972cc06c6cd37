import type { BlockBackend } from "../qemu/block/backend.ts";
import { affinity, disable, enable, interrupt, unplug, vfioClose, vfioEnable } from "./actions/devices.ts";
import { diskRead, diskWrite } from "./actions/disk.ts";
import { attack, write, writesTable } from "./actions/hostile.ts";
import { crash, hpet, start, stop, suspend } from "./actions/lifecycle.ts";
import type { Of, Scene, Told } from "./actions/scene.ts";
import { halt, ipi, migrate, preempt, resume } from "./actions/vcpus.ts";
import type { Machine } from "./machine.ts";
import type { Action } from "./scenario/scenario.ts";

export type { Told };

export interface ScriptOptions {
  readonly openImage: (name: string) => Promise<BlockBackend>;
  readonly progress?: (text: string) => Promise<void>;
}

type Actor<Name extends Action["do"]> = (scene: Scene, action: Of<Name>) => Told | Promise<Told>;

const actors: { readonly [Name in Action["do"]]: Actor<Name> } = {
  start,
  stop,
  enable,
  disable,
  "vfio-enable": vfioEnable,
  "vfio-close": vfioClose,
  interrupt,
  write,
  attack,
  "guest-writes-table": writesTable,
  affinity,
  migrate,
  preempt,
  "resume-vcpu": resume,
  halt,
  ipi,
  unplug,
  "disk-read": diskRead,
  "disk-write": diskWrite,
  suspend,
  hpet,
  crash,
};

/** Carries the actions of a script out on a machine. */
export class Script {
  readonly #scene: Scene;

  constructor(machine: Machine, { openImage, progress }: ScriptOptions) {
    this.#scene = { machine, openImage, progress, dataEqual: null };
  }

  /** What the guest read was the image's; null if it read nothing. */
  get dataEqual(): boolean | null {
    return this.#scene.dataEqual;
  }

  /** @throws ActionError when the software that runs refuses. */
  async act(action: Action): Promise<Told> {
    const actor = actors[action.do] as Actor<Action["do"]>;
    return actor(this.#scene, action);
  }
}
