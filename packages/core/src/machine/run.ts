import { ShapeError } from "../spec/shape.ts";
import { avicProtocol } from "../linux/kvm/svm/protocol.ts";
import type { Vcpu } from "../linux/kvm/vcpu.ts";
import { vmxProtocol } from "../linux/kvm/vmx/protocol.ts";
import type { BlockBackend } from "../qemu/block/backend.ts";
import { ActionError } from "./action-error.ts";
import { CallListeners } from "./call-listeners.ts";
import { Clock } from "./clock.ts";
import { Logs } from "./logs.ts";
import { leaksOf } from "./leaks.ts";
import { Machine, opsOf } from "./machine.ts";
import type { TraceSink } from "./perfetto.ts";
import type { Episode, RunResult } from "./result.ts";
import type { Expected, Expectation, Scenario } from "./scenario/scenario.ts";
import { Script } from "./script.ts";
import { StackHistogram } from "./stack-histogram.ts";
import { Timeline } from "./timeline.ts";
import { type Totals, difference } from "./totals.ts";

export interface RunOptions {
  /** Functions whose call stacks are counted as they are entered. */
  readonly stacks?: readonly string[];
  /** Takes a Perfetto trace, chunk by chunk; a chunk is good until this returns. */
  readonly timeline?: TraceSink;
  /** Opens a disk image by the name that the scenario has for it. */
  readonly openImage?: (name: string) => Promise<BlockBackend>;
  /** Told how far a long run is; what it waits for lets others in, as a signal that ends it. */
  readonly progress?: (text: string) => Promise<void>;
}

/** Kernels before this one were looked into with bcc's stackcount, which shows the program's frames too. */
const withUserFrames = "5.4";

/**
 * Runs a scenario from power-on to the end of its script, then takes everything apart and looks for what is left.
 * @throws ShapeError when its machine cannot be built.
 */
export async function runScenario(scenario: Scenario, options: RunOptions = {}): Promise<RunResult> {
  const clock = new Clock();
  const timeline = options.timeline && new Timeline(clock, options.timeline, exitNames(scenario));
  const machine = new Machine(scenario, { clock, ...(timeline && { observer: timeline }) });
  const stacks = new StackHistogram(machine.calls, options.stacks ?? [], {
    user: scenario.kernel === withUserFrames,
  });
  const listeners = [...((options.stacks ?? []).length > 0 ? [stacks] : []), ...(timeline ? [timeline] : [])];
  if (listeners.length > 0) machine.listen(new CallListeners(listeners));
  for (const { name, fn } of machine.devices.values()) timeline?.device(fn.requester, name);
  machine.onVcpu = (vcpu, name) => timeline?.vcpu(vcpu.slot, name, postedAt(machine, vcpu));

  const episodes: Episode[] = [];
  const failures: string[] = [];
  const log: string[] = [];
  const logs = new Logs();
  const script = new Script(machine, {
    openImage: options.openImage ?? noImages,
    ...(options.progress && { progress: options.progress }),
  });
  const tell = async (what: string, act: () => Promise<{ what: string; details: readonly string[] }>) => {
    const at = clock.now;
    const before = machine.totals();
    const told = await act().catch((error: unknown) => {
      if (!(error instanceof ActionError)) throw error;
      failures.push(`${what}: ${error.message}`);
      return { what: `${what} fails`, details: [error.message] };
    });
    machine.rest();
    const counted = phraseOf(difference(machine.totals(), before));
    const guests = logs.guests(machine);
    log.push(...logs.host(machine));
    episodes.push({ at, what: told.what, details: [...told.details, ...counted, ...guests] });
  };

  await tell("boot", async () => {
    machine.boot();
    return { what: "the host boots", details: modeOf(machine) };
  });
  for (const action of scenario.script) {
    if (failures.length > 0) break;
    await tell(action.do, () => script.act(action));
  }

  const totals = machine.totals();
  const faults = machine.faults.list();
  const { remapped, posted } = machine.entries();
  const state = { remapping: machine.kernel.remapping?.enabled === true, x2apic: machine.kernel.x2apic };
  const posting =
    state.remapping && machine.kernel.remapping!.postingCapable && !machine.kernel.parameters.disableIrqPost;
  const exits = machine.exits();
  const modelled = { cycles: clock.cycles(), costs: clock.shares() };
  machine.listen(null);
  machine.takeApart();
  timeline?.finish();
  const leaks = leaksOf(machine);
  const measured = {
    ...totals,
    vmExitsByReason: exits,
    faults,
    remapped,
    posted,
    ...state,
    posting,
    dataEqual: script.dataEqual,
    log,
  };
  const unmet = [...unmetFailures(scenario.expect, failures), ...unmetOf(scenario.expect, measured, machine)];
  return {
    scenario: scenario.name,
    title: scenario.title,
    kernel: scenario.kernel,
    profile: scenario.machine.profile,
    settings: settingsOf(scenario),
    ...measured,
    ...modelled,
    stacks: stacks.counts(),
    episodes,
    unmet,
    leaks,
    findings: [...unmet, ...leaks, ...unexpected(scenario.expect, totals)],
  };
}

/** Names of the reasons for VM exits, by their vendor's numbers. */
function exitNames({ machine: { vendor } }: Scenario): ReadonlyMap<number, string> {
  const { exitReasons } = opsOf(vendor);
  return new Map(Object.entries(exitReasons).map(([name, number]) => [number, name]));
}

/** Where interrupts are posted to for a vCPU: its descriptor, or its backing page. */
function postedAt({ kernel: k }: Machine, { slot, vm }: Vcpu): number {
  return vm.ops.vendor === "intel" ? vmxProtocol(k).descriptorOf(slot) : avicProtocol(k).pageOf(slot);
}

const noImages = (name: string): Promise<BlockBackend> =>
  Promise.reject(new ShapeError("disk.image", `"${name}": nobody opens images here`));

function settingsOf({ machine: { cpus, cmdline }, values }: Scenario): string {
  const chosen = Object.entries(values).map(([name, value]) => `${name}=${value}`);
  return [`${cpus} CPUs`, cmdline === "" ? "no command line" : `command line "${cmdline}"`, ...chosen].join(
    ", ",
  );
}

function modeOf({ kernel }: Machine): string[] {
  const remapping =
    kernel.remapping?.enabled === true
      ? `interrupts are remapped, in ${kernel.remapping.mode} mode`
      : "interrupts are not remapped";
  return [remapping];
}

/** How each count is told, of one and of many. */
const phrases: readonly [keyof Totals, string, string][] = [
  ["raised", "raised", "raised"],
  ["delivered", "delivered", "delivered"],
  ["coalesced", "merged", "merged"],
  ["lost", "waiting", "waiting"],
  ["blocked", "blocked", "blocked"],
  ["hijacked", "past its entry", "past their entries"],
  ["notifications", "notification", "notifications"],
  ["hostInterrupts", "host interrupt", "host interrupts"],
  ["vmExits", "VM exit", "VM exits"],
  ["wakeups", "wake-up", "wake-ups"],
  ["ipis", "IPI taken", "IPIs taken"],
];

function phraseOf(totals: Totals): string[] {
  const parts = phrases
    .filter(([name]) => totals[name] > 0)
    .map(([name, one, many]) => {
      const value = totals[name];
      return `${value.toLocaleString("en")} ${value === 1 ? one : many}`;
    });
  return parts.length === 0 ? [] : [parts.join(", ")];
}

type Measured = Omit<Totals, never> &
  Pick<RunResult, "remapped" | "posted" | "remapping" | "x2apic" | "posting" | "dataEqual" | "log">;

const amounts = [
  "delivered",
  "lost",
  "coalesced",
  "blocked",
  "hijacked",
  "vmExits",
  "notifications",
  "hostInterrupts",
  "posted",
  "remapped",
  "wakeups",
  "ipis",
] as const;

const states = ["dataEqual", "x2apic", "remapping", "posting"] as const;

/** What was expected and is not so. */
function unmetOf(expect: Expectation, measured: Measured, machine: Machine): string[] {
  const unmet: string[] = [];
  const hold = (name: string, wanted: Expected | undefined, found: number): void => {
    if (wanted !== undefined && !meets(wanted, found))
      unmet.push(`${name} is ${found}, expected ${phraseOfExpected(wanted)}`);
  };
  for (const name of amounts) hold(name, expect[name], measured[name]);
  for (const [label, wanted] of Object.entries(expect.faults ?? {}))
    hold(`faults ${label}`, wanted, machine.faults.of(label));
  for (const name of states) {
    const wanted = expect[name];
    if (wanted !== undefined && measured[name] !== wanted)
      unmet.push(`${name} is ${measured[name]}, expected ${wanted}`);
  }
  for (const line of expect.log ?? []) {
    if (!measured.log.some((printed) => printed.includes(line)))
      unmet.push(`the kernel did not print "${line}"`);
  }
  for (const line of expect.logLacks ?? []) {
    if (measured.log.some((printed) => printed.includes(line))) unmet.push(`the kernel printed "${line}"`);
  }
  return unmet;
}

/** Refusals that were not expected, or that did not come. */
function unmetFailures({ fails }: Expectation, failures: readonly string[]): string[] {
  if (fails === undefined) return [...failures];
  const met = failures.some((failure) => failure.includes(fails));
  return met ? [] : [...failures, `nothing was refused with "${fails}"`];
}

function meets(wanted: Expected, found: number): boolean {
  if (typeof wanted === "number") return found === wanted;
  return found >= (wanted.atLeast ?? 0) && found <= (wanted.atMost ?? Infinity);
}

function phraseOfExpected(wanted: Expected): string {
  if (typeof wanted === "number") return String(wanted);
  const { atLeast, atMost } = wanted;
  return [atLeast === undefined ? "" : `at least ${atLeast}`, atMost === undefined ? "" : `at most ${atMost}`]
    .filter((part) => part !== "")
    .join(" and ");
}

/** Losses and refusals of which the scenario says nothing. */
function unexpected({ lost, blocked, faults, hijacked }: Expectation, totals: Totals): string[] {
  const findings: string[] = [];
  if (lost === undefined && totals.lost > 0) findings.push(`${totals.lost} interrupts were lost`);
  if (blocked === undefined && faults === undefined && totals.blocked > 0)
    findings.push(`${totals.blocked} interrupts were blocked`);
  if (hijacked === undefined && totals.hijacked > 0)
    findings.push(`${totals.hijacked} interrupts went past their entries`);
  return findings;
}
