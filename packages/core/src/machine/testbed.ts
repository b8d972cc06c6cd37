import { MemoryBackend } from "../qemu/block/backend.ts";
import { Clock } from "./clock.ts";
import { Machine } from "./machine.ts";
import { runScenario } from "./run.ts";
import type { RunResult } from "./result.ts";
import { readAction } from "./scenario/action.ts";
import { type Choice, readScenario } from "./scenario/read.ts";
import type { Scenario } from "./scenario/scenario.ts";
import type { Told } from "./actions/scene.ts";
import { Script } from "./script.ts";

/** A scenario as a test writes it; a machine of Intel's with nothing on it unless told. */
export interface Draft {
  readonly kernel?: string;
  readonly machine?: object;
  readonly devices?: object;
  readonly vms?: object;
  readonly script?: readonly unknown[];
  readonly expect?: object;
}

/** Bytes of the only disk image, each its offset in quarter KiB. */
export const image = Uint8Array.from({ length: 4096 }, (_, at) => at >>> 8);

function treeOf({ kernel = "7.0", machine, script = [], ...rest }: Draft): object {
  return {
    title: "A draft",
    kernel,
    machine: { vendor: "intel", cmdline: "intel_iommu=on", ...machine },
    script,
    ...rest,
  };
}

export function scenarioOf(draft: Draft, choice: Choice = {}): Scenario {
  return readScenario("draft", treeOf(draft), choice);
}

/** Runs a draft from power-on to its last finding. */
export function runDraft(draft: Draft, choice: Choice = {}): Promise<RunResult> {
  return runScenario(scenarioOf(draft, choice), {
    openImage: async () => new MemoryBackend(image.slice()),
  });
}

/** A machine that has booted, and whatever has it act as a line of a script does. */
export function booted(draft: Draft): {
  machine: Machine;
  act: (...actions: readonly unknown[]) => Promise<Told[]>;
} {
  const scenario = scenarioOf(draft);
  const machine = new Machine(scenario, { clock: new Clock() });
  machine.boot();
  const script = new Script(machine, { openImage: async () => new MemoryBackend(image.slice()) });
  const { devices, vms } = scenario;
  const scene = { cpus: scenario.machine.cpus, devices, vms, hpet: scenario.machine.firmware.hpet };
  return {
    machine,
    async act(...actions) {
      const told: Told[] = [];
      for (const [i, action] of actions.entries()) {
        told.push(await script.act(readAction(action, `script[${i}]`, scene)));
        machine.rest();
      }
      return told;
    },
  };
}

export const nic = { nic: { at: "01:00.0", msix: 4 } };
export const guest = { guest: { vcpus: [1], devices: ["nic"] } };
