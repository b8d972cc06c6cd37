import { extendedFeature } from "../../spec/amdvi/registers.ts";
import { decode } from "../../spec/codec.ts";
import { errno } from "../errno.ts";
import type { Ivhd } from "../firmware.ts";
import { irqDomainRemove } from "../irq/hierarchy.ts";
import { kernelFunction } from "../kernel-function.ts";
import type { Kernel } from "../kernel.ts";
import { pageBytes } from "../pages.ts";
import type { IrqRemapOps, RemapMode } from "../remapping.ts";
import { commandBufferBytes } from "./commands.ts";
import { deviceTableBytes, initDeviceTable, initDeviceTableDma } from "./device-table.ts";
import { amdIommuCreateIrqDomain } from "./domain.ts";
import {
  earlyEnableIommu,
  enableIommusVapic,
  iommuDisable,
  iommuGaLogEnable,
  iommuInitGaLog,
} from "./enable.ts";
import { eventLogBytes } from "./events.ts";
import { checkIoapicInformation, detectIvrs } from "./firmware-checks.ts";
import { iommuInitIrq } from "./interrupts.ts";
import { AmdIommu } from "./iommu.ts";
import { AmdRemapping, amdRemapping } from "./remapping.ts";

/** Until 6.0 guest mode is turned on with the unit, since then with its interrupts. */
const vapicFirst = { below: "6.0" } as const;

/**
 * What a unit's features leave of what was asked for: 128-bit entries need cmpxchg16b, and 32-bit destinations need
 * those entries. Until 5.10 they need the MSI registers in MMIO space too, which the driver had to write itself.
 */
function applyFeatures(k: Kernel, remapping: AmdRemapping, { profile }: Ivhd["unit"]): void {
  const { gasup, xtsup, msicapmmiosup } = decode(extendedFeature, profile.efr);
  if (gasup !== 1 || !k.firmware.cx16) {
    remapping.guestIr = "legacy";
    remapping.mode = "xapic";
    return;
  }
  const programmable = k.runs({ from: "5.11" }) || msicapmmiosup === 1;
  if (xtsup === 1 && programmable && remapping.guestIr !== "legacy") remapping.mode = "x2apic";
}

/** @returns 0, or a negative errno. */
const initIommuOne = kernelFunction("init_iommu_one", (k: Kernel, ivhd: Ivhd): number => {
  const remapping = amdRemapping(k);
  const segment = remapping.segment(ivhd.segment);
  const iommu = new AmdIommu(remapping.iommus.length, ivhd, segment);
  remapping.iommus.push(iommu);
  applyFeatures(k, remapping, ivhd.unit);
  if (segment.deviceTable === 0) segment.deviceTable = k.pages.allocate(deviceTableBytes);
  iommu.commandBuffer = k.pages.allocate(commandBufferBytes);
  iommu.eventLog = k.pages.allocate(eventLogBytes);
  iommu.semaphore = k.pages.allocate(pageBytes);
  const places = [segment.deviceTable, iommu.commandBuffer, iommu.eventLog, iommu.semaphore];
  if (places.some((place) => place < 0)) return -errno.ENOMEM;
  amdIommuCreateIrqDomain(k, iommu);
  return 0;
});

const disableIommus = kernelFunction("disable_iommus", (k: Kernel): void => {
  const remapping = amdRemapping(k);
  for (const iommu of remapping.iommus) iommuDisable(k, iommu);
  remapping.postingCapable = false;
});

/** What failed is given back: pages and domains. */
const freeIommuResources = kernelFunction("free_iommu_resources", (k: Kernel): void => {
  const { iommus, segments } = amdRemapping(k);
  for (const iommu of iommus) {
    if (iommu.domain !== null) irqDomainRemove(k, iommu.domain);
    for (const place of [iommu.commandBuffer, iommu.eventLog, iommu.semaphore])
      if (place > 0) k.pages.free(place);
  }
  for (const { deviceTable } of segments) if (deviceTable > 0) k.pages.free(deviceTable);
});

/** @returns 0, or a negative errno. */
const earlyAmdIommuInit = kernelFunction("early_amd_iommu_init", (k: Kernel): number => {
  for (const ivhd of k.firmware.ivrs!.units) {
    const result = initIommuOne(k, ivhd);
    if (result !== 0) return result;
  }
  disableIommus(k);
  if (!checkIoapicInformation(k)) return -errno.ENODEV;
  initDeviceTable(k);
  return 0;
});

/** `amd_iommu=off` keeps the IOMMU off altogether, and with it remapping (facts 0.1, trap 7). */
const amdIommuPrepare = kernelFunction("amd_iommu_prepare", (k: Kernel): number => {
  if (!detectIvrs(k)) return -errno.ENODEV;
  if (k.parameters.amdIommuDisabled) return -errno.EINVAL;
  k.remapping = new AmdRemapping(k.parameters.amdIommuIntr === "legacy" ? "legacyGa" : "vapic");
  const result = earlyAmdIommuInit(k);
  if (result === 0) return 0;
  disableIommus(k);
  freeIommuResources(k);
  k.remapping = null;
  return result;
});

/** Guest mode where every unit has it; posting is possible then. */
function settleGuestIr(k: Kernel): void {
  const remapping = amdRemapping(k);
  if (remapping.guestIr === "vapic" && remapping.features.gamsup !== 1) remapping.guestIr = "legacyGa";
  remapping.postingCapable = remapping.guestIr === "vapic";
}

const earlyEnableIommus = kernelFunction("early_enable_iommus", (k: Kernel): void => {
  for (const iommu of amdRemapping(k).iommus) earlyEnableIommu(k, iommu);
  if (k.runs(vapicFirst)) settleGuestIr(k);
});

const amdIommuEnable = kernelFunction("amd_iommu_enable", (k: Kernel): RemapMode | number => {
  earlyEnableIommus(k);
  return amdRemapping(k).mode;
});

const amdIommuDisable = kernelFunction("amd_iommu_disable", (k: Kernel): void => disableIommus(k));

/** The units' interrupts, and the logs that wait for them. */
const amdIommuEnableInterrupts = kernelFunction("amd_iommu_enable_interrupts", (k: Kernel): number => {
  const remapping = amdRemapping(k);
  for (const iommu of remapping.iommus) {
    const result = iommuInitIrq(k, iommu);
    if (result !== 0) return result;
    if (k.runs(vapicFirst)) iommuGaLogEnable(k, iommu);
  }
  if (!k.runs(vapicFirst)) enableIommusVapic(k);
  return 0;
});

const amdIommuReenable = kernelFunction("amd_iommu_reenable", (k: Kernel, _mode: RemapMode): number => {
  earlyEnableIommus(k);
  return amdIommuEnableInterrupts(k);
});

const features = ["PreF", "PPR", "X2APIC", "NX", "GT", "[5]", "IA", "GA", "HE", "PC"];

/** What the units can do, and what is on, in the order of the release. */
const printIommuInfo = kernelFunction("print_iommu_info", (k: Kernel): void => {
  const { iommus, guestIr, mode } = amdRemapping(k);
  for (const { unit } of iommus) {
    const { efr, efr2 } = unit.profile;
    const names = features.filter((_, bit) => (efr >> BigInt(bit)) & 1n);
    if (decode(extendedFeature, efr).gamsup === 1) names.push("GA_vAPIC");
    const registers = k.runs(vapicFirst)
      ? `0x${efr.toString(16)}`
      : `0x${efr.toString(16)}, 0x${efr2.toString(16)}`;
    k.log.info(`AMD-Vi: Extended features (${registers}): ${names.join(" ")}`);
  }
  k.log.info("AMD-Vi: Interrupt remapping enabled");
  if (k.runs(vapicFirst) && guestIr === "vapic") k.log.info("AMD-Vi: Virtual APIC enabled");
  if (mode === "x2apic") k.log.info("AMD-Vi: X2APIC enabled");
});

const amdIommuInitPci = kernelFunction("amd_iommu_init_pci", (k: Kernel): void => {
  const { iommus } = amdRemapping(k);
  if (k.runs(vapicFirst)) for (const iommu of iommus) iommuInitGaLog(k, iommu);
  initDeviceTableDma(k);
  printIommuInfo(k);
});

/** A unit's interrupts wait until PCI is there. */
const amdIommuEnableFaulting = kernelFunction("amd_iommu_enable_faulting", (_k: Kernel): number => 0);

/** When PCI is there. */
const amdIommuInit = kernelFunction("amd_iommu_init", (k: Kernel): number => {
  amdIommuInitPci(k);
  return amdIommuEnableInterrupts(k);
});

/** `amd_iommu_irq_ops` */
export const amdIrqRemapOps: IrqRemapOps = {
  vendor: "amd",
  prepare: amdIommuPrepare,
  enable: amdIommuEnable,
  disable: amdIommuDisable,
  reenable: amdIommuReenable,
  // Nothing of the model's happens between remapping and PCI: what Linux does later in the boot follows at once.
  enableFaulting: (k) => amdIommuEnableFaulting(k) || amdIommuInit(k),
};
