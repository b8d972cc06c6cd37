import {
  commandBytes,
  commandCodes,
  completionWait,
  invalidateDevtabEntry,
  invalidateInterruptTable,
  invalidateIommuAll,
} from "../../spec/amdvi/commands.ts";
import { ringPointer } from "../../spec/amdvi/registers.ts";
import { decode, encode, toWords } from "../../spec/codec.ts";
import { errno } from "../errno.ts";
import { kernelFunction } from "../kernel-function.ts";
import type { Kernel } from "../kernel.ts";
import type { AmdIommu } from "./iommu.ts";
import { pciDeviceOf } from "./remapping.ts";

export const commandBufferBytes = 8192;

/** The driver keeps this many bytes of the buffer free. */
const slack = 0x20;

/** Bytes that are free behind a tail. */
function room({ commandHead }: AmdIommu, tail: number): number {
  return (commandHead - tail + commandBufferBytes) % commandBufferBytes;
}

/** @param sync the command's effect must be waited for. */
const queueCommandSync = kernelFunction(
  "__iommu_queue_command_sync",
  (k: Kernel, iommu: AmdIommu, command: bigint, sync: boolean): number => {
    const next = (iommu.commandTail + commandBytes) % commandBufferBytes;
    if (room(iommu, next) <= slack) {
      iommu.commandHead = Number(decode(ringPointer, iommu.read("CMD_BUF_HEAD")).pointer);
      // Commands are taken as they are queued: a unit that has not moved by now has stopped.
      if (room(iommu, next) <= slack) {
        k.log.err("AMD-Vi: Command buffer timeout");
        return -errno.EIO;
      }
    }
    k.memory.writeWords(iommu.commandBuffer + iommu.commandTail, toWords(command, 128));
    iommu.commandTail = next;
    iommu.write("CMD_BUF_TAIL", encode(ringPointer, { pointer: next }));
    iommu.needSync = sync;
    return 0;
  },
);

const waitOnSem = kernelFunction("wait_on_sem", (k: Kernel, iommu: AmdIommu, value: bigint): number => {
  if (k.memory.read64(iommu.semaphore) === value) return 0;
  k.log.err("AMD-Vi: Completion-Wait loop timed out");
  return -errno.EIO;
});

/** Queues a wait and sees its value arrive: the unit has done all that was queued before. */
function complete(k: Kernel, iommu: AmdIommu): number {
  iommu.semaphoreValue += 1n;
  const command = encode(completionWait, {
    s: 1,
    address: iommu.semaphore,
    opcode: commandCodes.COMPLETION_WAIT,
    data: iommu.semaphoreValue,
  });
  return queueCommandSync(k, iommu, command, false) || waitOnSem(k, iommu, iommu.semaphoreValue);
}

export const iommuCompletionWait = kernelFunction(
  "iommu_completion_wait",
  (k: Kernel, iommu: AmdIommu): number => (iommu.needSync ? complete(k, iommu) : 0),
);

export const iommuFlushDte = kernelFunction(
  "iommu_flush_dte",
  (k: Kernel, iommu: AmdIommu, devid: number): number =>
    queueCommandSync(
      k,
      iommu,
      encode(invalidateDevtabEntry, { devid, opcode: commandCodes.INVALIDATE_DEVTAB_ENTRY }),
      true,
    ),
);

function invalidateTable(k: Kernel, iommu: AmdIommu, devid: number): number {
  const opcode = commandCodes.INVALIDATE_INTERRUPT_TABLE;
  return queueCommandSync(k, iommu, encode(invalidateInterruptTable, { devid, opcode }), true);
}

const iommuFlushIrt = kernelFunction("iommu_flush_irt", invalidateTable);

const iommuFlushDevIrt = kernelFunction("iommu_flush_dev_irt", invalidateTable);

const flushIrtAndComplete = kernelFunction(
  "iommu_flush_irt_and_complete",
  (k: Kernel, iommu: AmdIommu, devid: number): void => {
    if (iommu.irtCacheDisabled) return;
    if (!k.runs({ from: "7.0" })) {
      if (invalidateTable(k, iommu, devid) === 0) complete(k, iommu);
      return;
    }
    for (const alias of pciDeviceOf(k, iommu.segment.id, devid)?.aliases ?? [devid]) {
      if (iommuFlushDevIrt(k, iommu, alias) !== 0) return;
    }
    complete(k, iommu);
  },
);

/**
 * Lets the unit forget what it keeps of a device's interrupt table; there is no way to name one entry. Before 7.0 the
 * device's DMA aliases were left out, under which the unit may keep the same entries.
 */
export function flushInterruptTable(k: Kernel, iommu: AmdIommu, devid: number): void {
  if (!k.runs({ below: "6.5" })) {
    flushIrtAndComplete(k, iommu, devid);
    return;
  }
  iommuFlushIrt(k, iommu, devid);
  iommuCompletionWait(k, iommu);
}

const everyDevice = 0xffff;

/** After the tables were put in place; one command where the unit has it. */
export const amdIommuFlushAllCaches = kernelFunction(
  "amd_iommu_flush_all_caches",
  (k: Kernel, iommu: AmdIommu, all: boolean): void => {
    if (all) {
      queueCommandSync(
        k,
        iommu,
        encode(invalidateIommuAll, { opcode: commandCodes.INVALIDATE_IOMMU_ALL }),
        true,
      );
    } else {
      for (let devid = 0; devid <= everyDevice; devid++) iommuFlushDte(k, iommu, devid);
      for (let devid = 0; devid <= everyDevice; devid++) invalidateTable(k, iommu, devid);
    }
    iommuCompletionWait(k, iommu);
  },
);
