import { InputError } from "../input-error.ts";
import type { PciDevice } from "./device.ts";
import type { Missing } from "./fact.ts";
import type { LinuxInterrupt } from "./interrupt.ts";
import type { Processor } from "./processor.ts";
import type { HostState } from "./state.ts";
import type { HostSystem } from "./system.ts";
import type { AmdviUnitState, VtdUnitState } from "./unit.ts";
import type { PostedDescriptor, VirtualMachine } from "./virtual-machine.ts";

/** Something while facts are still added to it. */
export type Draft<Entity> = {
  -readonly [Key in keyof Entity]: Entity[Key] extends ReadonlyMap<infer Name, infer Value>
    ? Map<Name, Value>
    : Entity[Key];
};

/** Things of one kind that are kept apart; a host with more is not believed. */
const limit = 1 << 20;

/**
 * A host that is being put together. Readers name what they speak of and add what they know with `??=`: of two readers
 * that know a fact, the one that runs first is believed, so the best source is read first.
 */
export class HostDraft {
  readonly system: Draft<HostSystem> = { parameters: new Map(), counters: new Map() };
  readonly firmware: Draft<HostState["firmware"]> = {};
  readonly machines: Draft<VirtualMachine>[] = [];
  readonly missing: Missing[] = [];
  log: HostState["log"];
  producers: HostState["producers"];
  readonly #source: string;
  readonly #processors = new Map<number, Draft<Processor>>();
  readonly #devices = new Map<number, Draft<PciDevice>>();
  readonly #interrupts = new Map<number, Draft<LinuxInterrupt>>();
  readonly #descriptors = new Map<bigint, Draft<PostedDescriptor>>();
  readonly #units: (Draft<VtdUnitState> | Draft<AmdviUnitState>)[] = [];

  constructor(source: string) {
    this.#source = source;
  }

  /** @throws InputError when there are more than a host can have; so do the others. */
  processor(cpu: number): Draft<Processor> {
    return entry(this.#processors, cpu, () => ({ cpu }));
  }

  device(segment: number, requester: number): Draft<PciDevice> {
    return entry(this.#devices, segment * 0x1_0000 + requester, () => ({ segment, requester }));
  }

  interrupt(irq: number): Draft<LinuxInterrupt> {
    return entry(this.#interrupts, irq, () => ({ irq }));
  }

  descriptor(address: bigint, owner: PostedDescriptor["owner"]): Draft<PostedDescriptor> {
    return entry(this.#descriptors, address, () => ({ address, owner }));
  }

  /** The VT-d unit with this name or, if it is known, this register base. */
  vtdUnit(name: string, base?: bigint): Draft<VtdUnitState> {
    return this.#unit("intel", name, base) ?? this.#add({ vendor: "intel", name, registers: new Map() });
  }

  /** The AMD-Vi unit with this name or, if it is known, this register base. */
  amdviUnit(name: string, base?: bigint): Draft<AmdviUnitState> {
    return (
      this.#unit("amd", name, base) ??
      this.#add({ vendor: "amd", name, registers: new Map(), tables: new Map() })
    );
  }

  /** The units that there are so far. */
  get units(): readonly (Draft<VtdUnitState> | Draft<AmdviUnitState>)[] {
    return this.#units;
  }

  /** In ascending order of Linux's numbers. */
  get processors(): readonly Draft<Processor>[] {
    return ascending(this.#processors);
  }

  get devices(): Iterable<Draft<PciDevice>> {
    return this.#devices.values();
  }

  get interrupts(): Iterable<Draft<LinuxInterrupt>> {
    return this.#interrupts.values();
  }

  #unit<Vendor extends "intel" | "amd">(
    vendor: Vendor,
    name: string,
    base: bigint | undefined,
  ): Extract<Draft<VtdUnitState> | Draft<AmdviUnitState>, { vendor: Vendor }> | undefined {
    return this.#units.find(
      (unit): unit is Extract<typeof unit, { vendor: Vendor }> =>
        unit.vendor === vendor &&
        (unit.name === name || (base !== undefined && unit.registerBase?.value === base)),
    );
  }

  #add<Unit extends Draft<VtdUnitState> | Draft<AmdviUnitState>>(unit: Unit): Unit {
    this.#units.push(unit);
    return unit;
  }

  finish(): HostState {
    return {
      source: this.#source,
      system: this.system,
      processors: ascending(this.#processors),
      devices: ascending(this.#devices),
      firmware: this.firmware,
      units: this.#units,
      interrupts: ascending(this.#interrupts),
      machines: this.machines,
      descriptors: [...this.#descriptors.values()],
      ...(this.producers === undefined ? {} : { producers: this.producers }),
      ...(this.log === undefined ? {} : { log: this.log }),
      missing: this.missing,
    };
  }
}

/** Adds a fact to something, unless there is none or one is known already. */
export function learn<Entity extends object, Key extends keyof Entity>(
  entity: Entity,
  key: Key,
  known: Entity[Key] | undefined,
): void {
  if (known !== undefined && entity[key] === undefined) entity[key] = known;
}

function entry<Key, Entity>(entities: Map<Key, Entity>, key: Key, make: () => Entity): Entity {
  let entity = entities.get(key);
  if (entity === undefined) {
    if (entities.size >= limit) throw new InputError(`expected at most ${limit} of one kind on one host`);
    entity = make();
    entities.set(key, entity);
  }
  return entity;
}

function ascending<Entity>(entities: ReadonlyMap<number, Entity>): Entity[] {
  return [...entities].sort(([a], [b]) => a - b).map(([, entity]) => entity);
}
