import type { IoApic } from "../hardware/ioapic.ts";
import { ioapicEoiVersion, ioapicOffset, ioapicRegister } from "../spec/apic/ioapic.ts";
import { ioapicRteExtended, ioapicRteRemappable, ioapicRteWire } from "../spec/apic/ioapic.ts";
import { decode, encode } from "../spec/codec.ts";
import { msiAddressExtended, msiData, msiRemappableAddress } from "../spec/msi/message.ts";
import { errno } from "./errno.ts";
import { apicAckIrq } from "./irq/apic-chip.ts";
import { type IrqChip, type MsiMessage, setMask } from "./irq/chip.ts";
import type { IrqData } from "./irq/descriptor.ts";
import type { AllocInfo, IrqDomain, IrqDomainOps } from "./irq/domain.ts";
import { handleEdgeIrq, handleFasteoiIrq } from "./irq/flow.ts";
import {
  irqDomainAdd,
  irqDomainAllocIrqs,
  irqDomainAllocIrqsParent,
  irqDomainFreeIrqs,
  irqDomainFreeIrqsCommon,
  irqDomainSetInfo,
} from "./irq/hierarchy.ts";
import { irqChipAckParent, irqChipComposeMsiMsg, irqChipRetriggerHierarchy } from "./irq/parent.ts";
import { vectorDomain } from "./irq/vector.ts";
import { kernelFunction } from "./kernel-function.ts";
import type { Kernel } from "./kernel.ts";

/** `struct ioapic`: an I/O APIC as the kernel knows it. */
export class IoApicDriver {
  readonly id: number;
  readonly hardware: IoApic;
  /** Global system interrupt of pin 0. */
  readonly gsiBase: number;
  domain: IrqDomain | null = null;
  /** `saved_registers`: the redirection entries over a suspend. */
  saved: bigint[] = [];

  constructor(id: number, hardware: IoApic, gsiBase: number) {
    this.id = id;
    this.hardware = hardware;
    this.gsiBase = gsiBase;
  }
}

/** `struct mp_chip_data`: what the level of a pin keeps. */
interface PinData {
  readonly ioapic: IoApicDriver;
  readonly pin: number;
  readonly level: boolean;
  readonly activeLow: boolean;
  /** The redirection entry, as it was last written. */
  entry: bigint;
}

function pinOf(data: IrqData): PinData {
  return data.chipData as PinData;
}

function readEntry({ hardware }: IoApicDriver, pin: number): bigint {
  const low = hardware.readRegister(ioapicRegister.table + 2 * pin);
  const high = hardware.readRegister(ioapicRegister.table + 2 * pin + 1);
  return (BigInt(high) << 32n) | BigInt(low);
}

/** `__ioapic_write_entry`: the upper half first, so that the lower does not unmask half an entry. */
const ioapicWriteEntry = kernelFunction(
  "__ioapic_write_entry",
  (_k: Kernel, { hardware }: IoApicDriver, pin: number, entry: bigint): void => {
    hardware.writeRegister(ioapicRegister.table + 2 * pin + 1, Number(BigInt.asIntN(32, entry >> 32n)));
    hardware.writeRegister(ioapicRegister.table + 2 * pin, Number(BigInt.asIntN(32, entry)));
  },
);

const maskBit = encode(ioapicRteWire, { mask: 1 });
const levelBit = encode(ioapicRteWire, { tm: 1 });

/** The redirection entry that sends a message: its index where the message is remappable, else its destination. */
function entryOf(message: MsiMessage, { level, activeLow }: PinData): bigint {
  const address = BigInt(message.addressLow >>> 0);
  const { v, dlm } = decode(msiData, BigInt(message.data >>> 0));
  const pin = { v, dlm, pol: activeLow ? 1 : 0, tm: level ? 1 : 0 };
  const { format, handle } = decode(msiRemappableAddress, address);
  if (format === 1) return encode(ioapicRteRemappable, { ...pin, format, index: handle });
  const { dm, dst } = decode(msiAddressExtended, address);
  return encode(ioapicRteExtended, { ...pin, dm, dst });
}

/** Writes what the levels below have composed. */
const ioapicConfigureEntry = kernelFunction("ioapic_configure_entry", (k: Kernel, data: IrqData): void => {
  const pin = pinOf(data);
  const message: MsiMessage = { addressLow: 0, addressHigh: 0, data: 0 };
  irqChipComposeMsiMsg(k, data, message);
  pin.entry = entryOf(message, pin) | (pin.entry & maskBit);
  ioapicWriteEntry(k, pin.ioapic, pin.pin, pin.entry);
});

function setMaskBit(k: Kernel, data: IrqData, masked: boolean): void {
  const pin = pinOf(data);
  pin.entry = masked ? pin.entry | maskBit : pin.entry & ~maskBit;
  ioapicWriteEntry(k, pin.ioapic, pin.pin, pin.entry);
}

const maskIoapicIrq = kernelFunction("mask_ioapic_irq", (k: Kernel, data: IrqData): void =>
  setMaskBit(k, data, true),
);

const unmaskIoapicIrq = kernelFunction("unmask_ioapic_irq", (k: Kernel, data: IrqData): void =>
  setMaskBit(k, data, false),
);

/**
 * Tells an I/O APIC that a level-triggered interrupt has been served, by the value in its entry's vector field. Where
 * there is no register for that, an entry that is edge-triggered for a moment forgets Remote IRR.
 */
const eoiIoapicPin = kernelFunction(
  "__eoi_ioapic_pin",
  (k: Kernel, { ioapic, pin, entry }: PinData): void => {
    if (ioapic.hardware.version >= ioapicEoiVersion) {
      ioapic.hardware.write(ioapicOffset.eoi, Number(decode(ioapicRteWire, entry).v));
      return;
    }
    ioapicWriteEntry(k, ioapic, pin, (entry | maskBit) & ~levelBit);
    ioapicWriteEntry(k, ioapic, pin, entry);
  },
);

/** Behind remapping the local APIC has seen an edge, and broadcasts no EOI. */
const ioapicIrAckLevel = kernelFunction("ioapic_ir_ack_level", (k: Kernel, data: IrqData): void => {
  apicAckIrq(k, data);
  eoiIoapicPin(k, pinOf(data));
});

/** The local APIC's EOI reaches the I/O APIC by itself. */
const ioapicAckLevel = kernelFunction("ioapic_ack_level", (k: Kernel, data: IrqData): void => {
  irqChipAckParent(k, data);
});

const ioapicSetAffinity = kernelFunction(
  "ioapic_set_affinity",
  (k: Kernel, data: IrqData, cpus: readonly number[], force: boolean): number => {
    const parent = data.parent!;
    const result = parent.chip!.setAffinity!(k, parent, cpus, force);
    if (result >= 0 && result !== setMask.okDone) ioapicConfigureEntry(k, data);
    return result;
  },
);

const callbacks = {
  ack: irqChipAckParent,
  mask: maskIoapicIrq,
  unmask: unmaskIoapicIrq,
  setAffinity: ioapicSetAffinity,
  retrigger: irqChipRetriggerHierarchy,
};

const ioapicChip: IrqChip = { name: "IO-APIC", eoi: ioapicAckLevel, ...callbacks };
const ioapicIrChip: IrqChip = { name: "IR-IO-APIC", eoi: ioapicIrAckLevel, ...callbacks };

const mpIrqdomainAlloc = kernelFunction(
  "mp_irqdomain_alloc",
  (k: Kernel, domain: IrqDomain, virq: number, count: number, info: AllocInfo): number => {
    if (info.kind !== "ioapic" || count > 1) return -errno.EINVAL;
    const result = irqDomainAllocIrqsParent(k, domain, virq, count, info);
    if (result < 0) return result;
    const ioapic = domain.hostData as IoApicDriver;
    const { pin, level, activeLow = false } = info;
    const chip = domain.parent === vectorDomain(k) ? ioapicChip : ioapicIrChip;
    const flow = level ? handleFasteoiIrq : handleEdgeIrq;
    // A level-triggered pin is masked until somebody can silence its device.
    const keeps: PinData = { ioapic, pin, level, activeLow, entry: level ? maskBit : 0n };
    irqDomainSetInfo(k, domain, virq, pin, chip, keeps, flow).common.masked = level;
    return 0;
  },
);

const mpIrqdomainFree = kernelFunction(
  "mp_irqdomain_free",
  (k: Kernel, domain: IrqDomain, virq: number, count: number): void => {
    irqDomainFreeIrqsCommon(k, domain, virq, count);
  },
);

const mpIrqdomainActivate = kernelFunction(
  "mp_irqdomain_activate",
  (k: Kernel, _domain: IrqDomain, data: IrqData, _reserve: boolean): number => {
    ioapicConfigureEntry(k, data);
    return 0;
  },
);

const mpIrqdomainDeactivate = kernelFunction(
  "mp_irqdomain_deactivate",
  (k: Kernel, _domain: IrqDomain, data: IrqData): void => {
    const { ioapic, pin } = pinOf(data);
    ioapicWriteEntry(k, ioapic, pin, maskBit);
  },
);

const mpIoapicIrqdomainOps: IrqDomainOps = {
  alloc: mpIrqdomainAlloc,
  free: mpIrqdomainFree,
  activate: mpIrqdomainActivate,
  deactivate: mpIrqdomainDeactivate,
};

/** Gives an I/O APIC its domain, above the unit that remaps it or above VECTOR. */
export const mpIrqdomainCreate = kernelFunction(
  "mp_irqdomain_create",
  (k: Kernel, id: number, hardware: IoApic, gsiBase: number): IoApicDriver => {
    const info: AllocInfo = { kind: "ioapic", id, pin: 0, level: false };
    const parent = k.irqs.domains.find((one) => one.ops.select?.(k, one, info)) ?? vectorDomain(k);
    const old = k.runs({ below: "5.11" }) && parent !== vectorDomain(k);
    const ioapic = new IoApicDriver(id, hardware, gsiBase);
    const name = `IO-APIC${old ? "-IR" : ""}-${id}`;
    ioapic.domain = irqDomainAdd(k, { name, ops: mpIoapicIrqdomainOps, parent, hostData: ioapic });
    return ioapic;
  },
);

/** Maps a pin to an interrupt, whose number is that of its global system interrupt. @returns it, or a negative errno. */
export const mpMapPinToIrq = kernelFunction(
  "mp_map_pin_to_irq",
  (
    k: Kernel,
    ioapic: IoApicDriver,
    pin: number,
    { level = false, activeLow = false }: { readonly level?: boolean; readonly activeLow?: boolean } = {},
  ): number => {
    if (pin >= ioapic.hardware.pins) return -errno.EINVAL;
    const info: AllocInfo = { kind: "ioapic", id: ioapic.id, pin, level, activeLow };
    return irqDomainAllocIrqs(k, ioapic.domain!, 1, info, ioapic.gsiBase + pin);
  },
);

export const mpUnmapIrq = kernelFunction("mp_unmap_irq", (k: Kernel, irq: number): void => {
  irqDomainFreeIrqs(k, irq, 1);
});

/** Before suspend. */
export const saveIoapicEntries = kernelFunction(
  "save_ioapic_entries",
  (_k: Kernel, ioapic: IoApicDriver): void => {
    ioapic.saved = Array.from({ length: ioapic.hardware.pins }, (_, pin) => readEntry(ioapic, pin));
  },
);

/** After resume. */
export const restoreIoapicEntries = kernelFunction(
  "restore_ioapic_entries",
  (k: Kernel, ioapic: IoApicDriver): void => {
    for (const [pin, entry] of ioapic.saved.entries()) ioapicWriteEntry(k, ioapic, pin, entry);
  },
);
