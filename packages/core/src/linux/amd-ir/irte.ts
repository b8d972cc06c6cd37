import { irte32, irteGuest, irteRemapped128 } from "../../spec/amdvi/irte.ts";
import type { Compiled } from "../../hardware/call-stack.ts";
import { decode, encode, fromWords, toWords } from "../../spec/codec.ts";
import { errno } from "../errno.ts";
import type { MsiMessage } from "../irq/chip.ts";
import { apicDriver } from "../irq/apic-driver.ts";
import type { VectorConfig } from "../irq/vector-state.ts";
import { kernelFunction } from "../kernel-function.ts";
import type { Kernel } from "../kernel.ts";
import { flushInterruptTable } from "./commands.ts";
import type { AmdIommu } from "./iommu.ts";
import { amdRemapping } from "./remapping.ts";
import { type AllocationMark, type IrqTable, getIrqTable } from "./table.ts";

/** `struct amd_ir_data`: one interrupt at the AMD-IR level. */
export class AmdIrData {
  readonly iommu: AmdIommu;
  readonly devid: number;
  readonly index: number;
  readonly message: MsiMessage;
  /** The entry as it was last programmed, or is about to be. */
  entry = 0n;
  /** Where it goes when it is not a guest's. */
  readonly config: Readonly<VectorConfig>;
  /** Backing page, vector and tag of the virtual CPU that it is posted to. */
  vapic = 0;
  guestVector = 0;
  gaTag = 0;

  constructor(
    iommu: AmdIommu,
    devid: number,
    index: number,
    config: Readonly<VectorConfig>,
    message: MsiMessage,
  ) {
    this.iommu = iommu;
    this.devid = devid;
    this.index = index;
    this.config = config;
    this.message = message;
  }
}

/** `struct amd_irte_ops`: what the driver does with entries of one format. */
export interface IrteOps extends AllocationMark {
  prepare(k: Kernel, data: AmdIrData): void;
  activate(k: Kernel, data: AmdIrData): void;
  deactivate(k: Kernel, data: AmdIrData): void;
  setAffinity(k: Kernel, data: AmdIrData): void;
}

/** Writes the entry to the table. 128 bits go in one cmpxchg16b, so that hardware never sees half of them (facts 3.4). */
function store(k: Kernel, data: AmdIrData, bits: 32 | 128): number {
  const table = getIrqTable(k, data.iommu, data.devid);
  if (table === undefined) return -errno.ENOMEM;
  k.memory.writeWords(table.addressOf(data.index), toWords(data.entry, bits));
  return 0;
}

const storeIrteGa = kernelFunction("__modify_irte_ga", (k: Kernel, data: AmdIrData): number =>
  store(k, data, 128),
);

/** Without letting the unit forget what it keeps: enough for fields that it never keeps. */
export function writeIrteGa(k: Kernel, data: AmdIrData): number {
  return k.runs({ below: "6.5" }) ? store(k, data, 128) : storeIrteGa(k, data);
}

export const modifyIrteGa = kernelFunction(
  "modify_irte_ga",
  (k: Kernel, data: AmdIrData): number => {
    const result = writeIrteGa(k, data);
    if (result === 0) flushInterruptTable(k, data.iommu, data.devid);
    return result;
  },
  { inlined: { from: "6.5" } },
);

const modifyIrte = kernelFunction("modify_irte", (k: Kernel, data: AmdIrData): number => {
  const result = store(k, data, 32);
  if (result === 0) flushInterruptTable(k, data.iommu, data.devid);
  return result;
});

/** In 5.4 what ends in the update leaves its frame to it: the stacks of facts' samples/10. */
const endsInGa: Compiled = { tailCalls: { modify_irte_ga: { below: "6.5" } } };
const endsIn32: Compiled = { tailCalls: { modify_irte: { below: "6.5" } } };

/** `IRTE_ALLOCATED`: every bit but RemapEn. */
const allocated32 = ~1;

/** A vector that no interrupt has. */
const allocatedVector = 0xff;

function clearEntry(k: Kernel, address: number, bits: 32 | 128): void {
  k.memory.writeWords(address, new Int32Array(bits / 32));
}

/** Entries of 32 bits: destinations have 8, guests cannot be posted to. */
export const irte32Ops: IrteOps = {
  prepare: kernelFunction("irte_prepare", (k: Kernel, data: AmdIrData): void => {
    data.entry = encode(irte32, {
      remapen: 1,
      dm: apicDriver(k).logical ? 1 : 0,
      dest: data.config.destination,
      vector: data.config.vector,
    });
  }),
  activate: kernelFunction(
    "irte_activate",
    (k: Kernel, data: AmdIrData): void => {
      data.entry = encode(irte32, { ...decode(irte32, data.entry), remapen: 1 });
      modifyIrte(k, data);
    },
    endsIn32,
  ),
  deactivate: kernelFunction(
    "irte_deactivate",
    (k: Kernel, data: AmdIrData): void => {
      data.entry = encode(irte32, { ...decode(irte32, data.entry), remapen: 0 });
      modifyIrte(k, data);
    },
    endsIn32,
  ),
  setAffinity: kernelFunction(
    "irte_set_affinity",
    (k: Kernel, data: AmdIrData): void => {
      const { vector, destination: dest } = data.config;
      data.entry = encode(irte32, { ...decode(irte32, data.entry), vector, dest });
      modifyIrte(k, data);
    },
    endsIn32,
  ),
  set: kernelFunction("irte_set_allocated", (k: Kernel, address: number): void => {
    k.memory.write32(address, allocated32);
  }),
  isSet: kernelFunction(
    "irte_is_allocated",
    (k: Kernel, address: number): boolean => k.memory.read32(address) !== 0,
  ),
  clear: kernelFunction("irte_clear_allocated", (k: Kernel, address: number): void =>
    clearEntry(k, address, 32),
  ),
};

/** Whether the entry posts to a guest. */
export function inGuestMode(data: AmdIrData): boolean {
  return decode(irteGuest, data.entry).guestmode === 1;
}

/** Sets RemapEn of an entry in either mode; the rest of it stays. */
function setRemapEn(data: AmdIrData, remapen: 0 | 1): void {
  data.entry = inGuestMode(data)
    ? encode(irteGuest, { ...decode(irteGuest, data.entry), remapen })
    : encode(irteRemapped128, { ...decode(irteRemapped128, data.entry), remapen });
}

/** Entries of 128 bits. */
export const irte128Ops: IrteOps = {
  prepare: kernelFunction("irte_ga_prepare", (k: Kernel, data: AmdIrData): void => {
    data.entry = encode(irteRemapped128, {
      remapen: 1,
      dm: apicDriver(k).logical ? 1 : 0,
      dest: data.config.destination,
      vector: data.config.vector,
    });
  }),
  activate: kernelFunction(
    "irte_ga_activate",
    (k: Kernel, data: AmdIrData): void => {
      setRemapEn(data, 1);
      modifyIrteGa(k, data);
    },
    endsInGa,
  ),
  deactivate: kernelFunction(
    "irte_ga_deactivate",
    (k: Kernel, data: AmdIrData): void => {
      setRemapEn(data, 0);
      modifyIrteGa(k, data);
    },
    endsInGa,
  ),
  setAffinity: kernelFunction(
    "irte_ga_set_affinity",
    (k: Kernel, data: AmdIrData): void => {
      if (inGuestMode(data)) return;
      const { vector, destination: dest } = data.config;
      data.entry = encode(irteRemapped128, { ...decode(irteRemapped128, data.entry), vector, dest });
      modifyIrteGa(k, data);
    },
    endsInGa,
  ),
  set: kernelFunction("irte_ga_set_allocated", (k: Kernel, address: number): void => {
    k.memory.writeWords(address, toWords(encode(irteRemapped128, { vector: allocatedVector }), 128));
  }),
  isSet: kernelFunction("irte_ga_is_allocated", (k: Kernel, address: number): boolean => {
    const words = new Int32Array(4);
    k.memory.readWords(address, words);
    return decode(irteRemapped128, fromWords(words, 0, 128)).vector !== 0;
  }),
  clear: kernelFunction("irte_ga_clear_allocated", (k: Kernel, address: number): void =>
    clearEntry(k, address, 128),
  ),
};

/** Gives an entry back: it is zero again, and the unit forgets what it kept of it. */
export const freeIrte = kernelFunction(
  "free_irte",
  (k: Kernel, ops: IrteOps, iommu: AmdIommu, devid: number, index: number): void => {
    const table: IrqTable | undefined = getIrqTable(k, iommu, devid);
    if (table === undefined) return;
    ops.clear(k, table.addressOf(index));
    table.allocated--;
    flushInterruptTable(k, iommu, devid);
  },
);

/** The operations of the format that the units' entries have: `iommu->irte_ops`. */
export function irteOpsOf(k: Kernel): IrteOps {
  return amdRemapping(k).ga ? irte128Ops : irte32Ops;
}
