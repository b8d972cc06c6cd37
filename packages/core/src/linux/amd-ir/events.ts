import { eventBytes, eventCodes, eventGeneric, eventLayoutOf, eventNameOf } from "../../spec/amdvi/events.ts";
import { ringPointer } from "../../spec/amdvi/registers.ts";
import { type Values, decode, encode, fromWords } from "../../spec/codec.ts";
import { hexByte, printRequester } from "../../spec/requester.ts";
import { kernelFunction } from "../kernel-function.ts";
import type { Kernel } from "../kernel.ts";
import { entryQuadwords } from "./device-table.ts";
import type { AmdIommu } from "./iommu.ts";
import { pciDeviceOf } from "./remapping.ts";
import { type LogBits, amdIommuRestartLog, handleLog } from "./restart-log.ts";

/** 512 entries. */
export const eventLogBytes = 8192;

const bits: LogBits = {
  name: "Event",
  enable: "evtlogen",
  interruptEnable: "evtinten",
  run: "eventlogrun",
  overflow: "eventoverflow",
  interrupt: "eventlogint",
};

type Event = Values<keyof typeof eventGeneric.fields>;

/** Since 6.0 with the segment. */
function printDevice(k: Kernel, iommu: AmdIommu, { devid }: Event): string {
  const device = printRequester(Number(devid));
  if (k.runs({ below: "6.0" })) return device;
  return `${hexByte(iommu.segment.id >>> 8)}${hexByte(iommu.segment.id)}:${device}`;
}

const hexDigits = (value: number | bigint, digits: number): string =>
  `0x${value.toString(16).padStart(digits, "0")}`;

/** An interrupt or DMA request that was stopped: under the function's own name, where the kernel knows it. */
const reportPageFault = kernelFunction(
  "amd_iommu_report_page_fault",
  (k: Kernel, iommu: AmdIommu, event: Event): void => {
    const device = pciDeviceOf(k, iommu.segment.id, Number(event.devid));
    const subject = device === undefined ? "" : `${device.name}: `;
    const place = device === undefined ? `device=${printDevice(k, iommu, event)} ` : "";
    const domain = hexDigits(event.domainid, 4);
    k.log.err(
      `${subject}AMD-Vi: Event logged [IO_PAGE_FAULT ${place}domain=${domain} ` +
        `address=0x${event.address.toString(16)} flags=${hexDigits(event.flags, 4)}]`,
    );
  },
);

/** What each event says about itself between the brackets, beside its name. */
function describe(k: Kernel, iommu: AmdIommu, code: number, event: Event, raw: bigint): string {
  const device = `device=${printDevice(k, iommu, event)}`;
  const address = `address=0x${event.address.toString(16)}`;
  const flags = `flags=${hexDigits(event.flags, 4)}`;
  switch (code) {
    case eventCodes.ILLEGAL_DEV_TABLE_ENTRY:
    case eventCodes.INVALID_DEVICE_REQUEST: {
      const { pasid = 0 } = decode(eventLayoutOf(code), raw) as { pasid?: number };
      return `${device} pasid=${hexDigits(pasid, 5)} ${address} ${flags}`;
    }
    case eventCodes.ILLEGAL_COMMAND_ERROR:
      return address;
    case eventCodes.COMMAND_HARDWARE_ERROR:
      return `${address} ${flags}`;
    case eventCodes.IOTLB_INV_TIMEOUT:
      return `${device} ${address}`;
    default:
      return `${device} ${address} ${flags}`;
  }
}

const dumpDteEntry = kernelFunction("dump_dte_entry", (k: Kernel, iommu: AmdIommu, devid: number): void => {
  for (const [i, quadword] of entryQuadwords(k, iommu.segment, devid).entries()) {
    k.log.err(`AMD-Vi: DTE[${i}]: ${quadword.toString(16).padStart(16, "0")}`);
  }
});

const printEvent = kernelFunction("iommu_print_event", (k: Kernel, iommu: AmdIommu, at: number): void => {
  const words = new Int32Array(eventBytes / 4);
  k.memory.readWords(iommu.eventLog + at, words);
  const raw = fromWords(words, 0, 8 * eventBytes);
  const event = decode(eventGeneric, raw);
  const code = Number(event.code);
  if (code === eventCodes.IO_PAGE_FAULT) {
    reportPageFault(k, iommu, event);
    return;
  }
  const subject = `iommu ivhd${iommu.index}: AMD-Vi:`;
  const name = eventNameOf(code);
  if (name === undefined) {
    const dump = [...words].map((word, i) => `event[${i}]=${hexDigits(word >>> 0, 8)}`).join(" ");
    k.log.err(`${subject} Event logged [UNKNOWN ${dump}`);
  } else {
    k.log.err(`${subject} Event logged [${name} ${describe(k, iommu, code, event, raw)}]`);
  }
  if (code === eventCodes.ILLEGAL_DEV_TABLE_ENTRY) {
    if (k.runs({ from: "7.0" })) {
      k.log.err(`${subject} Control Reg : 0x${iommu.read("CONTROL").toString(16)}`);
    }
    dumpDteEntry(k, iommu, Number(event.devid));
  }
  // An entry that is read again is seen to be empty (erratum 732).
  k.memory.writeWords(iommu.eventLog + at, new Int32Array(eventBytes / 4));
});

const iommuPollEvents = kernelFunction("iommu_poll_events", (k: Kernel, iommu: AmdIommu): void => {
  let head = Number(decode(ringPointer, iommu.read("EVT_LOG_HEAD")).pointer);
  const tail = Number(decode(ringPointer, iommu.read("EVT_LOG_TAIL")).pointer);
  while (head !== tail) {
    printEvent(k, iommu, head);
    head = (head + eventBytes) % eventLogBytes;
    iommu.write("EVT_LOG_HEAD", encode(ringPointer, { pointer: head }));
  }
});

const restartEventLogging = kernelFunction(
  "amd_iommu_restart_event_logging",
  (k: Kernel, iommu: AmdIommu): void => amdIommuRestartLog(k, iommu, bits),
);

/** Until 5.16 a log that overflowed was not started again. */
export const amdIommuIntThreadEvtlog = kernelFunction(
  "amd_iommu_int_thread_evtlog",
  (k: Kernel, iommu: AmdIommu): void => {
    const restarts = k.runs({ from: "5.16" });
    handleLog(
      iommu,
      bits,
      restarts,
      () => iommuPollEvents(k, iommu),
      () => restartEventLogging(k, iommu),
    );
  },
);
