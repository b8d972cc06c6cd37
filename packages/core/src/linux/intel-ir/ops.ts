import { decode } from "../../spec/codec.ts";
import { version } from "../../spec/vtd/registers.ts";
import { errno } from "../errno.ts";
import { kernelFunction } from "../kernel-function.ts";
import type { Kernel } from "../kernel.ts";
import type { IrqRemapOps, RemapMode } from "../remapping.ts";
import { enableDrhdFaultHandling } from "./dmar-msi.ts";
import { dmarDisableQi, dmarReenableQi, freeQueue } from "./queue.ts";
import { IntelRemapping, intelRemapping } from "./remapping-state.ts";
import { parseIoapicsUnderIr } from "./scope.ts";
import {
  intelSetupIrqRemapping,
  intelTeardownIrqRemapping,
  iommuDisableIrqRemapping,
  iommuEnableIrqRemapping,
  iommuSetIrqRemapping,
} from "./setup.ts";
import { IntelIommu } from "./unit.ts";

const erratum = [
  "DMAR-IR: This system BIOS has enabled interrupt remapping",
  "on a chipset that contains an erratum making that",
  "feature unstable.  To maintain system stability",
  "interrupt remapping is being disabled.  Please",
  "contact your BIOS vendor for an update",
];

/** Reads the DMAR table. @returns the units it names; null without a table. */
const dmarTableInit = kernelFunction("dmar_table_init", (k: Kernel): IntelIommu[] | null => {
  const { dmar } = k.firmware;
  if (dmar === undefined) return null;
  k.log.info(`DMAR: Host address width ${dmar.hostAddressWidth}`);
  return dmar.units.map((drhd, sequence) => {
    const base = drhd.base.toString(16);
    k.log.info(`DMAR: DRHD base: 0x${base.padStart(14, "0")} flags: 0x${drhd.includeAll ? 1 : 0}`);
    const iommu = new IntelIommu(drhd, sequence);
    const { min, max } = decode(version, iommu.read("VER"));
    const registers = `cap ${iommu.read("CAP").toString(16)} ecap ${iommu.read("ECAP").toString(16)}`;
    k.log.info(`DMAR: ${iommu.name}: reg_base_addr ${base} ver ${max}:${min} ${registers}`);
    return iommu;
  });
});

/** Whether entries are to have 32-bit destinations: the processor, firmware and every unit have a say. */
function decideMode(k: Kernel, remapping: IntelRemapping): boolean {
  if (!k.firmware.x2apic || k.parameters.noX2apic) return false;
  if (k.firmware.dmar!.x2apicOptOut && !k.parameters.noX2apicOptout) {
    k.log.info("DMAR-IR: x2apic is disabled because BIOS sets x2apic opt out bit.");
    k.log.info("DMAR-IR: Use 'intremap=no_x2apic_optout' to override the BIOS setting.");
    return false;
  }
  const unable = remapping.units.find(({ ecap }) => ecap.eim === 0);
  if (unable === undefined) return true;
  k.log.info(`DMAR-IR: ${unable.name} does not support EIM`);
  return false;
}

const intelPrepareIrqRemapping = kernelFunction("intel_prepare_irq_remapping", (k: Kernel): number => {
  // linux.ir.chipset-erratum
  if (k.firmware.remappingBroken === true) {
    for (const line of erratum) k.log.warn(line);
    return -errno.ENODEV;
  }
  const units = dmarTableInit(k);
  if (units === null || !k.firmware.dmar!.interruptRemapping) return -errno.ENODEV;
  const remapping = new IntelRemapping(units);
  k.remapping = remapping;
  if (parseIoapicsUnderIr(k, remapping) !== 0) {
    k.log.info("DMAR-IR: Not enabling interrupt remapping");
    return giveUp(k);
  }
  if (units.some(({ ecap }) => ecap.ir === 0)) return giveUp(k);
  remapping.eim = decideMode(k, remapping);
  if (remapping.eim) {
    k.log.info("DMAR-IR: Queued invalidation will be enabled to support x2apic and Intr-remapping.");
  }
  for (const iommu of units) {
    if (intelSetupIrqRemapping(k, iommu, remapping.eim) === 0) continue;
    k.log.err(`DMAR-IR: Failed to setup irq remapping for ${iommu.name}`);
    return giveUp(k);
  }
  return 0;
});

function giveUp(k: Kernel): number {
  intelCleanupIrqRemapping(k);
  return -errno.ENODEV;
}

const intelCleanupIrqRemapping = kernelFunction("intel_cleanup_irq_remapping", (k: Kernel): void => {
  for (const iommu of intelRemapping(k).units) {
    if (iommu.ecap.ir === 0) continue;
    iommuDisableIrqRemapping(k, iommu);
    intelTeardownIrqRemapping(k, iommu);
  }
  // What `dmar_free_unused_resources` does later, when nothing else has come to use the units either.
  for (const iommu of intelRemapping(k).units) {
    dmarDisableQi(k, iommu);
    freeQueue(k, iommu);
  }
  k.remapping = null;
  // linux.ir.not-enabled
  if (k.firmware.x2apic && !k.parameters.noX2apic) {
    k.log.warn("DMAR-IR: Failed to enable irq remapping. You are vulnerable to irq-injection attacks.");
  }
});

const intelEnableIrqRemapping = kernelFunction(
  "intel_enable_irq_remapping",
  (k: Kernel): RemapMode | number => {
    const remapping = intelRemapping(k);
    for (const iommu of remapping.units) if (!iommu.preEnabled) iommuEnableIrqRemapping(k, iommu);
    setIrqPostingCap(k, remapping);
    const mode = remapping.eim ? "x2apic" : "xapic";
    k.log.info(`DMAR-IR: Enabled IRQ remapping in ${mode} mode`);
    return mode;
  },
);

/** `set_irq_posting_cap`: a posted entry changes all 128 bits at once, for which the CPU needs cmpxchg16b. */
function setIrqPostingCap(k: Kernel, remapping: IntelRemapping): void {
  remapping.postingCapable =
    !k.parameters.disableIrqPost && k.firmware.cx16 && remapping.units.every(({ cap }) => cap.pi === 1);
}

const disableIrqRemapping = kernelFunction("disable_irq_remapping", (k: Kernel): void => {
  const remapping = intelRemapping(k);
  for (const iommu of remapping.units) iommuDisableIrqRemapping(k, iommu);
  remapping.postingCapable = false;
});

const reenableIrqRemapping = kernelFunction(
  "reenable_irq_remapping",
  (k: Kernel, mode: RemapMode): number => {
    const remapping = intelRemapping(k);
    for (const iommu of remapping.units) dmarReenableQi(k, iommu);
    for (const iommu of remapping.units) {
      iommuSetIrqRemapping(k, iommu, mode === "x2apic");
      iommuEnableIrqRemapping(k, iommu);
    }
    setIrqPostingCap(k, remapping);
    return 0;
  },
);

/** `intel_irq_remap_ops` */
export const intelIrqRemapOps: IrqRemapOps = {
  vendor: "intel",
  prepare: intelPrepareIrqRemapping,
  enable: intelEnableIrqRemapping,
  disable: disableIrqRemapping,
  reenable: reenableIrqRemapping,
  enableFaulting: enableDrhdFaultHandling,
};
