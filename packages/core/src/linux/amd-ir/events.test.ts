import { describe, expect, test } from "vitest";
import { eventCodes, eventGeneric } from "../../spec/amdvi/events.ts";
import { type EventCode } from "../../spec/amdvi/events.ts";
import { registers, ringPointer, status } from "../../spec/amdvi/registers.ts";
import { decode, encode, toWords } from "../../spec/codec.ts";
import { dteBytes } from "../../spec/amdvi/dte.ts";
import type { Release } from "../kernel.ts";
import { enableIrX2apic } from "../remapping.ts";
import { host, settle } from "../testbed.ts";
import { flushInterruptTable } from "./commands.ts";
import { amdIommuIntThreadEvtlog } from "./events.ts";
import { amdRemapping } from "./remapping.ts";

function boot(release: Release = "7.0") {
  const machine = host({ vendor: "amd", release });
  enableIrX2apic(machine.k);
  const iommu = amdRemapping(machine.k).iommus[0]!;
  const booted = machine.k.log.lines.length;
  return {
    ...machine,
    iommu,
    said: () => machine.k.log.lines.slice(booted).map(({ text }) => text),
    /** An event as some other unit might log it. */
    log: (code: EventCode | 15, devid = 0x0800, flags = 0) => {
      const { k } = machine;
      const tail = Number(decode(ringPointer, iommu.read("EVT_LOG_TAIL")).pointer);
      const event = encode(eventGeneric, { code, devid, flags, domainid: 0x12, address: 0x1234_5678n });
      k.memory.writeWords(iommu.eventLog + tail, toWords(event, 128));
      iommu.write("EVT_LOG_TAIL", encode(ringPointer, { pointer: tail + 16 }));
      machine.amdvi.interrupt(0xfee00000 | 0, 1, 0x0900);
      settle(k, machine.cpus);
    },
  };
}

describe("an event is printed", () => {
  const place = "device=0000:08:00.0";
  const unit = "iommu ivhd0: AMD-Vi: Event logged";

  test.each([
    [
      eventCodes.IO_PAGE_FAULT,
      8,
      `AMD-Vi: Event logged [IO_PAGE_FAULT ${place} domain=0x0012 address=0x12345678 flags=0x0008]`,
    ],
    [
      eventCodes.INVALID_DEVICE_REQUEST,
      0xa00,
      `${unit} [INVALID_DEVICE_REQUEST ${place} pasid=0x00012 address=0x12345678 flags=0x0a00]`,
    ],
    [
      eventCodes.DEV_TAB_HARDWARE_ERROR,
      0,
      `${unit} [DEV_TAB_HARDWARE_ERROR ${place} address=0x12345678 flags=0x0000]`,
    ],
    [
      eventCodes.COMMAND_HARDWARE_ERROR,
      0,
      `${unit} [COMMAND_HARDWARE_ERROR address=0x12345678 flags=0x0000]`,
    ],
    [eventCodes.ILLEGAL_COMMAND_ERROR, 0, `${unit} [ILLEGAL_COMMAND_ERROR address=0x12345678]`],
    [eventCodes.IOTLB_INV_TIMEOUT, 0, `${unit} [IOTLB_INV_TIMEOUT ${place} address=0x12345678]`],
    [
      15,
      0,
      `${unit} [UNKNOWN event[0]=0x00000800 event[1]=0xf0000012 event[2]=0x12345678 event[3]=0x00000000`,
    ],
  ] as const)("of code %i", (code, flags, line) => {
    const machine = boot();
    machine.log(code, 0x0800, flags);
    expect(machine.said()[0]).toBe(line);
  });

  test("under the name of a function that the kernel knows", () => {
    const machine = boot();
    machine.plug(0x0800);
    machine.log(eventCodes.IO_PAGE_FAULT, 0x0800, 8);
    expect(machine.said()[0]).toBe(
      "0000:08:00.0: AMD-Vi: Event logged [IO_PAGE_FAULT domain=0x0012 address=0x12345678 flags=0x0008]",
    );
  });

  test.each([
    ["7.0", ["iommu ivhd0: AMD-Vi: Control Reg : 0x"]],
    ["6.12", []],
  ] as const)("with the entry of the device table where that is illegal, in %s", (release, control) => {
    const machine = boot(release);
    const segment = amdRemapping(machine.k).segments[0]!;
    machine.k.memory.write32(segment.deviceTable + dteBytes * 0x0800 + 20, 0x3000_0000);
    machine.log(eventCodes.ILLEGAL_DEV_TABLE_ENTRY, 0x0800, 8);
    const lines = machine.said().slice(1, control.length + 5);
    expect(lines.map((line) => line.replace(/(Reg : 0x).*/, "$1"))).toEqual([
      ...control,
      "AMD-Vi: DTE[0]: 0000000000000003",
      "AMD-Vi: DTE[1]: 0000000000000000",
      "AMD-Vi: DTE[2]: 3000000000000001",
      "AMD-Vi: DTE[3]: 0000000000000000",
    ]);
  });
});

describe("an event log that overflows", () => {
  test.each([
    ["7.0", true],
    ["5.4", false],
  ] as const)("of %s runs again: %s", (release, again) => {
    const { amdvi, iommu, k, cpus, said } = boot(release);
    for (let i = 0; i < 600; i++) amdvi.interrupt(0xfee00000 | 0, 1, 0x0900);
    settle(k, cpus);
    expect(said().filter((line) => line.includes("INVALID_DEVICE_REQUEST")).length).toBe(511);
    expect(said().includes("AMD-Vi: IOMMU Event log restarting")).toBe(again);
    expect(iommu.status.eventlogrun).toBe(again ? 1 : 0);
  });
});

describe("a unit that does not answer", () => {
  test("is given up on, with a word of it, when waits do not complete", () => {
    const { iommu, k, said } = boot();
    iommu.setControl({ cmdbufen: 0 });
    flushInterruptTable(k, iommu, 0x0100);
    expect(said()).toEqual(["AMD-Vi: Completion-Wait loop timed out"]);
  });

  test("is not given more commands than its buffer holds", () => {
    const { iommu, k, said } = boot("6.12");
    iommu.setControl({ cmdbufen: 0 });
    for (let i = 0; i < 300; i++) flushInterruptTable(k, iommu, 0x0100);
    expect(said().at(-1)).toBe("AMD-Vi: Command buffer timeout");
  });

  test("and with nothing to clear is left alone", () => {
    const { iommu, k, said, amdvi } = boot();
    expect(decode(status, amdvi.read(registers.STATUS.offset, 64)).eventlogint).toBe(0);
    amdIommuIntThreadEvtlog(k, iommu);
    expect(said()).toEqual([]);
  });
});
