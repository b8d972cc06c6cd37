import type { DeviceScope, DmarStructure } from "../../evidence/dmar.ts";
import type { PciDevice } from "../../evidence/host/device.ts";
import type { Origin } from "../../evidence/host/fact.ts";
import type { HostState } from "../../evidence/host/state.ts";
import type { UnitState } from "../../evidence/host/unit.ts";
import { type IvhdBlock, effectiveUnits } from "../../evidence/ivrs.ts";
import { entryType } from "../../spec/acpi/ivrs.ts";
import { type PciTree, busesBehind } from "./bridges.ts";

/** An IOAPIC or HPET, and how firmware says that its requests come. */
export interface PlatformSource {
  readonly kind: "ioapic" | "hpet";
  /** IOAPIC id or HPET number. */
  readonly id: number;
  readonly segment: number;
  readonly requester: number;
  /** Undefined where firmware names a unit that is not among the host's. */
  readonly unit: UnitState | undefined;
  readonly origin: Origin;
}

type Drhd = Extract<DmarStructure, { kind: "DRHD" }>;

const scopeTypes = { endpoint: 1, hierarchy: 2, ioapic: 3, hpet: 4 } as const;

/** Which unit stands before what, by DMAR and IVRS. */
export class UnitScopes {
  readonly platform: readonly PlatformSource[];
  readonly #units: readonly UnitState[];
  readonly #tree: PciTree;
  readonly #firmware: HostState["firmware"];
  readonly #owners = new Map<PciDevice, UnitState | undefined>();

  constructor({ units, firmware }: HostState, tree: PciTree) {
    this.#units = units;
    this.#tree = tree;
    this.#firmware = firmware;
    this.platform = [...this.#dmarSources(), ...this.#ivrsSources()];
  }

  /** The unit before a function; undefined where neither table settles it. */
  unitOf(device: PciDevice): UnitState | undefined {
    if (!this.#owners.has(device)) this.#owners.set(device, this.#dmarUnit(device) ?? this.#ivrsUnit(device));
    return this.#owners.get(device);
  }

  #dmarUnit(device: PciDevice): UnitState | undefined {
    const drhds = this.#drhds().filter(({ segment }) => segment === device.segment);
    const requester = device.physicalFunction?.value ?? device.requester;
    let rest: Drhd | undefined;
    let open = false;
    for (const drhd of drhds) {
      if (drhd.includePciAll) rest = drhd;
      for (const scope of drhd.scopes) {
        const covered = this.#covers(scope, device.segment, requester);
        if (covered === true) return this.#at(drhd.base);
        open ||= covered === undefined && !drhd.includePciAll;
      }
    }
    return rest === undefined || open ? undefined : this.#at(rest.base);
  }

  #covers(scope: DeviceScope, segment: number, requester: number): boolean | undefined {
    if (scope.type !== scopeTypes.endpoint && scope.type !== scopeTypes.hierarchy) return false;
    const head = scope.requester ?? this.#tree.requesterAt(segment, scope.bus, scope.path);
    if (head === undefined) return undefined;
    if (head === requester) return true;
    if (scope.type === scopeTypes.endpoint) return false;
    const bridge = this.#tree.at(segment, head);
    const buses = bridge === undefined ? undefined : busesBehind(bridge);
    // A bridge that is not there has nothing behind it that Linux could number.
    if (bridge === undefined || buses === null) return false;
    if (buses === undefined) return undefined;
    const bus = requester >>> 8;
    return buses.from <= bus && bus <= buses.to;
  }

  #ivrsUnit(device: PciDevice): UnitState | undefined {
    const { ivrs } = this.#firmware;
    if (ivrs === undefined) return undefined;
    const requester = device.physicalFunction?.value ?? device.requester;
    for (const block of effectiveUnits(ivrs.value)) {
      if (block.segment !== device.segment) continue;
      const unit = this.#described(block);
      let start: number | undefined;
      for (const { type, deviceId } of block.entries) {
        if (type === entryType.all) return unit;
        if (type === entryType.rangeEnd) {
          if (start !== undefined && start <= requester && requester <= deviceId) return unit;
          start = undefined;
        } else if (rangeStarts.has(type)) start = deviceId;
        else if (selects.has(type) && deviceId === requester) return unit;
      }
    }
    return undefined;
  }

  #drhds(): Drhd[] {
    return (this.#firmware.dmar?.value.structures ?? []).filter((structure) => structure.kind === "DRHD");
  }

  *#dmarSources(): Generator<PlatformSource> {
    const origin = this.#firmware.dmar?.origin;
    if (origin === undefined) return;
    for (const { segment, base, scopes } of this.#drhds()) {
      for (const { type, bus, path, requester: direct, enumerationId } of scopes) {
        const kind = type === scopeTypes.ioapic ? "ioapic" : type === scopeTypes.hpet ? "hpet" : undefined;
        if (kind === undefined) continue;
        const requester = direct ?? this.#tree.requesterAt(segment, bus, path);
        if (requester === undefined) continue;
        yield { kind, id: enumerationId, segment, requester, unit: this.#at(base), origin };
      }
    }
  }

  *#ivrsSources(): Generator<PlatformSource> {
    const { ivrs } = this.#firmware;
    if (ivrs === undefined) return;
    for (const block of effectiveUnits(ivrs.value)) {
      const { segment, entries } = block;
      for (const { type, source, handle, variety } of entries) {
        if (type !== entryType.special || source === undefined || handle === undefined) continue;
        const kind = variety === 1 ? "ioapic" : variety === 2 ? "hpet" : undefined;
        if (kind === undefined) continue;
        yield {
          kind,
          id: handle,
          segment,
          requester: source,
          unit: this.#described(block),
          origin: ivrs.origin,
        };
      }
    }
  }

  /** The unit of an IVHD block, by its registers or its own requester id. */
  #described({ base, segment, deviceId }: IvhdBlock): UnitState | undefined {
    return (
      this.#at(base) ??
      this.#units.find(
        (unit) =>
          unit.vendor === "amd" &&
          unit.requester?.value === deviceId &&
          (unit.segment?.value ?? 0) === segment,
      )
    );
  }

  #at(base: bigint): UnitState | undefined {
    return this.#units.find(({ registerBase }) => registerBase?.value === base);
  }
}

const rangeStarts: ReadonlySet<number> = new Set([
  entryType.rangeStart,
  entryType.aliasRangeStart,
  entryType.extendedRangeStart,
]);
const selects: ReadonlySet<number> = new Set([
  entryType.select,
  entryType.aliasSelect,
  entryType.extendedSelect,
]);
