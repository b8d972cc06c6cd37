import type { Draft } from "../host/draft.ts";
import type { LinuxInterrupt } from "../host/interrupt.ts";
import type { IrqLevel } from "./irq-levels.ts";
import { type MsiDescriptor, readMsiDescriptor } from "./msi-descriptor.ts";
import { KernelStruct, readQuad } from "./kernel-struct.ts";
import { type KernelWalk, type WalkedUnit, placeOf } from "./walk-context.ts";
import { dword, qword } from "./words.ts";

const ioapicLimit = 256;
/** IRQ_POSTING of enum irq_mode. */
const posting = 1;
/** GuestMode of a 128-bit entry of AMD-Vi. */
const guestMode = 1n << 7n;

interface DeviceMessages {
  readonly irqs: { readonly irq: number; readonly kind: "msi" | "msix" }[];
  readonly descriptor: MsiDescriptor;
}

/** What sends each interrupt, the message that it sends, and the vector and the entry that the kernel gave it. */
export class IrqSources {
  readonly #walk: KernelWalk;
  /** IOAPIC ids by the addresses of their domains. */
  readonly #ioapics: ReadonlyMap<bigint, number>;
  readonly #vectorDomain: bigint;
  /** Names of AMD-Vi units by segment and requester. */
  readonly #own = new Map<number, string>();
  readonly #messages = new Map<bigint, MsiDescriptor>();
  /** By the address of the device. */
  readonly #devices = new Map<bigint, DeviceMessages>();

  constructor(walk: KernelWalk) {
    this.#walk = walk;
    this.#ioapics = walk.attempt("ids of the IOAPICs", () => ioapicsOf(walk)) ?? new Map<bigint, number>();
    this.#vectorDomain = walk.variable("x86_vector_domain", 8) ?? 0n;
    for (const unit of walk.draft.units) {
      if (unit.vendor !== "amd" || unit.requester === undefined) continue;
      this.#own.set((unit.segment?.value ?? 0) * 0x1_0000 + unit.requester.value, unit.name);
    }
  }

  add(
    irq: number,
    found: Draft<LinuxInterrupt>,
    chain: readonly IrqLevel[],
    common: KernelStruct,
    place: string,
  ): void {
    const address = common.pointer("msi_desc");
    const descriptor = address === 0n ? undefined : this.#message(address);
    if (descriptor !== undefined) this.#addMessage(irq, found, descriptor, place);
    for (const level of chain) {
      if (level.chipData === 0n) continue;
      if (level.domainAddress === this.#vectorDomain) this.#addVector(found, level);
      const unit = this.#walk.domains.get(level.domainAddress);
      if (unit?.vendor === "intel") this.#addIntel(found, level, descriptor === undefined);
      else if (unit?.vendor === "amd") this.#addAmd(found, level, unit);
    }
    if (found.from === undefined) this.#addPlatform(found, chain, common, place);
  }

  /** Says of each device what its interrupts said together. */
  finish(): void {
    for (const [address, { irqs, descriptor }] of this.#devices) {
      const at = this.#walk.devices.get(address)!;
      const device = this.#walk.draft.device(at.segment, at.requester);
      const place = `device at 0x${address.toString(16)}`;
      device.messageIrqs ??= this.#walk.fact(irqs, place);
      const { pci, message } = descriptor;
      if (pci === undefined || pci.msix) continue;
      device.msi ??= this.#walk.fact(
        { enabled: true, used: pci.used, available: pci.available, message },
        place,
      );
    }
  }

  /** The descriptors of multi-message MSI are shared by its interrupts. */
  #message(address: bigint): MsiDescriptor {
    let found = this.#messages.get(address);
    if (found === undefined) {
      found = readMsiDescriptor(new KernelStruct(this.#walk.kernel, "msi_desc", address));
      this.#messages.set(address, found);
    }
    return found;
  }

  #addMessage(irq: number, found: Draft<LinuxInterrupt>, descriptor: MsiDescriptor, place: string): void {
    // The device puts the number of the message into the low bits of its data.
    const offset = descriptor.count > 1 && irq >= descriptor.firstIrq ? irq - descriptor.firstIrq : 0;
    const { address, data } = descriptor.message;
    // A message that was never written: the interrupt is not in use.
    if (address !== 0n) found.message ??= this.#walk.fact({ address, data: (data | offset) >>> 0 }, place);
    const device = this.#walk.devices.get(descriptor.device);
    if (device === undefined) return;
    // An AMD-Vi unit is a PCI function, whose own messages it does not remap.
    const unit = this.#own.get(device.segment * 0x1_0000 + device.requester);
    found.from ??= this.#walk.fact(
      unit === undefined
        ? { kind: "pci", ...device, index: descriptor.index + offset }
        : { kind: "unit", unit },
      place,
    );
    if (descriptor.pci === undefined) return;
    const entry = { irq, kind: descriptor.pci.msix ? "msix" : "msi" } as const;
    const known = this.#devices.get(descriptor.device);
    if (known === undefined) this.#devices.set(descriptor.device, { irqs: [entry], descriptor });
    else known.irqs.push(entry);
  }

  #addVector(found: Draft<LinuxInterrupt>, level: IrqLevel): void {
    const data = new KernelStruct(this.#walk.kernel, "apic_chip_data", level.chipData);
    const vector = data.u32("vector");
    // 0: none is assigned, as for one that is reserved and not started.
    if (vector === 0 || vector > 255) return;
    found.vector ??= this.#walk.fact({ vector, cpu: data.u32("cpu") }, placeOf(data));
  }

  /** @param platform an IOAPIC's or an HPET's. */
  #addIntel(found: Draft<LinuxInterrupt>, level: IrqLevel, platform: boolean): void {
    const data = new KernelStruct(this.#walk.kernel, "intel_ir_data", level.chipData);
    const place = placeOf(data);
    const unit = this.#walk.units.get(data.pointer("irq_2_iommu.iommu"));
    if (unit === undefined) return;
    const index = data.u16("irq_2_iommu.irte_index") + data.u16("irq_2_iommu.sub_handle");
    found.entry ??= this.#walk.fact({ unit: unit.name, requester: null, index }, place);
    const bytes = data.bytes("irte_entry");
    found.cachedEntry ??= this.#walk.fact((qword(bytes, 8) << 64n) | qword(bytes, 0), place);
    // mode until 6.14; posted_msi since 6.11; posted_vcpu since 6.15, and in the 6.12 that distributions have.
    const flag = (name: string): boolean => data.has(name) && data.flag(name);
    const mode = data.has("irq_2_iommu.mode") ? data.number("irq_2_iommu.mode") : 0;
    const vcpu = flag("irq_2_iommu.posted_vcpu") || mode === posting;
    const host = flag("irq_2_iommu.posted_msi");
    found.posts ??= this.#walk.fact(vcpu ? "vcpu" : host ? "host" : "none", place);
    if (platform) this.#addComposed(found, data, place);
  }

  #addAmd(found: Draft<LinuxInterrupt>, level: IrqLevel, unit: WalkedUnit): void {
    const { kernel } = this.#walk;
    const data = new KernelStruct(kernel, "amd_ir_data", level.chipData);
    const place = placeOf(data);
    // amd_ir_data.iommu since 6.0.
    const own = data.has("iommu") ? this.#walk.units.get(data.pointer("iommu")) : unit;
    const requester = data.u16("irq_2_irte.devid");
    const index = data.u16("irq_2_irte.index");
    found.entry ??= this.#walk.fact({ unit: (own ?? unit).name, requester, index }, place);
    const entry = data.pointer("entry");
    const wide = this.#walk.draft.system.variables?.value.get("amd_iommu_guest_ir");
    if (entry !== 0n && wide !== undefined) {
      const posted = wide !== 0 && (readQuad(kernel, entry) & guestMode) !== 0n;
      found.posts ??= this.#walk.fact(posted ? "vcpu" : "none", place);
    }
  }

  /** An HPET's message is written as it is composed; an IOAPIC makes its own out of the parts. */
  #addComposed(found: Draft<LinuxInterrupt>, data: KernelStruct, place: string): void {
    if (!data.has("msi_entry.address_lo") || !found.chip?.value.includes("HPET")) return;
    const low = BigInt(data.u32("msi_entry.address_lo"));
    const address = (BigInt(data.u32("msi_entry.address_hi")) << 32n) | low;
    found.message ??= this.#walk.fact({ address, data: data.u32("msi_entry.data") }, place);
  }

  #addPlatform(
    found: Draft<LinuxInterrupt>,
    chain: readonly IrqLevel[],
    common: KernelStruct,
    place: string,
  ): void {
    const { kernel, units } = this.#walk;
    for (const { domainAddress, hwirq, chip, chipData } of chain) {
      const id = this.#ioapics.get(domainAddress);
      if (id !== undefined) {
        found.from ??= this.#walk.fact({ kind: "ioapic", id, pin: Number(hwirq) }, place);
      } else if (chip.includes("HPET")) {
        // msi_domain_info.data is the id in the table of the HPET.
        const domain = new KernelStruct(kernel, "irq_domain", domainAddress);
        const hpet = domain.follow("host_data", "msi_domain_info")?.u64("data");
        const known = hpet === undefined || hpet > 255n ? null : Number(hpet);
        found.from ??= this.#walk.fact({ kind: "hpet", id: known }, place);
      }
      // A unit's own: VT-d hands the unit to the handler, AMD-Vi with extended destinations to the chip.
      const unit = units.get(common.pointer("handler_data")) ?? units.get(chipData);
      if (unit !== undefined) found.from ??= this.#walk.fact({ kind: "unit", unit: unit.name }, place);
    }
  }
}

function ioapicsOf(walk: KernelWalk): Map<bigint, number> {
  const { kernel } = walk;
  const found = new Map<bigint, number>();
  const first = walk.symbol("ioapics");
  const count = dword(kernel.memory.read(walk.symbol("nr_ioapics"), 4), 0);
  for (let i = 0; i < Math.min(count, ioapicLimit); i++) {
    const size = kernel.types.type("ioapic")?.size ?? 0;
    const ioapic = new KernelStruct(kernel, "ioapic", first + BigInt(i * size));
    const domain = ioapic.pointer("irqdomain");
    if (domain !== 0n) found.set(domain, ioapic.u8("mp_config.apicid"));
  }
  return found;
}
