import { IntCtl, dte, dteBytes } from "../../spec/amdvi/dte.ts";
import { type Values, decode, encode, fromWords, toWords } from "../../spec/codec.ts";
import { kernelFunction } from "../kernel-function.ts";
import type { Kernel } from "../kernel.ts";
import type { AmdIommu, PciSegment } from "./iommu.ts";
import { amdRemapping } from "./remapping.ts";
import type { IrqTable } from "./table.ts";

/** DeviceIDs have 16 bits. */
const deviceIds = 65536;

export const deviceTableBytes = deviceIds * dteBytes;

/** V and TV, in the lowest word of an entry. */
const translated = toWords(encode(dte, { v: 1, tv: 1 }), 32)[0]!;

type Entry = Values<keyof typeof dte.fields>;

function addressOf(segment: PciSegment, devid: number): number {
  return segment.deviceTable + devid * dteBytes;
}

function readEntry(k: Kernel, segment: PciSegment, devid: number): Entry {
  const words = new Int32Array(dteBytes / 4);
  k.memory.readWords(addressOf(segment, devid), words);
  return decode(dte, fromWords(words, 0, 8 * dteBytes));
}

function writeEntry(k: Kernel, segment: PciSegment, devid: number, entry: Partial<Entry>): void {
  k.memory.writeWords(addressOf(segment, devid), toWords(encode(dte, entry), 8 * dteBytes));
}

/** The four quadwords of an entry, lowest first. */
export function entryQuadwords(k: Kernel, segment: PciSegment, devid: number): bigint[] {
  return [0, 8, 16, 24].map((at) => k.memory.read64(addressOf(segment, devid) + at));
}

/** Until a device gets a table of its own, its interrupts are aborted: IV=1 with IntCtl=00b (facts 3.2). */
export const initDeviceTable = kernelFunction("init_device_table", (k: Kernel): void => {
  const blocked = toWords(encode(dte, { iv: 1, intctl: IntCtl.abort }), 8 * dteBytes);
  for (const segment of amdRemapping(k).segments) {
    for (let devid = 0; devid < deviceIds; devid++) {
      k.memory.writeWords(addressOf(segment, devid), blocked);
    }
  }
});

/** Points a device table entry at an interrupt table. */
export const setDteIrqEntry = kernelFunction(
  "set_dte_irq_entry",
  (k: Kernel, iommu: AmdIommu, devid: number, table: IrqTable): void => {
    writeEntry(k, iommu.segment, devid, {
      ...readEntry(k, iommu.segment, devid),
      inttableptr: table.address,
      intctl: IntCtl.remap,
      inttablen: Math.log2(table.entries),
      iv: 1,
    });
  },
);

/** From here on DMA that no page table translates is blocked too. */
export const initDeviceTableDma = kernelFunction("init_device_table_dma", (k: Kernel): void => {
  for (const segment of amdRemapping(k).segments) {
    for (let devid = 0; devid < deviceIds; devid++) {
      const at = addressOf(segment, devid);
      k.memory.write32(at, k.memory.read32(at) | translated);
    }
  }
});
