import { errno } from "../errno.ts";
import { kernelFunction } from "../kernel-function.ts";
import type { Kernel } from "../kernel.ts";
import { kvmIrqRoutingUpdate } from "./irqfd.ts";
import { isInvalidMessage } from "./lapic-irq.ts";
import type { MsiRoute } from "./requests.ts";
import type { KvmVm } from "./vm.ts";

/** KVM_MAX_IRQ_ROUTES */
const mostRoutes = 4096;

/**
 * KVM_SET_GSI_ROUTING: the whole table anew.
 * @returns 0; -EINVAL for too many, two of one GSI or a message that does not fit the VM's format: then nothing changes.
 */
export const kvmSetIrqRouting = kernelFunction(
  "kvm_set_irq_routing",
  (k: Kernel, vm: KvmVm, routes: readonly MsiRoute[]): number => {
    const table = new Map(routes.map((route) => [route.gsi, route]));
    if (routes.length > mostRoutes || table.size < routes.length) return -errno.EINVAL;
    if (routes.some((route) => isInvalidMessage(vm, route))) return -errno.EINVAL;
    vm.interrupts.routing = table;
    kvmIrqRoutingUpdate(k, vm);
    return 0;
  },
);
