import { ShapeError } from "../spec/shape.ts";
import { irqPostingCapable } from "../linux/posting-capability.ts";
import type { BlockBackend } from "../qemu/block/backend.ts";
import { Clock } from "./clock.ts";
import { unexpectedOf, unmetOf } from "./expectations.ts";
import { leaksOf } from "./leaks.ts";
import { Machine } from "./machine.ts";
import { Narrative } from "./narrative.ts";
import type { Onlooker } from "./onlooker.ts";
import { Probes } from "./probes.ts";
import type { RunResult } from "./result.ts";
import type { Scenario } from "./scenario/scenario.ts";
import { Script } from "./script.ts";
import type { TimelineWriter } from "./timeline-writer.ts";

export interface RunOptions {
  /** Functions whose call stacks are counted as they are entered. */
  readonly stacks?: readonly string[];
  readonly timeline?: TimelineWriter;
  /** Sees what happens while it happens. */
  readonly onlooker?: Onlooker;
  /** Opens a disk image by the name that the scenario has for it. */
  readonly openImage?: (name: string) => Promise<BlockBackend>;
  /** Told how far a long run is; what it waits for lets others in, as a signal that ends it. */
  readonly progress?: (text: string) => Promise<void>;
}

/**
 * Runs a scenario from power-on to the end of its script, then takes everything apart and looks for what is left.
 * @throws ShapeError when its machine cannot be built.
 */
export async function runScenario(scenario: Scenario, options: RunOptions = {}): Promise<RunResult> {
  const { openImage = noImages, progress } = options;
  const clock = new Clock();
  const { onlooker } = options;
  const probes = new Probes(scenario, clock, options.stacks ?? [], options.timeline, onlooker);
  const { observer } = probes;
  const machine = new Machine(scenario, { clock, ...(observer && { observer }) });
  probes.attach(machine);
  const script = new Script(machine, { openImage, ...(progress && { progress }) });
  const narrative = new Narrative(machine);

  onlooker?.begins(0);
  await narrative.tell("boot", async () => {
    machine.boot();
    return { what: "the host boots", details: [modeOf(machine)] };
  });
  for (const action of scenario.script) {
    if (narrative.failures.length > 0) break;
    onlooker?.begins(narrative.episodes.length);
    await narrative.tell(action.do, () => script.act(action));
  }

  const measured = { ...measure(machine), dataEqual: script.dataEqual, log: narrative.log };
  probes.detach(machine);
  machine.takeApart();
  const leaks = leaksOf(machine);
  const unmet = unmetOf(scenario.expect, measured, machine.faults, narrative.failures);
  return {
    scenario: scenario.name,
    title: scenario.title,
    kernel: scenario.kernel,
    profile: scenario.machine.profile,
    settings: settingsOf(scenario),
    ...measured,
    stacks: probes.stacks(),
    episodes: narrative.episodes,
    unmet,
    leaks,
    findings: [...unmet, ...leaks, ...unexpectedOf(scenario.expect, measured)],
  };
}

/** Everything that can be counted at the end of a script. */
function measure(machine: Machine) {
  const { kernel, clock } = machine;
  const remapping = kernel.remapping?.enabled === true;
  return {
    ...machine.totals(),
    ...machine.entries(),
    vmExitsByReason: machine.exits(),
    faults: machine.faults.list(),
    remapping,
    posting: irqPostingCapable(kernel),
    x2apic: kernel.x2apic,
    cycles: clock.cycles(),
    costs: clock.shares(),
  };
}

const noImages = (name: string): Promise<BlockBackend> =>
  Promise.reject(new ShapeError("disk.image", `"${name}": nobody opens images here`));

function settingsOf({ machine: { cpus, cmdline }, values }: Scenario): string {
  const chosen = Object.entries(values).map(([name, value]) => `${name}=${value}`);
  return [`${cpus} CPUs`, cmdline === "" ? "no command line" : `command line "${cmdline}"`, ...chosen].join(
    ", ",
  );
}

function modeOf({ kernel: { remapping } }: Machine): string {
  return remapping?.enabled === true
    ? `interrupts are remapped, in ${remapping.mode} mode`
    : "interrupts are not remapped";
}
