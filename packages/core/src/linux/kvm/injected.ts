import { processorPriority } from "../../hardware/lapic/state.ts";
import { VectorPage, group } from "../../hardware/posting/vector-page.ts";
import { virtualApicPage } from "../../spec/apic/vmx.ts";
import type { CpuApic } from "../cpu.ts";
import { kernelFunction } from "../kernel-function.ts";
import type { Kernel } from "../kernel.ts";
import type { LocalCpu } from "../local-cpu.ts";
import { eventKinds } from "../../hardware/event.ts";
import type { ExitReason } from "./counts.ts";
import { emulateIpi, emulateX2apic } from "./guest-apic.ts";
import { vcpuExitsAndGoesOn } from "./run.ts";
import type { Vcpu, VirtualProcessor } from "./vcpu.ts";
import { kvmVcpuKick } from "./wake.ts";

/**
 * A vCPU without APIC virtualization: KVM emulates its APIC, and injects an interrupt with a VM entry. While the guest
 * keeps interrupts out, KVM waits for a window.
 */
export class InjectedProcessor implements VirtualProcessor {
  readonly kind = "injected";
  readonly apic: CpuApic;
  readonly #page: VectorPage;
  readonly #k: Kernel;
  readonly #vcpu: Vcpu;
  /** The vector that the last entry has injected; -1 when the guest has it. */
  #injected = -1;
  #windowExiting = false;

  /** @param page the APIC's registers. */
  constructor(k: Kernel, vcpu: Vcpu, page: number) {
    this.#k = k;
    this.#vcpu = vcpu;
    this.#page = new VectorPage(k.memory, page);
    const reason = (): ExitReason => (vcpu.lapic.x2apic ? "msrWrite" : "apicWrite");
    this.apic = {
      eoi: () => vcpuExitsAndGoesOn(k, vcpu, reason(), () => this.#endService()),
      sendIpi: (apicId, vector) => emulateIpi(k, vcpu, reason(), apicId, vector),
      requested: (vector) => this.#page.has(group.irr, vector),
      enableX2apic: () => emulateX2apic(k, vcpu, () => {}),
    };
  }

  #endService(): void {
    setEoi(this.#k);
    const vector = this.#page.highest(group.isr);
    if (vector >= 0) this.#page.clear(group.isr, vector);
  }

  /** An interrupt is accepted. */
  accept(vector: number): void {
    this.#page.set(group.irr, vector);
  }

  enter(): void {
    this.#windowExiting = false;
    if (!this.hasInterrupt()) return;
    // An interrupt that was injected and not taken yet goes first.
    if (!this.#vcpu.interruptible || this.#injected >= 0) {
      this.#windowExiting = true;
      return;
    }
    const vector = this.#page.highest(group.irr);
    this.#page.clear(group.irr, vector);
    this.#page.set(group.isr, vector);
    this.#injected = vector;
    this.#windowExiting = this.hasInterrupt();
  }

  exit(): void {}

  externalInterrupt(cpu: LocalCpu): number {
    return cpu.localApic.acknowledge();
  }

  deliver(): number {
    const vector = this.#injected;
    this.#injected = -1;
    if (vector >= 0) {
      this.#k.observer?.record(eventKinds.virtual, this.#vcpu.slot, vector, 0, 0, 0, 0);
    }
    return vector;
  }

  wantsWindow(): boolean {
    return this.#windowExiting;
  }

  hasInterrupt(): boolean {
    const vector = this.#page.highest(group.irr);
    const priority = processorPriority(this.#page.read(virtualApicPage.vtpr), this.#page.highest(group.isr));
    return vector >= 0 && (vector & 0xf0) > (priority & 0xf0);
  }

  /** The highest vector that waits; -1 for none. */
  get requested(): number {
    return this.#page.highest(group.irr);
  }
}

const setEoi = kernelFunction("kvm_lapic_set_eoi", (): void => {});

/** An interrupt for a vCPU whose APIC KVM emulates. */
export function deliverByInjection(k: Kernel, vcpu: Vcpu, vector: number): void {
  (vcpu.processor as InjectedProcessor).accept(vector);
  kvmVcpuKick(k, vcpu);
}
