import { galogBytes, galogCodes, galogEntry } from "../../spec/amdvi/galog.ts";
import { galogPointer } from "../../spec/amdvi/registers.ts";
import { decode, encode } from "../../spec/codec.ts";
import { kernelFunction } from "../kernel-function.ts";
import type { Kernel } from "../kernel.ts";
import type { AmdIommu } from "./iommu.ts";
import { type GaLogNotifier, amdRemapping } from "./remapping.ts";
import { type LogBits, amdIommuRestartLog, handleLog } from "./restart-log.ts";

/** 512 entries. */
export const guestLogBytes = 4096;

const bits: LogBits = {
  name: "GA",
  enable: "galogen",
  interruptEnable: "gainten",
  run: "galogrun",
  overflow: "galogoverflow",
  interrupt: "galogint",
};

/** KVM says whom to tell of interrupts whose virtual CPU did not run; null for nobody. */
export const amdIommuRegisterGaLogNotifier = kernelFunction(
  "amd_iommu_register_ga_log_notifier",
  (k: Kernel, notifier: GaLogNotifier | null): number => {
    amdRemapping(k).notifier = notifier;
    return 0;
  },
);

/** Reads the ring up to its tail. The head moves on before an entry is handled. */
const iommuPollGaLog = kernelFunction("iommu_poll_ga_log", (k: Kernel, iommu: AmdIommu): void => {
  if (iommu.guestLog === 0) return;
  const { notifier } = amdRemapping(k);
  let head = Number(decode(galogPointer, iommu.read("GA_LOG_HEAD")).pointer);
  const tail = Number(decode(galogPointer, iommu.read("GA_LOG_TAIL")).pointer);
  while (head !== tail) {
    const entry = decode(galogEntry, k.memory.read64(iommu.guestLog + head));
    head = (head + galogBytes) % guestLogBytes;
    iommu.write("GA_LOG_HEAD", encode(galogPointer, { pointer: head }));
    if (entry.code !== galogCodes.guestNotRunning || notifier === null) continue;
    if (notifier(k, Number(entry.gatag)) !== 0) k.log.err("AMD-Vi: GA log notifier failed.");
  }
});

const amdIommuRestartGaLog = kernelFunction("amd_iommu_restart_ga_log", (k: Kernel, iommu: AmdIommu): void =>
  amdIommuRestartLog(k, iommu, bits),
);

/** Until 6.4 a log that overflowed was not started again. */
export const amdIommuIntThreadGalog = kernelFunction(
  "amd_iommu_int_thread_galog",
  (k: Kernel, iommu: AmdIommu): void => {
    const restarts = k.runs({ from: "6.4" });
    handleLog(
      iommu,
      bits,
      restarts,
      () => iommuPollGaLog(k, iommu),
      () => amdIommuRestartGaLog(k, iommu),
    );
  },
);
