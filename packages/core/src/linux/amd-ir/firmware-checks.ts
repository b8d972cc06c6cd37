import { southBridgeIoapic } from "../../spec/amdvi/request.ts";
import { configOffset } from "../../spec/pci/config-header.ts";
import { kernelFunction } from "../kernel-function.ts";
import type { Kernel } from "../kernel.ts";
import { amdRemapping } from "./remapping.ts";

const firmwareBug = "[Firmware Bug]: ";

/** Vendor and device id of Stoney Ridge's graphics, 1002:98e4, as they stand in configuration space. */
const stoneyRidgeGraphics = 0x98e4_1002 | 0;

/** Whether there is an IVRS, and nothing that forbids to use it. */
export const detectIvrs = kernelFunction("detect_ivrs", (k: Kernel): boolean => {
  if (k.firmware.ivrs === undefined) return false;
  const stoneyRidge = k.devices.some(
    ({ segment, requester, access }) =>
      segment === 0 &&
      requester < 0x100 &&
      (requester & 7) === 0 &&
      (access.readConfig(configOffset.id, 4) | 0) === stoneyRidgeGraphics,
  );
  if (!stoneyRidge || !k.runs({ from: "5.7" })) return true;
  k.log.info("AMD-Vi: Disable IOMMU on Stoney Ridge");
  return false;
});

/**
 * Every I/O APIC should be in the IVRS, the south bridge's among them (rule linux.amdvi.ioapic-in-ivrs). Each one that
 * matters overrules those before it: after a missing one the south bridge's still turns remapping on.
 */
export const checkIoapicInformation = kernelFunction("check_ioapic_information", (k: Kernel): boolean => {
  let usable = false;
  let hasSouthBridge = false;
  for (const { id } of k.firmware.ioapics) {
    const entry = amdRemapping(k).special("ioapic", id);
    if (entry === undefined) {
      k.log.err(`AMD-Vi: ${firmwareBug}: IOAPIC[${id}] not in IVRS table`);
      usable = false;
    } else if (entry.device === southBridgeIoapic) {
      hasSouthBridge = true;
      usable = true;
    }
  }
  if (!hasSouthBridge) k.log.err(`AMD-Vi: ${firmwareBug}: No southbridge IOAPIC found`);
  if (!usable) k.log.err("AMD-Vi: Disabling interrupt remapping");
  return usable;
});
