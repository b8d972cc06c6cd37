import { errno } from "../../linux/errno.ts";
import type { MsiMessage } from "../../linux/irq/chip.ts";
import type { MsiRoute } from "../../linux/kvm/requests.ts";
import type { EventNotifier } from "../event-notifier.ts";
import { inlined, qemuFunction } from "../qemu-function.ts";
import type { Vmm } from "../vmm.ts";
import { kvmSwizzleMsiExtDestId, kvmVmIoctl } from "./send-msi.ts";

/** GSIs below are the pins of the interrupt controllers in the kernel. */
const firstFreeGsi = 24;

/** As many routes as KVM takes: KVM_MAX_IRQ_ROUTES. */
const gsiCount = 4096;

/** `KVMState`, as far as it is about routes: what KVM was told, or will be with the next commit. */
export class IrqRoutes {
  readonly used = new Set<number>();
  entries: MsiRoute[] = [];
  /** Times that the table was given to KVM. */
  commits = 0;
}

/** `KVMRouteChange`: changes that one commit will tell KVM of. */
export class RouteChange {
  changes = 0;
}

const kvmIrqchipGetVirq = qemuFunction(
  "kvm_irqchip_get_virq",
  ({ routes }: Vmm): number => {
    for (let gsi = firstFreeGsi; gsi < gsiCount; gsi++) {
      if (routes.used.has(gsi)) continue;
      routes.used.add(gsi);
      return gsi;
    }
    return -errno.ENOSPC;
  },
  inlined,
);

/** The entry of a message, as KVM wants its address. */
const kvmArchFixupMsiRoute = qemuFunction(
  "kvm_arch_fixup_msi_route",
  (vmm: Vmm, gsi: number, message: MsiMessage): MsiRoute => ({
    gsi,
    ...kvmSwizzleMsiExtDestId(vmm, message),
  }),
);

/** @returns the GSI that stands for the message from the next commit on, or a negative errno. */
export const kvmIrqchipAddMsiRoute = qemuFunction(
  "kvm_irqchip_add_msi_route",
  (vmm: Vmm, change: RouteChange, message: MsiMessage): number => {
    const gsi = kvmIrqchipGetVirq(vmm);
    if (gsi < 0) return gsi;
    vmm.routes.entries.push(kvmArchFixupMsiRoute(vmm, gsi, message));
    change.changes++;
    return gsi;
  },
);

/** @returns 0, or a negative errno. */
export const kvmIrqchipUpdateMsiRoute = qemuFunction(
  "kvm_irqchip_update_msi_route",
  (vmm: Vmm, gsi: number, message: MsiMessage): number => {
    const { entries } = vmm.routes;
    const at = entries.findIndex((entry) => entry.gsi === gsi);
    if (at < 0) return -errno.ENOENT;
    entries[at] = kvmArchFixupMsiRoute(vmm, gsi, message);
    return 0;
  },
);

/** Gives KVM the whole table. */
export const kvmIrqchipCommitRoutes = qemuFunction("kvm_irqchip_commit_routes", (vmm: Vmm): void => {
  vmm.routes.commits++;
  kvmVmIoctl(vmm, { request: "KVM_SET_GSI_ROUTING", routes: [...vmm.routes.entries] });
});

export const kvmIrqchipCommitRouteChanges = qemuFunction(
  "kvm_irqchip_commit_route_changes",
  (vmm: Vmm, change: RouteChange): void => {
    if (change.changes === 0) return;
    kvmIrqchipCommitRoutes(vmm);
    change.changes = 0;
  },
  inlined,
);

/** KVM keeps the entry until the next commit; nothing raises its GSI any more. */
export const kvmIrqchipReleaseVirq = qemuFunction(
  "kvm_irqchip_release_virq",
  (vmm: Vmm, gsi: number): void => {
    const { routes } = vmm;
    routes.entries = routes.entries.filter((entry) => entry.gsi !== gsi);
    routes.used.delete(gsi);
  },
);

const kvmIrqchipAssignIrqfd = qemuFunction(
  "kvm_irqchip_assign_irqfd",
  (vmm: Vmm, { eventfd }: EventNotifier, gsi: number, deassign: boolean): number =>
    kvmVmIoctl(vmm, { request: "KVM_IRQFD", eventfd, gsi, ...(deassign && { deassign }) }),
);

/** From now on the notifier raises the GSI, and QEMU hears nothing of it. @returns 0, or a negative errno. */
export const kvmIrqchipAddIrqfdNotifierGsi = qemuFunction(
  "kvm_irqchip_add_irqfd_notifier_gsi",
  (vmm: Vmm, notifier: EventNotifier, gsi: number): number =>
    kvmIrqchipAssignIrqfd(vmm, notifier, gsi, false),
);

export const kvmIrqchipRemoveIrqfdNotifierGsi = qemuFunction(
  "kvm_irqchip_remove_irqfd_notifier_gsi",
  (vmm: Vmm, notifier: EventNotifier, gsi: number): number => kvmIrqchipAssignIrqfd(vmm, notifier, gsi, true),
);
