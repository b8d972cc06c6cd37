import * as address from "../../spec/accessors/msi-address.ts";
import * as data from "../../spec/accessors/msi-data.ts";
import { DeliveryMode } from "../../hardware/delivery.ts";
import { kernelFunction } from "../kernel-function.ts";
import type { Kernel } from "../kernel.ts";
import type { KvmVm } from "./vm.ts";

/** `struct kvm_lapic_irq`: an interrupt on its way to APICs of vCPUs. */
export interface LapicIrq {
  readonly vector: number;
  /** One of {@link DeliveryMode}. */
  readonly deliveryMode: number;
  /** Unsigned. */
  readonly destination: number;
  readonly logical: boolean;
  readonly redirectionHint: boolean;
  readonly level: boolean;
}

/** A message as KVM takes it from a route or from KVM_SIGNAL_MSI: int32. */
export interface KvmMessage {
  readonly addressLow: number;
  readonly addressHigh: number;
  readonly data: number;
}

/** One of several addressed APICs is to take it: `kvm_lowest_prio_delivery`. */
export function isLowestPriority(irq: LapicIrq): boolean {
  return irq.deliveryMode === DeliveryMode.lowestPriority || irq.redirectionHint;
}

/** In the x2APIC format address bits 63:40 are destination bits 31:8, and bits 39:32 must be zero. */
export function isInvalidMessage(vm: KvmVm, message: KvmMessage): boolean {
  return vm.interrupts.x2apicFormat && (message.addressHigh & address.RESERVED_1) !== 0;
}

function read(_k: Kernel, vm: KvmVm, message: KvmMessage): LapicIrq {
  const { addressLow, addressHigh } = message;
  const high = vm.interrupts.x2apicFormat ? address.dsthighOf(addressHigh) : 0;
  return {
    vector: data.v(message.data),
    deliveryMode: data.dlm(message.data),
    destination: high * 0x100 + address.dstOf(addressLow),
    logical: address.dmOf(addressLow) === 1,
    redirectionHint: address.rhOf(addressLow) === 1,
    level: data.tm(message.data) === 1,
  };
}

const msiToLapicIrq = kernelFunction("kvm_msi_to_lapic_irq", read);

const setMsiIrq = kernelFunction("kvm_set_msi_irq", read);

/** What a message asks for. */
export function kvmMsiToLapicIrq(k: Kernel, vm: KvmVm, message: KvmMessage): LapicIrq {
  return k.runs({ from: "6.18" }) ? msiToLapicIrq(k, vm, message) : setMsiIrq(k, vm, message);
}
