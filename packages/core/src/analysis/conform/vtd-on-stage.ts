import { decode } from "../../spec/codec.ts";
import { type RegisterName, capability } from "../../spec/vtd/registers.ts";
import type { VtdProfile } from "../../hardware/vtd/profile.ts";
import type { RegisterWrite } from "../conformance/register-shapes.ts";
import { ModelOnly, type Stage } from "../conformance/stage.ts";
import type { Request, VtdActor } from "../conformance/vtd-actor.ts";
import type { VtdSetup } from "../conformance/vtd-setup.ts";
import { VtdSoftware, recordPlace } from "../conformance/vtd-software.ts";
import { reasons } from "./reasons.ts";

const defaultRequester = 0x18;

/** Plays a VT-d case on a stage. Each method throws ModelOnly for what cannot be done to a machine from outside. */
export class VtdOnStage implements VtdActor {
  readonly #stage: Stage;
  readonly #software: VtdSoftware;
  readonly #requester: number;
  readonly #records: number;
  readonly #capability: bigint;

  /** Fills memory and brings the unit up. */
  constructor(stage: Stage, setup: VtdSetup, profile: VtdProfile) {
    refuseForeign(setup, profile);
    const records = recordPlace(profile.capability);
    this.#stage = stage;
    this.#records = records.count;
    this.#capability = profile.capability;
    this.#requester = setup.requester ?? defaultRequester;
    this.#software = new VtdSoftware(stage, setup, records);
    if (setup.pids !== undefined) this.#wantPosting();
    this.#software.fillMemory(setup);
    this.#software.bringUp(setup);
  }

  #wantPosting(): void {
    if (decode(capability, this.#capability).pi !== 1) throw new ModelOnly(reasons.posting);
  }

  request({ address, data = 0, requester = this.#requester }: Request): void {
    this.#stage.request(address, data, requester);
  }

  access(): never {
    throw new ModelOnly(reasons.access);
  }

  sweep(): never {
    throw new ModelOnly(reasons.sweep);
  }

  write(one: RegisterWrite<RegisterName>): void {
    this.#software.write(one);
  }

  command(change: Readonly<Record<string, 0 | 1>>): void {
    this.#software.command(change);
  }

  clearRecord(record: number): void {
    if (record >= this.#records) throw new ModelOnly(reasons.records);
    this.#software.clearRecord(record);
  }

  submit(descriptors: readonly bigint[]): void {
    this.#software.submit(descriptors);
  }

  writeEntries(entries: readonly (readonly [number, bigint])[]): void {
    this.#software.writeEntries(entries);
  }

  writeDescriptors(descriptors: readonly (readonly [number, bigint])[]): void {
    this.#wantPosting();
    this.#software.writeDescriptors(descriptors);
  }

  writeMemory(words: readonly (readonly [number, number])[]): void {
    this.#software.writeMemory(words);
  }

  flush(): never {
    throw new ModelOnly(reasons.cpuCache);
  }

  injectError(): never {
    throw new ModelOnly(reasons.readError);
  }

  heal(): never {
    throw new ModelOnly(reasons.readError);
  }
}

/** A case may ask for what the machine happens to have. */
function refuseForeign(setup: VtdSetup, profile: VtdProfile): void {
  const { cap, ecap, hostAddressWidth, compression } = setup;
  const same =
    (cap === undefined || cap(profile.capability) === profile.capability) &&
    (ecap === undefined || ecap(profile.extendedCapability) === profile.extendedCapability);
  if (!same) throw new ModelOnly(reasons.capabilities);
  if (hostAddressWidth !== undefined && hostAddressWidth !== profile.hostAddressWidth)
    throw new ModelOnly(reasons.hostAddressWidth);
  if (compression !== undefined && (compression === 1) !== profile.compressesFaults)
    throw new ModelOnly(reasons.compression);
}
