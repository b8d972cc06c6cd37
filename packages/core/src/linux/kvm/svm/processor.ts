import { DeliveryMode } from "../../../hardware/delivery.ts";
import { eventKinds } from "../../../hardware/event.ts";
import { type Avic, AvicProcessor, ipiComplete } from "../../../hardware/posting/avic.ts";
import { VectorPage, group } from "../../../hardware/posting/vector-page.ts";
import { apicRegisters, interruptCommand } from "../../../spec/apic/local-apic.ts";
import { encode } from "../../../spec/codec.ts";
import type { CpuApic } from "../../cpu.ts";
import type { Kernel } from "../../kernel.ts";
import type { LocalCpu } from "../../local-cpu.ts";
import { vcpuExitsAndGoesOn } from "../run.ts";
import type { Vcpu, VirtualProcessor } from "../vcpu.ts";
import { avicIncompleteIpiInterception } from "./incomplete-ipi.ts";

/** A vCPU's processor under AVIC: interrupts come from the backing page, IPIs to vCPUs that run go past KVM. */
export class SvmProcessor implements VirtualProcessor {
  readonly kind = "avic";
  readonly apic: CpuApic;
  readonly #k: Kernel;
  readonly #vcpu: Vcpu;
  readonly #avic: Avic;
  readonly #processor: AvicProcessor;

  /** @param page the backing page. */
  constructor(k: Kernel, vcpu: Vcpu, page: number, avic: Avic) {
    this.#k = k;
    this.#vcpu = vcpu;
    this.#avic = avic;
    this.#processor = new AvicProcessor(new VectorPage(k.memory, page));
    const registers = this.#processor.page;
    registers.write(apicRegisters.dfr.offset, vcpu.lapic.dfr);
    registers.write(apicRegisters.ldr.offset, vcpu.lapic.ldr);
    this.apic = {
      eoi: () => this.#endService(),
      sendIpi: (apicId, vector) => this.#sendIpi(apicId, vector),
      requested: (vector) => registers.has(group.irr, vector),
      enableX2apic: () => {},
    };
  }

  get #page(): VectorPage {
    return this.#processor.page;
  }

  /** An EOI of which an I/O APIC has to know is not accelerated: KVM ends the service. */
  #endService(): void {
    const vector = this.#processor.eoi();
    if (vector < 0) return;
    vcpuExitsAndGoesOn(this.#k, this.#vcpu, "virtualizedEoi", () => this.#page.clear(group.isr, vector));
  }

  #sendIpi(apicId: number, vector: number): void {
    const vcpu = this.#vcpu;
    const command = encode(interruptCommand, { v: vector, dlm: DeliveryMode.fixed, level: 1 });
    const high = vcpu.vm.x2apic ? apicId : apicId << 24;
    const cause = this.#avic.ipi(vcpu.apicId, Number(command), high);
    this.#processor.evaluate();
    if (cause === ipiComplete) return;
    vcpuExitsAndGoesOn(this.#k, vcpu, "incompleteIpi", (k) =>
      avicIncompleteIpiInterception(k, vcpu, cause, apicId, vector),
    );
  }

  enter(): void {
    this.#processor.enter();
  }

  exit(): void {
    this.#processor.inGuest = false;
  }

  externalInterrupt(cpu: LocalCpu): number {
    return cpu.localApic.acknowledge();
  }

  /** @returns whether the doorbell found the guest running. */
  doorbell(): boolean {
    return this.#processor.doorbell();
  }

  deliver(): number {
    const vector = this.#processor.deliver();
    if (vector >= 0) this.#k.observer?.record(eventKinds.virtual, this.#vcpu.slot, vector, 0, 0, 0, 0);
    return vector;
  }

  /** What is recognised waits for the guest without an exit. */
  wantsWindow(): boolean {
    return false;
  }

  hasInterrupt(): boolean {
    const vector = this.#page.highest(group.irr);
    return vector >= 0 && (vector & 0xf0) > (this.#processor.priority() & 0xf0);
  }

  request(vector: number): void {
    this.#page.set(group.irr, vector);
  }

  /** The highest vector that waits; -1 for none. */
  get requested(): number {
    return this.#page.highest(group.irr);
  }
}
