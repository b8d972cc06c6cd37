import type { CallListener } from "../hardware/call-stack.ts";
import { avicProtocol } from "../linux/kvm/svm/protocol.ts";
import type { Vcpu } from "../linux/kvm/vcpu.ts";
import { vmxProtocol } from "../linux/kvm/vmx/protocol.ts";
import { CallListeners } from "./call-listeners.ts";
import type { Clock } from "./clock.ts";
import { type Machine, opsOf } from "./machine.ts";
import type { TraceSink } from "./perfetto.ts";
import type { Scenario } from "./scenario/scenario.ts";
import { type StackCount, StackHistogram } from "./stack-histogram.ts";
import { Timeline } from "./timeline.ts";

/** The release that is looked into with bcc's stackcount, which shows the program's frames too. */
const withUserFrames = "5.4";

/** Who watches a machine while it runs: the histogram of call stacks, and the timeline. */
export class Probes {
  readonly timeline: Timeline | undefined;
  readonly #symbols: readonly string[];
  #histogram: StackHistogram | undefined;

  /**
   * @param symbols functions whose call stacks are counted.
   * @param sink takes the timeline's trace; without one there is none.
   */
  constructor(scenario: Scenario, clock: Clock, symbols: readonly string[], sink?: TraceSink) {
    this.#symbols = symbols;
    this.timeline = sink && new Timeline(clock, sink, exitNames(scenario));
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
    if (listeners.length > 0) machine.listen(new CallListeners(listeners));
  }

  /** The script is over: what follows is not looked at. */
  detach(machine: Machine): void {
    machine.listen(null);
    this.timeline?.finish();
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
