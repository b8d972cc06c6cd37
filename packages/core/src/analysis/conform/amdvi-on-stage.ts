import type { AmdviProfile } from "../../hardware/amdvi/profile.ts";
import type { RegisterName } from "../../spec/amdvi/registers.ts";
import type { AmdviActor, Request } from "../conformance/amdvi-actor.ts";
import type { AmdviSetup, TableEntry } from "../conformance/amdvi-setup.ts";
import { AmdviSoftware } from "../conformance/amdvi-software.ts";
import type { RegisterWrite } from "../conformance/register-shapes.ts";
import { ModelOnly, type Stage } from "../conformance/stage.ts";
import { reasons } from "./reasons.ts";

const defaultRequester = 0x20;
const defaultMessage = 0xfee0_0000;

/** Plays an AMD-Vi case on a stage. Each method throws ModelOnly for what cannot be done to a machine from outside. */
export class AmdviOnStage implements AmdviActor {
  readonly #stage: Stage;
  readonly #software: AmdviSoftware;
  readonly #requester: number;

  /** Fills memory and brings the unit up. */
  constructor(stage: Stage, setup: AmdviSetup, { efr, efr2 }: AmdviProfile) {
    // A case may ask for what the machine happens to have.
    const same = (setup.efr?.(efr) ?? efr) === efr && (setup.efr2?.(efr2) ?? efr2) === efr2;
    if (!same) throw new ModelOnly(reasons.capabilities);
    this.#stage = stage;
    this.#requester = setup.requester ?? defaultRequester;
    this.#software = new AmdviSoftware(stage, setup);
    this.#software.fillMemory(setup);
    if (setup.message !== undefined) stage.ownMessage(setup.message.address, setup.message.data);
    this.#software.bringUp(setup);
  }

  request({ address = defaultMessage, data, requester = this.#requester }: Request): void {
    this.#stage.request(address, data, requester);
  }

  malformed(): never {
    throw new ModelOnly(reasons.access);
  }

  write(one: RegisterWrite<RegisterName>): void {
    this.#software.write(one);
  }

  submit(commands: readonly bigint[]): void {
    this.#software.submit(commands);
  }

  writeDevices(devices: readonly (readonly [number, bigint])[]): void {
    this.#software.writeDevices(devices);
  }

  writeEntries(entries: readonly (readonly [number, TableEntry])[]): void {
    this.#software.writeEntries(entries);
  }

  writeMemory(words: readonly (readonly [number, number])[]): void {
    this.#software.writeMemory(words);
  }

  injectError(): never {
    throw new ModelOnly(reasons.readError);
  }

  heal(): never {
    throw new ModelOnly(reasons.readError);
  }
}
