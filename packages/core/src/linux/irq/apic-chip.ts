import { DeliveryMode } from "../../hardware/delivery.ts";
import { encode, toWords } from "../../spec/codec.ts";
import { msiAddress, msiAddressExtended, msiData } from "../../spec/msi/message.ts";
import { errno } from "../errno.ts";
import { kernelFunction } from "../kernel-function.ts";
import type { Kernel } from "../kernel.ts";
import { irqMoveMaskedIrq } from "./affinity.ts";
import { apicDriver } from "./apic-driver.ts";
import { type IrqChip, type MsiMessage, setMask } from "./chip.ts";
import type { IrqData } from "./descriptor.ts";
import { assignVectorLocked, irqCompleteMove } from "./vector-move.ts";
import { type VectorConfig, chipDataOf, vectorConfig } from "./vector-state.ts";

/** Ends the interrupt at the local APIC: what the chip of a remapping level does too. */
export const apicAckIrq = kernelFunction("apic_ack_irq", (k: Kernel, { irq, common }: IrqData): void => {
  if (common.pendingMove !== null) irqMoveMaskedIrq(k, irq);
  k.cpu.apic.eoi();
});

const apicAckEdge = kernelFunction("apic_ack_edge", (k: Kernel, data: IrqData): void => {
  irqCompleteMove(k, data);
  apicAckIrq(k, data);
});

const apicSetAffinity = kernelFunction(
  "apic_set_affinity",
  (k: Kernel, data: IrqData, cpus: readonly number[], _force: boolean): number => {
    if (!data.common.activated) return -errno.EIO;
    const online = cpus.filter((cpu) => k.cpus[cpu]!.online);
    return assignVectorLocked(k, data, online) || setMask.ok;
  },
);

const apicRetriggerIrq = kernelFunction("apic_retrigger_irq", (k: Kernel, data: IrqData): boolean => {
  const { vector, cpu } = chipDataOf(data);
  k.cpu.apic.sendIpi(k.cpus[cpu]!.apicId, vector);
  return true;
});

/**
 * `__irq_msi_compose_msg`: a message straight to a vector and a CPU, in compatibility format.
 * @param dmar the IOMMU's own interrupt, whose address may hold all 32 bits of the destination.
 */
export const irqMsiComposeMsg = kernelFunction(
  "__irq_msi_compose_msg",
  (k: Kernel, config: VectorConfig, message: MsiMessage, dmar: boolean): void => {
    const dm = apicDriver(k).logical ? 1 : 0;
    const { destination } = config;
    const address =
      !dmar && k.firmware.extendedDestinationId === true
        ? encode(msiAddressExtended, { prefix: 0xfee, dm, dst: destination & 0x7fff })
        : encode(msiAddress, {
            prefix: 0xfee,
            dm,
            dst: destination & 0xff,
            ...(dmar && { dsthigh: destination >>> 8 }),
          });
    const [low, high] = toWords(address, 64);
    message.addressLow = low!;
    message.addressHigh = high!;
    const level = k.runs({ below: "5.11" }) ? 1 : 0;
    message.data = Number(encode(msiData, { v: config.vector, dlm: DeliveryMode.fixed, level }));
  },
);

const x86VectorMsiComposeMsg = kernelFunction(
  "x86_vector_msi_compose_msg",
  (k: Kernel, data: IrqData, message: MsiMessage): void => {
    irqMsiComposeMsg(k, vectorConfig(data), message, false);
  },
  { tailCalls: { __irq_msi_compose_msg: true } },
);

/** `lapic_controller` */
export const lapicController: IrqChip = {
  name: "APIC",
  ack: apicAckEdge,
  setAffinity: apicSetAffinity,
  composeMsiMsg: x86VectorMsiComposeMsg,
  retrigger: apicRetriggerIrq,
};
