import type { Vendor } from "../../evidence/qemu-trace/index.ts";
import type { AmdviProfile } from "../../hardware/amdvi/profile.ts";
import { AmdviUnit } from "../../hardware/amdvi/unit.ts";
import { type InterruptFabric, type RemappingUnit, unknownRequester } from "../../hardware/delivery.ts";
import { amdviProfileNamed, vtdProfileNamed } from "../../hardware/profile.ts";
import type { VtdProfile } from "../../hardware/vtd/profile.ts";
import { VtdUnit } from "../../hardware/vtd/unit.ts";
import { eventBytes } from "../../spec/amdvi/events.ts";
import { registers as amdviRegisters, ringBase } from "../../spec/amdvi/registers.ts";
import { decode, toWords } from "../../spec/codec.ts";
import { registers as vtdRegisters } from "../../spec/vtd/registers.ts";
import { recordPlace } from "../conformance/vtd-software.ts";
import type { Deed, Scene, Script } from "./script.ts";
import { ScratchMemory } from "./scratch-memory.ts";
import { SightFabric } from "./sight-fabric.ts";
import type { Sight } from "./sight.ts";

/** What models a machine's remapping unit. */
export type Profile = VtdProfile | AmdviProfile;

export function isVtd(profile: Profile): profile is VtdProfile {
  return "capability" in profile;
}

/** The profile of a name; undefined if there is none. */
export function profileNamed(vendor: Vendor, name: string): Profile | undefined {
  return vendor === "intel" ? vtdProfileNamed(name) : amdviProfileNamed(name);
}

interface Unit extends RemappingUnit {
  reset(): void;
  read(offset: number, width: 32 | 64): bigint;
  write(offset: number, width: 32 | 64, value: bigint): void;
  /** What software finds of fault or event records. */
  readonly records: readonly bigint[];
  setMessage(message: { addressLow: number; addressHigh: number; data: number } | undefined): void;
}

/** Processors of a machine that says nothing else. */
const usualProcessors = 4;

/**
 * A machine of the project's own on which deeds are done one after another. It can be reset, and then is as new; it may
 * share its memory with others, as long as only one of them is in use between a reset and the next.
 */
export class Model {
  readonly profile: Profile;
  readonly processors: number;
  readonly #memory: ScratchMemory;
  readonly #fabric = new SightFabric();
  readonly #unit: Unit;

  constructor(profile: Profile, processors: number = usualProcessors, memory = new ScratchMemory()) {
    this.profile = profile;
    this.processors = processors;
    this.#memory = memory;
    this.#unit = isVtd(profile)
      ? new VtdUnderTest(memory, this.#fabric, profile)
      : new AmdviUnderTest(memory, this.#fabric, profile);
  }

  /** Power comes. @param apics whether somebody will look at the local APICs. */
  reset(apics: boolean): void {
    this.#memory.forget();
    this.#fabric.reset(apics ? this.processors : 0);
    this.#unit.reset();
  }

  do(deed: Deed): void {
    switch (deed.does) {
      case "memory":
        for (let i = 0; i < deed.words.length; i++) {
          this.#memory.write32(deed.address + 4 * i, deed.words[i]! | 0);
        }
        return;
      case "register":
        return this.#unit.write(deed.offset, deed.width, deed.value);
      case "msi":
        this.#unit.interrupt(deed.address | 0, deed.data | 0, deed.requester ?? unknownRequester);
        return;
      case "ownMessage": {
        const [low, high] = toWords(deed.address, 64);
        this.#unit.setMessage({ addressLow: low!, addressHigh: high!, data: deed.data | 0 });
      }
    }
  }

  read(offset: number, width: 32 | 64): bigint {
    return this.#unit.read(offset, width);
  }

  /** What is seen after a scene's deeds. */
  look({ registers, memory, apics }: Omit<Scene, "deeds">): Sight {
    const { sent, handed } = this.#fabric;
    this.#fabric.sent = [];
    this.#fabric.handed = [];
    return {
      sent,
      handed,
      faults: this.#unit.records,
      registers: registers.map(({ offset, width }) => this.#unit.read(offset, width)),
      memory: memory.map((address) => this.#memory.read32(address) >>> 0),
      irr: apics ? this.#fabric.irr : null,
    };
  }

  /** Runs a script from reset on. */
  run({ scenes }: Script): Sight[] {
    this.reset(scenes.some(({ apics }) => apics));
    return scenes.map((scene) => {
      for (const deed of scene.deeds) this.do(deed);
      return this.look(scene);
    });
  }
}

class VtdUnderTest extends VtdUnit implements Unit {
  readonly #records: { readonly offset: number; readonly count: number };

  constructor(memory: ScratchMemory, fabric: InterruptFabric, profile: VtdProfile) {
    super({ memory, fabric, profile });
    this.#records = recordPlace(profile.capability);
  }

  get records(): readonly bigint[] {
    const { offset, count } = this.#records;
    const found = [this.read(vtdRegisters.FSTS.offset, 32)];
    for (let at = offset; at < offset + 16 * count; at += 8) found.push(this.read(at, 64));
    return found;
  }

  setMessage(): void {
    throw new RangeError("VT-d: a unit has no function of its own");
  }
}

class AmdviUnderTest extends AmdviUnit implements Unit {
  readonly #memory: ScratchMemory;

  constructor(memory: ScratchMemory, fabric: InterruptFabric, profile: AmdviProfile) {
    super({ memory, fabric, profile });
    this.#memory = memory;
  }

  override reset(): void {
    this.setMessage(undefined);
    super.reset();
  }

  get records(): readonly bigint[] {
    const { EVT_LOG_BASE, EVT_LOG_HEAD, EVT_LOG_TAIL } = amdviRegisters;
    const tail = Number(this.read(EVT_LOG_TAIL.offset, 32));
    let at = Number(this.read(EVT_LOG_HEAD.offset, 32));
    if (at === tail) return [];
    const { base, length } = decode(ringBase, this.read(EVT_LOG_BASE.offset, 64));
    const size = 16 * 2 ** Number(length);
    const found: bigint[] = [];
    // A tail that software has put outside the ring is never met.
    for (let left = size / eventBytes; at % size !== tail % size && left > 0; left--) {
      const place = Number(base) + (at % size);
      found.push(this.#memory.read64(place), this.#memory.read64(place + 8));
      at += eventBytes;
    }
    return found;
  }
}

/**
 * Runs a script on a machine of its own.
 * @param processors whose APIC ids are 0 up; they matter where the script looks at local APICs.
 */
export function runOnModel(script: Script, profile: Profile, processors?: number): Sight[] {
  return new Model(profile, processors).run(script);
}
