import type { DeviceScope, DmarStructure, DmarTable } from "../../../evidence/dmar.ts";
import type { Message, PciDevice } from "../../../evidence/host/device.ts";
import { type Draft, HostDraft } from "../../../evidence/host/draft.ts";
import { type Fact, type Origin, fact } from "../../../evidence/host/fact.ts";
import type { DomainLevel, InterruptSource, LinuxInterrupt } from "../../../evidence/host/interrupt.ts";
import type { HostState } from "../../../evidence/host/state.ts";
import type { AmdviUnitState, TableEntries, VtdUnitState } from "../../../evidence/host/unit.ts";
import type { Vcpu } from "../../../evidence/host/virtual-machine.ts";
import { type Values, encode } from "../../../spec/codec.ts";
import { irteGuest, irteRemapped128 } from "../../../spec/amdvi/irte.ts";
import { dte } from "../../../spec/amdvi/dte.ts";
import { irtePosted, irteRemapped, postedDescriptor } from "../../../spec/vtd/irte.ts";

type Fields<Layout> = Layout extends { fields: Readonly<Record<infer Name extends string, unknown>> }
  ? Partial<Values<Name>>
  : never;

/** What a test says of an interrupt; what it does not say is not known. */
export interface TestInterrupt {
  /** `bb:dd.f`, with or without a segment: the device that sends it. */
  readonly device?: string;
  /** Of the device's vectors. */
  readonly vector?: number;
  readonly from?: InterruptSource;
  readonly message?: Message;
  /** An index of dmar0, or of the device's own table. */
  readonly entry?: number;
  readonly chip?: string;
  readonly hwirq?: bigint;
  readonly flow?: string;
  readonly actions?: readonly string[];
  readonly counts?: readonly number[];
  readonly domains?: readonly DomainLevel[];
  readonly effective?: readonly number[];
  readonly affinity?: readonly number[];
  readonly posts?: "none" | "vcpu" | "host";
  readonly masked?: boolean;
}

/** A host that a test puts together by hand: every step adds to it and returns it. */
export class TestHost {
  readonly draft: HostDraft = new HostDraft("a test");
  readonly origin: Origin;
  /** The unit to which entries, devices and interrupts go. */
  #unit: Draft<VtdUnitState> | Draft<AmdviUnitState> | undefined;

  constructor(source = "a test") {
    this.origin = { source };
  }

  fact<Value>(value: Value): Fact<Value> {
    return fact(value, this.origin);
  }

  /** Processors 0 to count - 1, all online, with these APIC ids. */
  cpus(count: number, apicId: (cpu: number) => number = (cpu) => cpu): this {
    for (let cpu = 0; cpu < count; cpu++) {
      const processor = this.draft.processor(cpu);
      processor.apicId = this.fact(apicId(cpu));
      processor.online = this.fact(true);
    }
    return this;
  }

  /** A VT-d unit that remaps; what follows belongs to it. */
  vtd(name = "dmar0", { base = 0xfed9_0000n, extended = false, on = true, length = 65536 } = {}): this {
    const unit = this.draft.vtdUnit(name);
    unit.registerBase = this.fact(base);
    unit.segment = this.fact(0);
    unit.registers.set("GSTS", this.fact(on ? 0xc700_0000n : 0n));
    unit.extendedMode = this.fact(extended);
    unit.table = this.fact({ base: 0x10_0000n, length, width: 128, entries: new Map(), complete: true });
    this.#unit = unit;
    return this;
  }

  /** An AMD-Vi unit that remaps, with 128-bit entries; what follows belongs to it. */
  amdvi(name = "ivhd0", { base = 0xfeb8_0000n, extended = false } = {}): this {
    const unit = this.draft.amdviUnit(name);
    unit.registerBase = this.fact(base);
    unit.segment = this.fact(0);
    unit.remapping = this.fact(true);
    unit.control = this.fact(1n | (1n << 17n) | (extended ? 1n << 50n : 0n));
    unit.devices = this.fact(new Map());
    this.#unit = unit;
    return this;
  }

  /** A function before the unit that was named last. */
  device(
    name: string,
    facts: Partial<Pick<Draft<PciDevice>, "msi" | "msix" | "config">> & { driver?: string } = {},
  ): this {
    const { driver, ...others } = facts;
    const { segment, requester } = named(name);
    const device = this.draft.device(segment, requester);
    Object.assign(device, others);
    if (driver !== undefined) device.driver = this.fact(driver);
    if (this.#unit !== undefined) device.unit = this.fact(this.#unit.name);
    return this;
  }

  /** A remapped VT-d entry: present, of the device at `sid`, to APIC id 0 in xAPIC mode, unless told otherwise. */
  remapped(index: number, fields: Fields<typeof irteRemapped>): this {
    return this.entry(null, index, encode(irteRemapped, { p: 1, rh: 1, svt: 1, ...fields }));
  }

  /** A posted VT-d entry. */
  posted(index: number, fields: Fields<typeof irtePosted>): this {
    return this.entry(null, index, encode(irtePosted, { p: 1, im: 1, svt: 1, ...fields }));
  }

  /** A remapped AMD-Vi entry of 128 bits. */
  remapped128(requester: number, index: number, fields: Fields<typeof irteRemapped128>): this {
    return this.entry(requester, index, encode(irteRemapped128, { remapen: 1, ...fields }));
  }

  /** An AMD-Vi entry in guest mode. */
  guest(requester: number, index: number, fields: Fields<typeof irteGuest>): this {
    return this.entry(requester, index, encode(irteGuest, { remapen: 1, guestmode: 1, ...fields }));
  }

  /** Any entry; a table of AMD-Vi comes into being with its device table entry. */
  entry(requester: number | null, index: number, value: bigint): this {
    (this.#table(requester).entries as Map<number, bigint>).set(index, value);
    return this;
  }

  /** Two requesters of AMD-Vi that use one table. */
  alias(requester: number, as: number): this {
    const unit = this.#amdvi();
    const table = unit.tables.get(as);
    if (table === undefined) throw new RangeError("no such table");
    unit.tables.set(requester, table);
    return this;
  }

  irq(irq: number, say: TestInterrupt): this {
    const interrupt = this.draft.interrupt(irq);
    const { device, vector = 0, entry, ...facts } = say;
    const place = device === undefined ? undefined : named(device);
    if (place !== undefined) {
      const { segment, requester } = place;
      interrupt.from = this.fact<InterruptSource>({ kind: "pci", segment, requester, index: vector });
    }
    if (entry !== undefined) {
      const requester = this.#unit?.vendor === "amd" ? (place?.requester ?? null) : null;
      interrupt.entry = this.fact({ unit: this.#unit?.name ?? "dmar0", requester, index: entry });
    }
    for (const [name, value] of Object.entries(facts)) {
      Object.assign(interrupt, { [name as keyof LinuxInterrupt]: this.fact(value) });
    }
    return this;
  }

  /** A machine whose vCPU n has its descriptor, or backing page, at the n-th address. */
  machine(name: string, addresses: readonly bigint[], fields: Fields<typeof postedDescriptor> = {}): this {
    const vcpus = addresses.map((address, id): Vcpu => {
      if (this.#unit?.vendor !== "amd") {
        const descriptor = this.draft.descriptor(
          address,
          this.fact({ kind: "vcpu", machine: name, vcpu: id }),
        );
        descriptor.value = this.fact(encode(postedDescriptor, { nv: 0xf2, ...fields }));
      }
      return { id, descriptor: this.fact(address) };
    });
    this.draft.machines.push({ name, vcpus });
    return this;
  }

  /** A DMAR table of one unit for each of these lists of scopes; the last has INCLUDE_PCI_ALL if it is empty. */
  dmar(...units: readonly { base: bigint; all?: boolean; scopes?: readonly Partial<DeviceScope>[] }[]): this {
    const structures = units.map(({ base, all = false, scopes = [] }, i): DmarStructure => ({
      kind: "DRHD",
      offset: 48 + 64 * i,
      length: 64,
      includePciAll: all,
      segment: 0,
      base,
      registerBytes: 4096,
      scopes: scopes.map((scope) => scopeOf(scope)),
    }));
    this.draft.firmware.dmar = this.fact({
      header: undefined as unknown as DmarTable["header"],
      hostAddressWidth: 39,
      interruptRemapping: true,
      x2apicOptOut: false,
      dmaControlOptIn: false,
      structures,
      findings: [],
    });
    return this;
  }

  /** Whatever there is no step for. */
  with(change: (draft: HostDraft) => void): this {
    change(this.draft);
    return this;
  }

  finish(): HostState {
    return this.draft.finish();
  }

  #table(requester: number | null): TableEntries {
    if (this.#unit?.vendor === "intel" && requester === null) return this.#unit.table!.value;
    const unit = this.#amdvi();
    const before = unit.tables.get(requester!);
    if (before !== undefined) return before.value;
    const base = 0x20_0000n + BigInt(requester!) * 0x2000n;
    const table: TableEntries = { base, length: 512, width: 128, entries: new Map(), complete: true };
    unit.tables.set(requester!, this.fact(table));
    (unit.devices!.value as Map<number, bigint>).set(
      requester!,
      encode(dte, { v: 1, tv: 1, iv: 1, inttablen: 9, intctl: 2, inttableptr: base }),
    );
    return table;
  }

  #amdvi(): Draft<AmdviUnitState> {
    if (this.#unit?.vendor !== "amd") throw new RangeError("this needs an AMD-Vi unit");
    return this.#unit;
  }
}

/** A remappable message to an index of VT-d, as Linux writes it. */
export function vtdMessage(index: number): Message {
  const low = 0xfee0_0018 + ((index & 0x7fff) << 5) + ((index >>> 15) << 2);
  return { address: BigInt(low >>> 0), data: 0 };
}

/** A segment and requester id by name. @throws RangeError when it is none. */
export function named(name: string): { readonly segment: number; readonly requester: number } {
  const parts = /^(?:([0-9a-f]{4}):)?([0-9a-f]{2}):([0-9a-f]{2})\.([0-7])$/.exec(name);
  if (parts === null) throw new RangeError(`"${name}" is no device`);
  const [segment, bus, device, fn] = parts.slice(1).map((digits) => Number.parseInt(digits ?? "0", 16));
  return { segment: segment!, requester: (bus! << 8) | (device! << 3) | fn! };
}

function scopeOf(scope: Partial<DeviceScope>): DeviceScope {
  const { bus = 0, path = [], requester } = scope;
  const only = path.length === 1 ? (bus << 8) | (path[0]!.device << 3) | path[0]!.function : undefined;
  return {
    offset: 0,
    type: 1,
    flags: 0,
    enumerationId: 0,
    ...scope,
    bus,
    path,
    requester: requester ?? only,
  };
}

/** Configuration space of a bridge to these buses; nothing else in it is set. */
export function bridgeConfig(from: number, to: number): Uint8Array {
  const config = new Uint8Array(64);
  config.set([1], 0x0e);
  config.set([0, from, to], 0x18);
  return config;
}
