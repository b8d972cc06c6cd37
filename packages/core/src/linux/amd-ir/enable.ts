import {
  deviceTableBase,
  galogPointer,
  galogTailAddress,
  ringBase,
  ringPointer,
} from "../../spec/amdvi/registers.ts";
import { encode } from "../../spec/codec.ts";
import { errno } from "../errno.ts";
import { kernelFunction } from "../kernel-function.ts";
import type { Kernel } from "../kernel.ts";
import { pageBytes } from "../pages.ts";
import { amdIommuFlushAllCaches, commandBufferBytes } from "./commands.ts";
import { deviceTableBytes } from "./device-table.ts";
import { indexes2048 } from "./domain.ts";
import { eventLogBytes } from "./events.ts";
import { guestLogBytes } from "./galog.ts";
import type { AmdIommu } from "./iommu.ts";
import { amdRemapping } from "./remapping.ts";

/** A ring's base register: its length is 2^(n+4) bytes. */
function ring(base: number, bytes: number): bigint {
  return encode(ringBase, { base, length: Math.log2(bytes) - 4 });
}

/** Stops everything, in the order in which buffers may be taken away. */
export const iommuDisable = kernelFunction("iommu_disable", (_k: Kernel, iommu: AmdIommu): void => {
  iommu.setControl({ cmdbufen: 0 });
  iommu.setControl({ evtinten: 0, evtlogen: 0 });
  iommu.setControl({ galogen: 0, gainten: 0 });
  iommu.setControl({ iommuen: 0 });
  iommu.setControl({ irtcachedis: 0 });
});

const iommuSetDeviceTable = kernelFunction("iommu_set_device_table", (_k: Kernel, iommu: AmdIommu): void =>
  iommu.write(
    "DEV_TAB_BASE",
    encode(deviceTableBase, { base: iommu.segment.deviceTable, size: deviceTableBytes / pageBytes - 1 }),
  ),
);

const iommuEnableCommandBuffer = kernelFunction(
  "iommu_enable_command_buffer",
  (_k: Kernel, iommu: AmdIommu): void => {
    iommu.write("CMD_BUF_BASE", ring(iommu.commandBuffer, commandBufferBytes));
    const start = encode(ringPointer, { pointer: 0 });
    iommu.write("CMD_BUF_HEAD", start);
    iommu.write("CMD_BUF_TAIL", start);
    iommu.commandHead = 0;
    iommu.commandTail = 0;
    iommu.setControl({ cmdbufen: 1 });
  },
);

const iommuEnableEventBuffer = kernelFunction(
  "iommu_enable_event_buffer",
  (_k: Kernel, iommu: AmdIommu): void => {
    iommu.write("EVT_LOG_BASE", ring(iommu.eventLog, eventLogBytes));
    const start = encode(ringPointer, { pointer: 0 });
    iommu.write("EVT_LOG_HEAD", start);
    iommu.write("EVT_LOG_TAIL", start);
    iommu.setControl({ evtlogen: 1 });
  },
);

/** Entries of 128 bits, and until 6.0 those that post to guests with them. */
const iommuEnableGa = kernelFunction("iommu_enable_ga", (k: Kernel, iommu: AmdIommu): void => {
  const { ga, guestIr } = amdRemapping(k);
  if (guestIr === "vapic" && k.runs({ below: "6.0" })) iommu.setControl({ gamen: 1 });
  if (ga) iommu.setControl({ gaen: 1 });
});

const iommuEnableXt = kernelFunction("iommu_enable_xt", (k: Kernel, iommu: AmdIommu): void => {
  const { ga, mode } = amdRemapping(k);
  if (ga && mode === "x2apic") iommu.setControl({ xten: 1 });
});

const iommuEnable2kInt = kernelFunction("iommu_enable_2k_int", (k: Kernel, iommu: AmdIommu): void => {
  if (indexes2048(k)) iommu.setControl({ numintremapmode: 1 });
});

/** Whether a unit can go without keeping entries shows in whether the bit can be set. */
const iommuEnableIrtcachedis = kernelFunction(
  "iommu_enable_irtcachedis",
  (k: Kernel, iommu: AmdIommu): void => {
    if (!k.parameters.amdIrtCacheDisabled || k.runs({ below: "6.5" })) return;
    iommu.setControl({ irtcachedis: 1 });
    iommu.irtCacheDisabled = iommu.control.irtcachedis === 1;
    const devid = iommu.ivhd.requester.toString(16).padStart(4, "0");
    const state = iommu.irtCacheDisabled ? "disabled" : "enabled";
    k.log.info(`AMD-Vi: iommu${iommu.index} (0x${devid}) : IRT cache is ${state}`);
  },
);

export const earlyEnableIommu = kernelFunction("early_enable_iommu", (k: Kernel, iommu: AmdIommu): void => {
  iommuDisable(k, iommu);
  iommu.setControl({ coherent: 1 });
  iommuSetDeviceTable(k, iommu);
  iommuEnableCommandBuffer(k, iommu);
  iommuEnableEventBuffer(k, iommu);
  iommuEnableGa(k, iommu);
  iommuEnableXt(k, iommu);
  iommuEnable2kInt(k, iommu);
  iommuEnableIrtcachedis(k, iommu);
  iommu.setControl({ iommuen: 1 });
  amdIommuFlushAllCaches(k, iommu, amdRemapping(k).features.iasup === 1);
});

export const iommuInitGaLog = kernelFunction("iommu_init_ga_log", (k: Kernel, iommu: AmdIommu): number => {
  if (amdRemapping(k).guestIr !== "vapic") return 0;
  iommu.guestLog = k.pages.allocate(guestLogBytes);
  iommu.guestLogTail = k.pages.allocate(8);
  return iommu.guestLog < 0 || iommu.guestLogTail < 0 ? -errno.EINVAL : 0;
});

export const iommuGaLogEnable = kernelFunction(
  "iommu_ga_log_enable",
  (_k: Kernel, iommu: AmdIommu): number => {
    if (iommu.guestLog === 0) return -errno.EINVAL;
    const start = encode(galogPointer, { pointer: 0 });
    iommu.write("GA_LOG_BASE", ring(iommu.guestLog, guestLogBytes));
    iommu.write("GA_LOG_TAIL_ADDR", encode(galogTailAddress, { address: iommu.guestLogTail }));
    iommu.write("GA_LOG_HEAD", start);
    iommu.write("GA_LOG_TAIL", start);
    iommu.setControl({ gainten: 1 });
    iommu.setControl({ galogen: 1 });
    return iommu.status.galogrun === 1 ? 0 : -errno.EINVAL;
  },
);

/** Since 6.0: guest mode is turned on when the unit's interrupts can be served. */
export const enableIommusVapic = kernelFunction("enable_iommus_vapic", (k: Kernel): void => {
  const remapping = amdRemapping(k);
  for (const iommu of remapping.iommus) {
    if (iommu.status.galogrun === 1) iommu.setControl({ galogen: 0, gainten: 0 });
  }
  if (remapping.guestIr !== "vapic") return;
  if (remapping.features.gamsup !== 1) {
    remapping.guestIr = "legacyGa";
    return;
  }
  for (const iommu of remapping.iommus) {
    const missing = iommu.guestLog === 0 && iommuInitGaLog(k, iommu) !== 0;
    if (missing || iommuGaLogEnable(k, iommu) !== 0) return;
    iommu.setControl({ gamen: 1 });
  }
  remapping.postingCapable = true;
  k.log.info("AMD-Vi: Virtual APIC enabled");
});
