import { avicIncompleteIpi } from "../../../spec/apic/avic.ts";
import { kernelFunction } from "../../kernel-function.ts";
import type { Kernel } from "../../kernel.ts";
import { apicSendIpi } from "../guest-apic.ts";
import type { Vcpu } from "../vcpu.ts";
import { svmCompleteInterruptDelivery } from "./delivery.ts";

const kickTargetVcpus = kernelFunction(
  "avic_kick_target_vcpus",
  (k: Kernel, vcpu: Vcpu, apicId: number): void => {
    const target = vcpu.vm.vcpus.find((one) => one.apicId === apicId);
    if (target !== undefined) svmCompleteInterruptDelivery(k, target);
  },
);

/**
 * AVIC could not deliver an IPI whole. What it could not address KVM sends; where a target does not run the vector is in
 * its IRR already, and KVM wakes it.
 * @param cause EXITINFO2 bits 63:32.
 */
export const avicIncompleteIpiInterception = kernelFunction(
  "avic_incomplete_ipi_interception",
  (k: Kernel, vcpu: Vcpu, cause: number, apicId: number, vector: number): void => {
    switch (cause) {
      case avicIncompleteIpi.invalidTarget:
      case avicIncompleteIpi.invalidInterruptType:
        apicSendIpi(k, vcpu, apicId, vector);
        break;
      case avicIncompleteIpi.targetNotRunning:
        kickTargetVcpus(k, vcpu, apicId);
        break;
      case avicIncompleteIpi.invalidBackingPage:
        k.log.warn("Invalid backing page");
        break;
    }
  },
);
