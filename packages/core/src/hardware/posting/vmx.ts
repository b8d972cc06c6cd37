import * as icr from "../../spec/accessors/apic-icr.ts";
import * as pidPointer from "../../spec/accessors/vmx-pid-pointer.ts";
import * as status from "../../spec/accessors/vmx-guest-interrupt-status.ts";
import * as xapicId from "../../spec/accessors/xapic-id.ts";
import * as xapicNdst from "../../spec/accessors/xapic-ndst.ts";
import { virtualApicPage, vmxExitReasons } from "../../spec/apic/vmx.ts";
import { toWords } from "../../spec/codec.ts";
import { ruleOf } from "../../spec/rules.ts";
import { DeliveryMode, type InterruptFabric } from "../delivery.ts";
import { type Observer, eventKinds } from "../event.ts";
import { hasVector, processorPriority } from "../lapic/state.ts";
import type { Memory } from "../memory.ts";
import { Post, PostedDescriptor } from "./descriptor.ts";
import { VectorPage, group } from "./vector-page.ts";
import { type VmxSettings, entryViolations } from "./vmx-settings.ts";

/** In place of an exit reason or a vector: the guest goes on. */
export const noExit = -1;

/** The physical APIC, as far as posted-interrupt processing needs it. */
export interface AcknowledgingApic {
  /** The vector acknowledged; -1 if none is pending. */
  acknowledge(): number;
  eoi(): unknown;
}

export interface VirtualApicOptions {
  /** Where notifications of virtualized IPIs go. */
  readonly fabric?: InterruptFabric;
  readonly observer?: Observer;
  /** Names this virtual processor to the observer; 0 unless told. */
  readonly vcpu?: number;
}

const pidPointerBytes = 8;

/**
 * The interrupts of one virtual processor under VMX: its virtual-APIC page and guest interrupt status (SDM vol. 3
 * ch. 30). What ends in a VM exit is returned as its exit reason, {@link noExit} otherwise.
 */
export class VirtualApic {
  readonly page: VectorPage;
  readonly descriptor: PostedDescriptor;
  /** Interrupt-window exiting: while it is on, nothing is recognised. */
  interruptWindowExiting = false;
  /** Exit qualification of the last exit that has one: the EOI's vector, or the offset written. */
  qualification = 0;
  readonly #memory: Memory;
  readonly #settings: VmxSettings;
  readonly #fabric: InterruptFabric | null;
  readonly #observer: Observer | null;
  readonly #vcpu: number;
  readonly #eoiExits: Int32Array;
  readonly #command = new Int32Array(2);
  readonly #pointer = new Int32Array(pidPointer.WORDS);
  /** Guest interrupt status: RVI and SVI. */
  #status = 0;
  #recognised = false;

  /** @throws RangeError when VM entry would fail, naming the rules. */
  constructor(memory: Memory, settings: VmxSettings, options: VirtualApicOptions = {}) {
    const broken = entryViolations(settings);
    if (broken.length > 0) {
      throw new RangeError(
        `VM entry fails: ${broken.map((rule) => `${ruleOf(rule).text} (${rule})`).join(" ")}`,
      );
    }
    this.#memory = memory;
    this.#settings = settings;
    this.#fabric = options.fabric ?? null;
    this.#observer = options.observer ?? null;
    this.#vcpu = options.vcpu ?? 0;
    this.page = new VectorPage(memory, settings.virtualApic);
    this.descriptor = new PostedDescriptor(memory, settings.descriptor ?? 0);
    this.#eoiExits = toWords(settings.eoiExitBitmap ?? 0n, 256);
  }

  get #x2apic(): boolean {
    return this.#settings.controls.x2apic === true;
  }

  get rvi(): number {
    return status.rvi(this.#status);
  }

  get svi(): number {
    return status.svi(this.#status);
  }

  /** Software writes the guest interrupt status of the VMCS. */
  setStatus(rvi: number, svi: number): void {
    this.#status = (rvi << status.RVI_SHIFT) | (svi << status.SVI_SHIFT);
  }

  /** A virtual interrupt is recognised and waits for the guest to be interruptible. */
  get recognised(): boolean {
    return this.#recognised;
  }

  get vppr(): number {
    return this.page.read(virtualApicPage.vppr);
  }

  // Evaluation and delivery.

  /** VM entry with virtual-interrupt delivery. */
  enter(): void {
    this.#virtualizePpr();
    this.evaluate();
  }

  #virtualizePpr(): void {
    // vmx.ppr.virtualization
    this.page.write(virtualApicPage.vppr, processorPriority(this.page.read(virtualApicPage.vtpr), this.svi));
  }

  /** @returns whether a virtual interrupt is recognised; a halted guest wakes on that only. */
  evaluate(): boolean {
    // vmx.evaluate
    this.#recognised = !this.interruptWindowExiting && (this.rvi & 0xf0) > (this.vppr & 0xf0);
    return this.#recognised;
  }

  /** The guest can be interrupted. @returns the vector that it takes through its IDT; -1 if none is recognised. */
  deliver(): number {
    if (!this.#recognised) return -1;
    // vmx.deliver
    const vector = this.rvi;
    this.page.set(group.isr, vector);
    this.page.write(virtualApicPage.vppr, vector & 0xf0);
    this.page.clear(group.irr, vector);
    this.setStatus(Math.max(this.page.highest(group.irr), 0), vector);
    this.#recognised = false;
    this.#observer?.record(eventKinds.virtual, this.#vcpu, vector, 0, 0, 0, 0);
    return vector;
  }

  // What the guest writes.

  /** TPR virtualization, after VTPR has been written. */
  virtualizeTpr(): number {
    // vmx.tpr.virtualization
    if (this.#settings.controls.virtualInterruptDelivery === true) {
      this.#virtualizePpr();
      this.evaluate();
      return noExit;
    }
    const taskClass = (this.page.read(virtualApicPage.vtpr) >>> 4) & 0xf;
    return taskClass < (this.#settings.tprThreshold ?? 0) ? vmxExitReasons.tprBelowThreshold : noExit;
  }

  /** EOI virtualization. */
  virtualizeEoi(): number {
    const vector = this.svi;
    // vmx.eoi.virtualization
    this.page.write(virtualApicPage.veoi, 0);
    this.page.clear(group.isr, vector);
    this.setStatus(this.rvi, Math.max(this.page.highest(group.isr), 0));
    this.#virtualizePpr();
    // vmx.eoi.exit
    if (hasVector(this.#eoiExits, 0, vector)) {
      this.qualification = vector;
      return vmxExitReasons.virtualizedEoi;
    }
    this.evaluate();
    return noExit;
  }

  /** Self-IPI virtualization. */
  virtualizeSelfIpi(vector: number): void {
    // vmx.self-ipi.virtualization
    this.page.set(group.irr, vector);
    this.setStatus(Math.max(this.rvi, vector), this.svi);
    this.evaluate();
  }

  /**
   * The guest has written a register of its page: APIC-write emulation.
   * @param offset in the page.
   * @param value int32; for the ICR its low half, with the high half in the page already.
   */
  write(offset: number, value: number): number {
    this.page.write(offset, value);
    if (offset === virtualApicPage.vtpr) return this.virtualizeTpr();
    // vmx.write.emulation
    if (this.#settings.controls.virtualInterruptDelivery === true) {
      if (offset === virtualApicPage.veoi) return this.virtualizeEoi();
      if (offset === virtualApicPage.vicrLow) {
        const high = this.#x2apic ? virtualApicPage.vicrWideHigh : virtualApicPage.vicrHigh;
        return this.#virtualizeCommand(value, this.page.read(high));
      }
      if (offset === virtualApicPage.selfIpi && this.#x2apic && value >>> 4 !== 0 && value >>> 8 === 0) {
        this.virtualizeSelfIpi(value);
        return noExit;
      }
    }
    return this.#writeExit(offset);
  }

  #writeExit(offset: number): number {
    this.qualification = offset;
    return vmxExitReasons.apicWrite;
  }

  #virtualizeCommand(low: number, high: number): number {
    const command = this.#command;
    command[0] = low;
    command[1] = high;
    const vector = icr.v(command, 0);
    const plain =
      (low & (icr.RESERVED_0 | icr.DS_MASK)) === 0 &&
      icr.tm(command, 0) === 0 &&
      icr.dlm(command, 0) === DeliveryMode.fixed;
    // vmx.write.emulation, vmx.ipi.vector
    if (!plain || vector < 16) return this.#writeExit(virtualApicPage.vicrLow);
    if (icr.sh(command, 0) === 1) {
      this.virtualizeSelfIpi(vector);
      return noExit;
    }
    if (
      this.#settings.controls.ipiVirtualization !== true ||
      icr.sh(command, 0) !== 0 ||
      icr.dm(command, 0) !== 0
    ) {
      return this.#writeExit(virtualApicPage.vicrLow);
    }
    const destination = this.#x2apic ? high >>> 0 : xapicId.id(high);
    return this.#virtualizeIpi(vector, destination);
  }

  /** IPI virtualization: the target's descriptor is found by its APIC id. */
  #virtualizeIpi(vector: number, destination: number): number {
    // vmx.ipi.index
    if (destination > (this.#settings.lastPidPointerIndex ?? 0))
      return this.#writeExit(virtualApicPage.vicrLow);
    const pointer = this.#pointer;
    this.#memory.readWords((this.#settings.pidPointerTable ?? 0) + pidPointerBytes * destination, pointer);
    const address =
      (pidPointer.pidaHigh(pointer, 0) >>> 0) * 2 ** 32 + (pidPointer.pidaLow(pointer, 0) >>> 0);
    if (
      // vmx.ipi.pointer-invalid
      pidPointer.v(pointer, 0) === 0 ||
      // vmx.ipi.pointer-reserved
      (pointer[0]! & pidPointer.RESERVED_0) !== 0 ||
      address >= 2 ** (this.#settings.physicalAddressBits ?? 52)
    ) {
      return this.#writeExit(virtualApicPage.vicrLow);
    }
    // vmx.ipi.virtualization
    const target = new PostedDescriptor(this.#memory, address);
    if (target.postFromIpi(vector) === Post.notify) {
      const ndst = (this.#settings.hostX2apic ?? true) ? target.ndst : xapicNdst.id(target.ndst);
      this.#fabric?.deliver(ndst, 0, 0, DeliveryMode.fixed, target.nv, 0);
    }
    return noExit;
  }

  // Posted-interrupt processing.

  /**
   * An external interrupt has come while the guest runs.
   * @returns the vector that was acknowledged where it ends in an ordinary external-interrupt exit; {@link noExit} where
   * it was the notification, or nothing was pending.
   */
  externalInterrupt(apic: AcknowledgingApic): number {
    const vector = apic.acknowledge();
    if (vector < 0) return noExit;
    const { controls, notificationVector = 0 } = this.#settings;
    // vmx.posted.exit
    if (controls.processPostedInterrupts !== true || vector !== notificationVector) return vector;
    // vmx.posted.clear-on
    this.descriptor.clearOn();
    // vmx.posted.eoi
    apic.eoi();
    // vmx.posted.harvest
    const highest = this.descriptor.harvest(this.page);
    this.setStatus(Math.max(this.rvi, highest), this.svi);
    // vmx.posted.evaluate
    this.evaluate();
    return noExit;
  }
}
