import type { ApicFabric } from "../hardware/lapic/fabric.ts";
import { interrupt } from "../linux/irq/entry.ts";
import { vectors } from "../linux/irq/vectors.ts";
import type { Kernel } from "../linux/kernel.ts";
import { avicDoorbell } from "../linux/kvm/svm/doorbell.ts";
import { vcpuSchedIn, vcpuTakesInterrupt } from "../linux/kvm/run.ts";
import type { Vcpu } from "../linux/kvm/vcpu.ts";
import type { LocalCpu } from "../linux/local-cpu.ts";
import { ActionError } from "./action-error.ts";
import type { Clock } from "./clock.ts";
import { costs } from "./cost.ts";

/** A processor that gets no rest after this many interrupts never will. */
const patience = 1_000_000;

/** The machine's processors: each takes what its local APIC has accepted, in the guest that it runs or in the host. */
export class Processors {
  /** The kernel that runs on them; another one after a crash. */
  kernel: Kernel;
  readonly #cpus: readonly LocalCpu[];
  readonly #clock: Clock;
  /** The vCPU whose thread has each CPU. */
  readonly #running: (Vcpu | null)[];
  /** Processors that are to look, each once. */
  readonly #due: number[] = [];
  readonly #isDue: Uint8Array;
  /** Processors whose doorbell has rung. */
  readonly #rung: Uint8Array;
  readonly #woken: Vcpu[] = [];

  constructor(kernel: Kernel, cpus: readonly LocalCpu[], apics: ApicFabric, clock: Clock) {
    this.kernel = kernel;
    this.#cpus = cpus;
    this.#clock = clock;
    this.#running = cpus.map(() => null);
    this.#isDue = new Uint8Array(cpus.length);
    this.#rung = new Uint8Array(cpus.length);
    apics.onAccept = (slot) => this.call(slot);
  }

  /** Something has come for a processor: it looks when the machine settles. */
  call(number: number): void {
    if (this.#isDue[number] === 1) return;
    this.#isDue[number] = 1;
    this.#due.push(number);
  }

  /** A doorbell rings at the processor with this APIC id. */
  ring(apicId: number): void {
    const number = this.#cpus.findIndex((cpu) => cpu.apicId === apicId);
    if (number < 0) return;
    this.#rung[number] = 1;
    this.call(number);
  }

  /** The thread of a vCPU has slept, and wants its CPU back. */
  wake(vcpu: Vcpu): void {
    this.#woken.push(vcpu);
  }

  /** A vCPU's thread has a CPU, or none any more. */
  place(vcpu: Vcpu, cpu: number | null): void {
    const before = this.#running.indexOf(vcpu);
    if (before >= 0) this.#running[before] = null;
    if (cpu === null) return;
    this.#running[cpu] = vcpu;
    this.call(cpu);
  }

  /** A vCPU is gone: it neither has a CPU nor wants one. */
  forget(vcpu: Vcpu): void {
    this.place(vcpu, null);
    const at = this.#woken.indexOf(vcpu);
    if (at >= 0) this.#woken.splice(at, 1);
  }

  /** @throws ActionError when another vCPU has the CPU: the model's scheduler shares none. */
  checkFree(cpu: number): void {
    if (!this.#isFree(this.#cpus[cpu]!)) throw new ActionError(`CPU ${cpu} has a vCPU already`);
  }

  #isFree({ number }: LocalCpu): boolean {
    return this.#running[number] === null;
  }

  runningOn(cpu: number): Vcpu | null {
    return this.#running[cpu]!;
  }

  /**
   * Everybody takes what has come, until nothing is left.
   * @throws RangeError when that does not end.
   */
  settle(): void {
    const due = this.#due;
    while (due.length > 0 || this.#woken.length > 0) {
      while (this.#woken.length > 0) this.#schedule(this.#woken.pop()!);
      const number = due.pop();
      if (number === undefined) continue;
      this.#isDue[number] = 0;
      this.#service(this.#cpus[number]!, this.#running[number]!);
    }
  }

  #schedule(vcpu: Vcpu): void {
    const before = this.#cpus[vcpu.cpu!.number]!;
    // Where another runs meanwhile, the scheduler finds a CPU that is idle.
    const cpu = this.#isFree(before) ? before : (this.#cpus.find((one) => this.#isFree(one)) ?? before);
    this.#clock.charge(costs.wakeup);
    this.#clock.charge(costs.contextSwitch);
    vcpuSchedIn(this.kernel, vcpu, cpu);
    this.place(vcpu, cpu.number);
  }

  #service(cpu: LocalCpu, vcpu: Vcpu | null): void {
    const { number, localApic } = cpu;
    if (this.#rung[number] === 1) {
      this.#rung[number] = 0;
      this.#clock.charge(costs.postedProcessing);
      avicDoorbell(this.kernel, cpu.apicId);
    }
    for (let taken = 0; taken < patience; taken++) {
      if (vcpu !== null && vcpu.inGuest) {
        if (localApic.pending() < 0) return;
        this.#interruptGuest(cpu, vcpu);
        continue;
      }
      const vector = localApic.acknowledge();
      if (vector < 0) return;
      this.#interruptHost(cpu, vector);
    }
    throw new RangeError(`CPU ${number} gets no rest from its interrupts`);
  }

  #interruptGuest(cpu: LocalCpu, vcpu: Vcpu): void {
    const clock = this.#clock;
    const { counts } = vcpu;
    const { entries, interrupts } = counts;
    const injections = this.#injections;
    const { sentIpis } = cpu;
    vcpuTakesInterrupt(this.kernel, vcpu, cpu);
    if (counts.entries === entries) clock.charge(costs.postedProcessing);
    else {
      clock.charge(costs.vmExit, counts.entries - entries);
      clock.charge(costs.hostInterrupt);
      clock.charge(costs.eventfdInjection, this.#injections - injections);
      clock.charge(costs.ipi, cpu.sentIpis - sentIpis);
    }
    clock.charge(costs.guestInterrupt, counts.interrupts - interrupts);
  }

  #interruptHost(cpu: LocalCpu, vector: number): void {
    const clock = this.#clock;
    const { irqs } = this.kernel;
    const { taken } = irqs;
    const injections = this.#injections;
    const { sentIpis } = cpu;
    interrupt(this.kernel, cpu, vector);
    if (vector === vectors.POSTED_MSI_NOTIFICATION) {
      clock.charge(costs.postedMsi);
      clock.charge(costs.postedMsiVector, irqs.taken - taken);
    } else clock.charge(costs.hostInterrupt);
    clock.charge(costs.eventfdInjection, this.#injections - injections);
    clock.charge(costs.ipi, cpu.sentIpis - sentIpis);
  }

  /** Interrupts that KVM has brought to vCPUs by its own hand, so far. */
  get #injections(): number {
    return this.kernel.kvm?.injections ?? 0;
  }
}
