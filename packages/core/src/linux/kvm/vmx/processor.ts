import * as xapicId from "../../../spec/accessors/xapic-id.ts";
import { DeliveryMode, type InterruptFabric } from "../../../hardware/delivery.ts";
import { processorPriority } from "../../../hardware/lapic/state.ts";
import { group } from "../../../hardware/posting/vector-page.ts";
import { VirtualApic } from "../../../hardware/posting/vmx.ts";
import { postingControls } from "../../../hardware/posting/vmx-settings.ts";
import { interruptCommand } from "../../../spec/apic/local-apic.ts";
import { virtualApicPage, vmxExitReasons } from "../../../spec/apic/vmx.ts";
import { encode } from "../../../spec/codec.ts";
import type { CpuApic } from "../../cpu.ts";
import { kernelFunction } from "../../kernel-function.ts";
import type { Kernel } from "../../kernel.ts";
import type { LocalCpu } from "../../local-cpu.ts";
import { postedInterruptVector } from "../../posting/posting-state.ts";
import { emulateIpi, emulateX2apic } from "../guest-apic.ts";
import type { Vcpu } from "../vcpu.ts";
import type { RequestingProcessor } from "./protocol.ts";

export interface VmxProcessorOptions {
  /** The virtual-APIC page. */
  readonly page: number;
  readonly descriptor: number;
  /** PID-pointer table and its last index, with IPI virtualization. */
  readonly pidPointers: { readonly table: number; readonly last: number } | null;
}

/** A vCPU's processor under APICv: virtual-interrupt delivery, posted interrupts, IPI virtualization. */
export class VmxProcessor implements RequestingProcessor {
  readonly kind = "vmx";
  readonly apic: CpuApic;
  readonly #k: Kernel;
  readonly #vcpu: Vcpu;
  readonly #options: VmxProcessorOptions;
  #virtualApic: VirtualApic;

  constructor(k: Kernel, vcpu: Vcpu, options: VmxProcessorOptions) {
    this.#k = k;
    this.#vcpu = vcpu;
    this.#options = options;
    this.#virtualApic = this.#configure();
    this.apic = {
      // The EOI-exit bitmap is empty: messages are edge-triggered.
      eoi: () => void this.#virtualApic.write(virtualApicPage.veoi, 0),
      sendIpi: (apicId, vector) => this.#sendIpi(apicId, vector),
      requested: (vector) => this.#virtualApic.page.has(group.irr, vector),
      enableX2apic: () => emulateX2apic(k, vcpu, () => setVirtualApicMode(k, this)),
    };
  }

  /** The virtual APIC as the VMCS describes it. */
  get virtualApic(): VirtualApic {
    return this.#virtualApic;
  }

  /** The VMCS follows the mode of the guest's APIC. */
  changeMode(): void {
    const { rvi, svi } = this.#virtualApic;
    this.#virtualApic = this.#configure();
    this.#virtualApic.setStatus(rvi, svi);
  }

  #configure(): VirtualApic {
    const k = this.#k;
    const vcpu = this.#vcpu;
    const { page, descriptor, pidPointers } = this.#options;
    const { x2apic } = vcpu.lapic;
    return new VirtualApic(
      k.memory,
      {
        controls: { ...postingControls, x2apic, ipiVirtualization: x2apic && pidPointers !== null },
        virtualApic: page,
        descriptor,
        notificationVector: postedInterruptVector,
        hostX2apic: k.x2apic,
        ...(pidPointers !== null && {
          pidPointerTable: pidPointers.table,
          lastPidPointerIndex: pidPointers.last,
        }),
      },
      { vcpu: vcpu.slot, fabric: notifications(vcpu), ...(k.observer !== null && { observer: k.observer }) },
    );
  }

  #sendIpi(apicId: number, vector: number): void {
    const k = this.#k;
    const vcpu = this.#vcpu;
    const virtualApic = this.#virtualApic;
    const { x2apic } = vcpu.lapic;
    if (x2apic && apicId === vcpu.apicId) {
      virtualApic.write(virtualApicPage.selfIpi, vector);
      return;
    }
    // Without IPI virtualization the MSR is intercepted: no write to the page comes of it.
    if (x2apic && !vcpu.vm.ipiVirtualization) {
      emulateIpi(k, vcpu, "msrWrite", apicId, vector);
      return;
    }
    const command = encode(interruptCommand, { v: vector, dlm: DeliveryMode.fixed, level: 1 });
    if (x2apic) virtualApic.page.write(virtualApicPage.vicrWideHigh, apicId);
    else virtualApic.page.write(virtualApicPage.vicrHigh, apicId << xapicId.ID_SHIFT);
    const exit = virtualApic.write(virtualApicPage.vicrLow, Number(command));
    if (exit === vmxExitReasons.apicWrite) emulateIpi(k, vcpu, "apicWrite", apicId, vector);
  }

  enter(): void {
    this.#virtualApic.enter();
  }

  exit(): void {}

  externalInterrupt(cpu: LocalCpu): number {
    return this.#virtualApic.externalInterrupt(cpu.localApic);
  }

  deliver(): number {
    return this.#virtualApic.deliver();
  }

  /** What is recognised waits for the guest without an exit. */
  wantsWindow(): boolean {
    return false;
  }

  hasInterrupt(): boolean {
    const { page, svi } = this.#virtualApic;
    const vector = page.highest(group.irr);
    const priority = processorPriority(page.read(virtualApicPage.vtpr), svi);
    return vector >= 0 && (vector & 0xf0) > (priority & 0xf0);
  }

  request(part: number, vectors: number): void {
    this.#virtualApic.page.merge(group.irr, part, vectors);
  }

  /** The VMCS's RVI follows what software has brought to IRR. @returns the highest vector there, -1 for none. */
  updateRequested(): number {
    const virtualApic = this.#virtualApic;
    const highest = virtualApic.page.highest(group.irr);
    virtualApic.setStatus(Math.max(highest, 0), virtualApic.svi);
    return highest;
  }
}

/** Where a processor's own notifications go: out of the APIC of the CPU on which it runs. */
function notifications(vcpu: Vcpu): InterruptFabric {
  const send = (destination: number, vector: number): number => {
    vcpu.cpu!.apic.sendIpi(destination >>> 0, vector);
    return 1;
  };
  return {
    deliver: (destination, _logical, _hint, _mode, vector) => send(destination, vector),
    fixed: send,
    message: () => 0,
  };
}

const setVirtualApicMode = kernelFunction(
  "vmx_set_virtual_apic_mode",
  (_k: Kernel, processor: VmxProcessor): void => processor.changeMode(),
);
