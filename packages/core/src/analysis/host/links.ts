import type { Message, PciDevice } from "../../evidence/host/device.ts";
import { type Fact, type Origin, fact } from "../../evidence/host/fact.ts";
import type { EntryReference, InterruptSource, LinuxInterrupt } from "../../evidence/host/interrupt.ts";
import type { Processor } from "../../evidence/host/processor.ts";
import type { HostState } from "../../evidence/host/state.ts";
import type { UnitState } from "../../evidence/host/unit.ts";
import type { PostedDescriptor, Vcpu, VirtualMachine } from "../../evidence/host/virtual-machine.ts";
import { addressOfGroups } from "../../evidence/text/pci-address.ts";
import { PciTree } from "./bridges.ts";
import { processorsOf } from "./destinations.ts";
import { type HostEntry, type HostTable, destinationOf, entriesOf, tablesOf } from "./entry.ts";
import { type MessageKind, messageKindOf, sourceOf } from "./interrupt-source.ts";
import { messageIndexOf } from "./message-index.ts";
import { extendedMode, remappingOn } from "./unit-mode.ts";
import { type PlatformSource, UnitScopes } from "./unit-scopes.ts";

/** Whose a posted-interrupt descriptor or vAPIC backing page is. */
export interface DescriptorOwner {
  readonly address: bigint;
  /** Absent for a vAPIC backing page, and where only the vCPU names the address. */
  readonly descriptor?: PostedDescriptor;
  readonly owner: PostedDescriptor["owner"]["value"];
  readonly machine?: VirtualMachine;
  readonly vcpu?: Vcpu;
  readonly origin: Origin;
}

/** What belongs to what on a host. What its state does not settle is undefined; nothing is guessed. */
export class HostLinks {
  readonly state: HostState;
  /** Every entry of every table that is not zero: by unit, table and index. */
  readonly entries: readonly HostEntry[];
  readonly tables: readonly HostTable[];
  readonly #scopes: UnitScopes;
  readonly #tree: PciTree;
  readonly #byPlace = new Map<UnitState, Map<number, HostEntry>>();
  /** AMD-Vi: of requesters that share a table, the one that its entries are listed under. */
  readonly #listedAs = new Map<UnitState, Map<number, number>>();
  readonly #references = new Map<LinuxInterrupt, Fact<EntryReference>>();
  readonly #interrupts = new Map<HostEntry, LinuxInterrupt[]>();
  readonly #devices = new Map<number, PciDevice>();
  readonly #owners = new Map<bigint, DescriptorOwner>();
  readonly #modes = new Map<
    UnitState,
    { on: Fact<boolean> | undefined; extended: Fact<boolean> | undefined }
  >();

  constructor(state: HostState) {
    this.state = state;
    this.#tree = new PciTree(state.devices);
    this.#scopes = new UnitScopes(state, this.#tree);
    this.tables = state.units.flatMap(tablesOf);
    this.entries = state.units.flatMap(entriesOf);
    for (const unit of state.units) {
      this.#modes.set(unit, { on: remappingOn(state, unit), extended: extendedMode(state, unit) });
    }
    this.#place();
    for (const device of state.devices) {
      for (const { irq } of device.messageIrqs?.value ?? []) this.#devices.set(irq, device);
    }
    this.#own();
    for (const interrupt of state.interrupts) this.#refer(interrupt);
  }

  /** IOAPICs and HPETs that DMAR or IVRS name. */
  get platformSources(): readonly PlatformSource[] {
    return this.#scopes.platform;
  }

  unitNamed(name: string): UnitState | undefined {
    return this.state.units.find((unit) => unit.name === name);
  }

  /** The entry at an index, unless it is zero; of AMD-Vi by any requester that uses the table. */
  entryAt(unit: UnitState, requester: number | null, index: number): HostEntry | undefined {
    const listed = requester === null ? null : (this.#listedAs.get(unit)?.get(requester) ?? requester);
    return this.#byPlace.get(unit)?.get(placeOf(listed, index));
  }

  /**
   * The entry through which an interrupt goes, whether or not it is present, or its table known: as the kernel has it,
   * by its Intel domain (hwirq: base index in bits 31:16, offset below), or by its message.
   */
  referenceOf(interrupt: LinuxInterrupt): Fact<EntryReference> | undefined {
    return this.#references.get(interrupt);
  }

  /** The entry through which an interrupt goes; undefined where it is zero, or not known. */
  entryOf(interrupt: LinuxInterrupt): HostEntry | undefined {
    const reference = this.referenceOf(interrupt)?.value;
    const unit = reference === undefined ? undefined : this.unitNamed(reference.unit);
    return unit === undefined ? undefined : this.entryAt(unit, reference!.requester, reference!.index);
  }

  /** The interrupts that go through an entry. More than one is a mistake of somebody's. */
  interruptsOf(entry: HostEntry): readonly LinuxInterrupt[] {
    return this.#interrupts.get(entry) ?? [];
  }

  /** What sends an interrupt: as its source says, else by the name of its chip. */
  sourceOf(interrupt: LinuxInterrupt): InterruptSource | undefined {
    return sourceOf(this.state, interrupt);
  }

  messageKindOf(interrupt: LinuxInterrupt): MessageKind | undefined {
    return messageKindOf(interrupt, this.deviceOf(interrupt));
  }

  /** The message of an interrupt: as the kernel wrote it, else as the device's MSI capability holds it. */
  messageOf(interrupt: LinuxInterrupt): Fact<Message> | undefined {
    if (interrupt.message !== undefined) return interrupt.message;
    const source = this.sourceOf(interrupt);
    if (source?.kind !== "pci" || source.index === null || this.messageKindOf(interrupt) !== "msi")
      return undefined;
    const msi = this.deviceOf(interrupt)?.msi;
    if (msi?.value.enabled !== true || source.index >= msi.value.used) return undefined;
    const { address, data } = msi.value.message;
    return fact({ address, data: data + source.index }, msi.origin);
  }

  deviceOf(interrupt: LinuxInterrupt): PciDevice | undefined {
    const source = this.sourceOf(interrupt);
    if (source?.kind === "pci") return this.deviceAt(source.segment, source.requester);
    return source === undefined ? this.#devices.get(interrupt.irq) : undefined;
  }

  deviceAt(segment: number, requester: number): PciDevice | undefined {
    return this.#tree.at(segment, requester);
  }

  /** `bb:dd.f`, with or without a segment; without one it is segment 0's, or the only one that there is. */
  deviceNamed(text: string): PciDevice | undefined {
    const parts = /^(?:([0-9a-f]{4,8}):)?([0-9a-f]{1,2}):([01]?[0-9a-f])\.([0-7])$/i.exec(text.trim());
    if (parts === null) return undefined;
    const { segment, requester } = addressOfGroups(parts.slice(1));
    if (parts[1] !== undefined) return this.deviceAt(segment, requester);
    const found = this.state.devices.filter((one) => one.requester === requester);
    return found.length === 1 ? found[0] : found.find((one) => one.segment === 0);
  }

  /** The unit before a device or an interrupt: by sysfs, its entry, DMAR's or IVRS's scopes. */
  unitOf(of: PciDevice | LinuxInterrupt): UnitState | undefined {
    if ("requester" in of) {
      return of.unit === undefined ? this.#scopes.unitOf(of) : this.unitNamed(of.unit.value);
    }
    const reference = this.referenceOf(of);
    if (reference !== undefined) return this.unitNamed(reference.value.unit);
    const source = this.sourceOf(of);
    if (source?.kind === "unit") return this.unitNamed(source.unit);
    if (source?.kind === "ioapic" || source?.kind === "hpet") return this.platformSourceOf(source)?.unit;
    const device = this.deviceOf(of);
    return device === undefined ? undefined : this.unitOf(device);
  }

  /** What DMAR or IVRS say of an IOAPIC or HPET. */
  platformSourceOf({ kind, id }: InterruptSource & { kind: "ioapic" | "hpet" }): PlatformSource | undefined {
    if (id === null) return undefined;
    return this.platformSources.find((one) => one.kind === kind && one.id === id);
  }

  /** The segment of a unit: as it is known, else that of all devices where they have one. */
  segmentOf(unit: UnitState): number | undefined {
    if (unit.segment !== undefined) return unit.segment.value;
    const [first, ...others] = new Set(this.state.devices.map(({ segment }) => segment));
    return others.length === 0 ? first : undefined;
  }

  /** Whether an entry lets a requester's interrupts through; undefined for a reserved encoding (SVT 3). */
  admits({ source, requester: own, unit }: HostEntry, requester: number): boolean | undefined {
    if (source === null) {
      if (own === requester) return true;
      return this.#listedAs.get(unit)?.get(requester) === own;
    }
    const { sid, sq, svt } = source;
    if (svt === 0) return true;
    if (svt === 1) return ((sid ^ requester) & ~squeezed[sq]! & 0xffff) === 0;
    const bus = requester >>> 8;
    return svt === 2 ? sid >>> 8 <= bus && bus <= (sid & 0xff) : undefined;
  }

  /** The host's functions that an entry lets through; `all` where it checks nothing, undefined without a segment. */
  requestersOf(entry: HostEntry): readonly PciDevice[] | "all" | undefined {
    if (entry.source?.svt === 0) return "all";
    const segment = this.segmentOf(entry.unit);
    if (segment === undefined) return undefined;
    return this.state.devices.filter(
      (one) => one.segment === segment && this.admits(entry, one.requester) === true,
    );
  }

  /** The IOAPIC or HPET whose requester id an entry's source, or an AMD-Vi table, is. */
  platformSourceBehind(entry: HostEntry): PlatformSource | undefined {
    if (entry.source !== null && entry.source.svt !== 1) return undefined;
    return this.platformSources.find(
      ({ unit, requester }) => unit === entry.unit && this.admits(entry, requester) === true,
    );
  }

  /** @param destination an APIC id or logical destination, as {@link destinationOf} gives it. */
  processorsOf(destination: number, logical: boolean, extended: boolean): readonly Processor[] | undefined {
    return processorsOf(this.state.processors, destination, logical, extended);
  }

  /** The APIC id or logical destination of an entry; undefined where the unit's mode is not known, or it posts. */
  destinationOf(entry: HostEntry): number | undefined {
    return destinationOf(entry, this.extendedMode(entry.unit)?.value);
  }

  /** The processors that an entry's destination names, of a guest-mode one those that get the doorbell. */
  targetsOf(entry: HostEntry): readonly Processor[] | undefined {
    const destination = this.destinationOf(entry);
    if (destination === undefined) return undefined;
    const extended = this.extendedMode(entry.unit)?.value;
    if (extended === undefined && destination > 0xfe) return undefined;
    return this.processorsOf(destination, entry.logical === true, extended === true);
  }

  /** Whose the descriptor, or the vAPIC backing page, at a physical address is. */
  descriptorAt(address: bigint): DescriptorOwner | undefined {
    return this.#owners.get(address);
  }

  /** Whom an entry posts to; undefined where it does not post, or to memory that nobody is known to own. */
  posteeOf({ descriptor, guest }: HostEntry): DescriptorOwner | undefined {
    const address = descriptor ?? guest?.root;
    return address === undefined ? undefined : this.descriptorAt(address);
  }

  /** By GSTS, else what the kernel wrote, else what it says of it, else the log. */
  remappingOn(unit: UnitState): Fact<boolean> | undefined {
    return this.#modes.get(unit)?.on;
  }

  /** Whether the unit's entries have 32-bit destinations. */
  extendedMode(unit: UnitState): Fact<boolean> | undefined {
    return this.#modes.get(unit)?.extended;
  }

  #place(): void {
    for (const { unit, requester, shared } of this.tables) {
      const listed = this.#listedAs.get(unit) ?? new Map<number, number>();
      this.#listedAs.set(unit, listed);
      if (requester !== null) for (const one of shared) listed.set(one, requester);
    }
    for (const entry of this.entries) {
      const places = this.#byPlace.get(entry.unit) ?? new Map<number, HostEntry>();
      this.#byPlace.set(entry.unit, places);
      places.set(placeOf(entry.requester, entry.index), entry);
    }
  }

  #own(): void {
    const machines = new Map(this.state.machines.map((machine) => [machine.name, machine]));
    for (const descriptor of this.state.descriptors) {
      const { value: owner, origin } = descriptor.owner;
      const { address } = descriptor;
      const machine = owner.kind === "vcpu" ? machines.get(owner.machine) : undefined;
      const vcpu = owner.kind === "vcpu" ? machine?.vcpus.find(({ id }) => id === owner.vcpu) : undefined;
      const whose = { ...(machine && { machine }), ...(vcpu && { vcpu }) };
      this.#owners.set(address, { address, descriptor, owner, origin, ...whose });
    }
    for (const machine of this.state.machines) {
      for (const vcpu of machine.vcpus) {
        if (vcpu.descriptor === undefined || this.#owners.has(vcpu.descriptor.value)) continue;
        const { value: address, origin } = vcpu.descriptor;
        const owner = { kind: "vcpu", machine: machine.name, vcpu: vcpu.id } as const;
        this.#owners.set(address, { address, owner, machine, vcpu, origin });
      }
    }
  }

  #refer(interrupt: LinuxInterrupt): void {
    const reference = interrupt.entry ?? intelDomain(interrupt) ?? messageIndexOf(this, interrupt);
    if (reference === undefined) return;
    this.#references.set(interrupt, reference);
    const entry = this.entryOf(interrupt);
    if (entry === undefined) return;
    const before = this.#interrupts.get(entry);
    if (before === undefined) this.#interrupts.set(entry, [interrupt]);
    else before.push(interrupt);
  }
}

/** The bits of a requester id that SQ leaves out. */
const squeezed: readonly number[] = [0, 0b100, 0b110, 0b111];

function placeOf(requester: number | null, index: number): number {
  return (requester ?? 0) * 0x1_0000 + index;
}

const intelDomainName = /^INTEL-IR-(\d{1,4})(?:-\d{1,3})?$/;

function intelDomain({ domains }: LinuxInterrupt): Fact<EntryReference> | undefined {
  for (const { domain, hwirq } of domains?.value ?? []) {
    const name = intelDomainName.exec(domain);
    if (name === null) continue;
    const index = Number((hwirq >> 16n) + (hwirq & 0xffffn));
    return fact({ unit: `dmar${name[1]}`, requester: null, index }, domains!.origin);
  }
  return undefined;
}
