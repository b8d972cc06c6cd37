import * as command from "../../spec/accessors/pci-command-status.ts";
import { configOffset } from "../../spec/pci/config-header.ts";
import { kernelFunction } from "../kernel-function.ts";
import type { Kernel } from "../kernel.ts";
import { readConfig, writeConfig } from "../pci/config.ts";
import type { VfioDevice } from "./device.ts";

const lockAndEnable = kernelFunction(
  "vfio_pci_memory_lock_and_enable",
  (_k: Kernel, { pci }: VfioDevice): number => {
    const before = readConfig(pci, configOffset.commandStatus, 2);
    if (command.mse(before) === 0) writeConfig(pci, configOffset.commandStatus, 2, before | command.MSE_MASK);
    return before;
  },
);

const unlockAndRestore = kernelFunction(
  "vfio_pci_memory_unlock_and_restore",
  (_k: Kernel, { pci }: VfioDevice, before: number): void => {
    writeConfig(pci, configOffset.commandStatus, 2, before);
  },
);

/** The guest may have turned the device's memory space off, and the host has to write to its table: since 5.8. */
export function withMemoryEnabled<R>(k: Kernel, device: VfioDevice, action: () => R): R {
  if (k.runs({ below: "5.8" })) return action();
  const before = lockAndEnable(k, device);
  const result = action();
  unlockAndRestore(k, device, before);
  return result;
}
