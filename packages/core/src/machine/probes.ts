import type { CallListener } from "../hardware/call-stack.ts";
import type { Observer } from "../hardware/event.ts";
import { avicProtocol } from "../linux/kvm/svm/protocol.ts";
import type { Vcpu } from "../linux/kvm/vcpu.ts";
import { vmxProtocol } from "../linux/kvm/vmx/protocol.ts";
import { CallListeners } from "./call-listeners.ts";
import type { Clock } from "./clock.ts";
import { type Machine, opsOf } from "./machine.ts";
import { Observers } from "./observers.ts";
import type { Onlooker } from "./onlooker.ts";
import type { Scenario } from "./scenario/scenario.ts";
import { type StackCount, StackHistogram } from "./stack-histogram.ts";
import { Timeline } from "./timeline.ts";
import type { TimelineWriter } from "./timeline-writer.ts";

/** The release that is looked into with bcc's stackcount, which shows the program's frames too. */
const withUserFrames = "5.4";

/** Who watches a machine while it runs: the histogram of call stacks, and the timeline. */
export class Probes {
  readonly timeline: Timeline | undefined;
  readonly #symbols: readonly string[];
  readonly #onlooker: Onlooker | undefined;
  #histogram: StackHistogram | undefined;

  /**
   * @param symbols functions whose call stacks are counted.
   * @param writer takes the timeline; without one there is none.
   * @param onlooker somebody else.
   */
  constructor(
    scenario: Scenario,
    clock: Clock,
    symbols: readonly string[],
    writer?: TimelineWriter,
    onlooker?: Onlooker,
  ) {
    this.#symbols = symbols;
    this.#onlooker = onlooker;
    this.timeline = writer && new Timeline(clock, writer, exitNames(scenario));
  }

  /** Takes the hardware's events; undefined if nobody does. */
  get observer(): Observer | undefined {
    const observers = [this.timeline, this.#onlooker].filter((one) => one !== undefined);
    return observers.length > 1 ? new Observers(observers) : observers[0];
  }

  attach(machine: Machine): void {
    const { timeline } = this;
    const listeners: CallListener[] = [];
    if (this.#symbols.length > 0) {
      const user = machine.scenario.kernel === withUserFrames;
      this.#histogram = new StackHistogram(machine.calls, this.#symbols, { user });
      listeners.push(this.#histogram);
    }
    if (timeline !== undefined) {
      listeners.push(timeline);
      for (const { name, fn } of machine.devices.values()) timeline.device(fn.requester, name);
      machine.onVcpu = (vcpu, name) => timeline.vcpu(vcpu.slot, name, postedAt(machine, vcpu));
    }
    if (this.#onlooker !== undefined) listeners.push(this.#onlooker);
    this.#onlooker?.meets(machine);
    if (listeners.length > 0) machine.listen(new CallListeners(listeners));
  }

  /** The script is over: what follows is not looked at. */
  detach(machine: Machine): void {
    machine.listen(null);
    this.timeline?.finish();
    this.#onlooker?.ends();
  }

  stacks(): StackCount[] {
    return this.#histogram?.counts() ?? [];
  }
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
