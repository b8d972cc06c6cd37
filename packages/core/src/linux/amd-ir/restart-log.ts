import { kernelFunction } from "../kernel-function.ts";
import type { Kernel } from "../kernel.ts";
import type { AmdIommu } from "./iommu.ts";

/** The control and status bits of one log. */
export interface LogBits {
  /** As the message names it. */
  readonly name: "Event" | "GA";
  readonly enable: "evtlogen" | "galogen";
  readonly interruptEnable: "evtinten" | "gainten";
  readonly run: "eventlogrun" | "galogrun";
  readonly overflow: "eventoverflow" | "galogoverflow";
  readonly interrupt: "eventlogint" | "galogint";
}

/** A log that overflowed has stopped: what did not fit is lost, what comes now is not. */
export const amdIommuRestartLog = kernelFunction(
  "amd_iommu_restart_log",
  (k: Kernel, iommu: AmdIommu, bits: LogBits): void => {
    if (iommu.status[bits.run] === 1) return;
    k.log.info(`AMD-Vi: IOMMU ${bits.name} log restarting`);
    iommu.setControl({ [bits.enable]: 0 });
    iommu.setControl({ [bits.interruptEnable]: 0 });
    iommu.clearStatus({ [bits.overflow]: 1 });
    iommu.setControl({ [bits.interruptEnable]: 1 });
    iommu.setControl({ [bits.enable]: 1 });
  },
);

/**
 * `amd_iommu_handle_irq`: clears the interrupt before the log is read, so that what is logged meanwhile raises it
 * again, and reads until nothing does.
 * @param restarts the overflow is looked after.
 */
export function handleLog(
  iommu: AmdIommu,
  bits: LogBits,
  restarts: boolean,
  poll: () => void,
  restart: () => void,
): void {
  for (;;) {
    const status = iommu.status;
    const overflow = restarts && status[bits.overflow] === 1;
    if (status[bits.interrupt] === 0 && !overflow) return;
    iommu.clearStatus({ [bits.interrupt]: 1, ...(restarts && { [bits.overflow]: 1 }) });
    poll();
    if (overflow) restart();
  }
}
