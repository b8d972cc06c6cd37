import type { Vendor } from "../../evidence/qemu-trace/index.ts";
import { type JsonObject, ShapeError, entries } from "../../spec/shape.ts";
import { amdviActions } from "../conformance/amdvi.ts";
import { amdviSetup } from "../conformance/amdvi-setup.ts";
import type { Stage } from "../conformance/stage.ts";
import type { Action } from "../conformance/subject.ts";
import { vtdActions } from "../conformance/vtd.ts";
import { vtdSetup } from "../conformance/vtd-setup.ts";
import { AmdviOnStage } from "./amdvi-on-stage.ts";
import { looksOf } from "./looks.ts";
import { type Model, isVtd } from "./model.ts";
import type { Deed, Scene, Script } from "./script.ts";
import type { Sight } from "./sight.ts";
import { VtdOnStage } from "./vtd-on-stage.ts";

/** A record of the corpus' format that is whole by itself. */
export type CaseRecord = JsonObject & { readonly id: string };

/** A case as a script, and what the model saw on which it was recorded. */
export interface Recording {
  readonly script: Script;
  readonly sights: readonly Sight[];
}

/** A stage that keeps what is done on it, and does it to a model, so that software reads what that model would answer. */
class RecordingStage implements Stage {
  readonly scenes: Scene[] = [];
  readonly sights: Sight[] = [];
  readonly #model: Model;
  readonly #apics: boolean;
  #deeds: Deed[] = [];

  constructor(model: Model, apics: boolean) {
    this.#model = model;
    this.#apics = apics;
    model.reset(apics);
  }

  #do(deed: Deed): void {
    this.#deeds.push(deed);
    this.#model.do(deed);
  }

  store(address: number, words: Int32Array): void {
    this.#do({ does: "memory", address, words: Array.from(words) });
  }

  write(offset: number, width: 32 | 64, value: bigint): void {
    this.#do({ does: "register", offset, width, value });
  }

  read(offset: number, width: 32 | 64): bigint {
    return this.#model.read(offset, width);
  }

  ownMessage(address: bigint, data: number): void {
    this.#do({ does: "ownMessage", address, data });
  }

  request(address: number, data: number, requester: number | null): void {
    this.#do({ does: "msi", address, data, requester });
  }

  /** Ends a scene. */
  cut({ registers, memory }: Pick<Scene, "registers" | "memory">): void {
    const scene = { deeds: this.#deeds, registers, memory, apics: this.#apics };
    this.#deeds = [];
    this.scenes.push(scene);
    this.sights.push(this.#model.look(scene));
  }

  /** Whether something has been done since the last cut. */
  get uncut(): boolean {
    return this.#deeds.length > 0;
  }
}

/**
 * Plays a case on a model, and keeps it as a script.
 * @param model of the machine for which the script is meant; it is reset first.
 * @param apics whether the local APICs are looked at.
 * @throws ModelOnly when the case is about what cannot be done to a machine from outside, or be seen of it.
 * @throws ShapeError when the record is not of the corpus' format.
 */
export function recordCase(record: CaseRecord, model: Model, apics = false): Recording {
  const name = record.id;
  const stage = new RecordingStage(model, apics);
  const { profile } = model;
  const setup = record["setup"] ?? {};
  if (isVtd(profile)) {
    const actor = new VtdOnStage(stage, vtdSetup(setup, name), profile);
    play(record, stage, "intel", vtdActions, actor);
  } else {
    const actor = new AmdviOnStage(stage, amdviSetup(setup, name), profile);
    play(record, stage, "amd", amdviActions, actor);
  }
  const vendor = isVtd(profile) ? "intel" : "amd";
  return { script: { vendor, name, scenes: stage.scenes }, sights: stage.sights };
}

function play<Actor>(
  record: CaseRecord,
  stage: RecordingStage,
  vendor: Vendor,
  actions: Readonly<Record<string, Action<Actor>>>,
  actor: Actor,
): void {
  const steps = record["steps"];
  if (!Array.isArray(steps)) throw new ShapeError(`${record.id}: steps`, "expected a list");
  for (const [at, step] of steps.entries()) {
    const place = `${record.id}: steps[${at}]`;
    const given = entries(step, place);
    const action = Object.keys(given).find((key) => actions[key] !== undefined);
    if (action === undefined) throw new ShapeError(place, "no action");
    const act = actions[action]!(given[action], `${place}.${action}`);
    const times = given["repeat"] === undefined ? 1 : Number(given["repeat"]);
    for (let i = 0; i < times; i++) act(actor);
    const expect = given["expect"];
    if (expect !== undefined) stage.cut(looksOf(expect, vendor));
  }
  if (stage.uncut) stage.cut({ registers: [], memory: [] });
}
