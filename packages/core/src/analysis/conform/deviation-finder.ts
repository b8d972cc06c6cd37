import type { Deviation } from "./broken-rules.ts";
import { sameSight, sameSights } from "./compare.ts";
import { Model, type Profile } from "./model.ts";
import { ScratchMemory } from "./scratch-memory.ts";
import type { Scene, Script } from "./script.ts";
import type { Sight } from "./sight.ts";

/** Models that are kept, each for a set of deviations. */
const mostModels = 1024;

const hintBit = 8n;

/** Deviations that together have explained a scene, and how often. */
interface Step {
  readonly flags: readonly Deviation[];
  hits: number;
}

/** What earlier scripts have taught of a profile: which deviations are worth a try first. */
export interface Experience {
  /** What has explained a scene, by how it looked; what did so most often first. */
  readonly known: Map<number, Step[]>;
  /** Each deviation by itself, the most frequent first. */
  readonly single: Step[];
}

interface Explained {
  readonly set: readonly Deviation[];
  /** What a machine with these deviations does. */
  readonly sights: readonly Sight[];
}

/** Says which of a profile's deviations a machine was seen to have. */
export class DeviationFinder {
  readonly #profile: Profile;
  readonly #processors: number;
  readonly #memory = new ScratchMemory();
  /** By the bits of their deviations. */
  readonly #models = new Map<number, Model>();
  readonly #bits: ReadonlyMap<Deviation, number>;
  /** The model of the profile itself. */
  readonly own: Model;
  readonly #obedient: Model;
  readonly #all: readonly Deviation[];
  readonly #learns: boolean;
  readonly #experience: Experience;

  /**
   * @param experience of the same profile, which is left as it is: then a script is explained in the same way whatever came before it.
   * Without it each script adds to {@link Experience}.
   */
  constructor(profile: Profile, processors: number, experience?: Experience) {
    this.#profile = profile;
    this.#processors = processors;
    this.#all = profile.deviations;
    this.#bits = new Map(this.#all.map((flag, i) => [flag, 1 << i]));
    this.#learns = experience === undefined;
    const single = this.#all.map((flag) => ({ flags: [flag], hits: 0 }));
    this.#experience = experience ?? { known: new Map(), single };
    this.own = this.model(this.#all);
    this.#obedient = this.model([]);
  }

  get experience(): Experience {
    return this.#experience;
  }

  /** A model of the same capabilities with some of the deviations; reset before use, and no other is used meanwhile. */
  model(deviations: readonly Deviation[]): Model {
    let key = 0;
    for (const flag of deviations) key |= this.#bits.get(flag) ?? 0;
    let model = this.#models.get(key);
    if (model === undefined) {
      if (this.#models.size >= mostModels) this.#models.clear();
      const profile = { ...this.#profile, deviations } as Profile;
      model = new Model(profile, this.#processors, this.#memory);
      this.#models.set(key, model);
    }
    return model;
  }

  /** What a machine of the same capabilities does that obeys the specification. */
  strict(script: Script): Sight[] {
    return this.#obedient.run(script);
  }

  /**
   * Deviations that explain what was seen, and of which none can be spared; empty if the specification explains it.
   * @param strict what {@link strict} says of the script.
   * @param got what the profile with all its deviations explains.
   */
  explain(script: Script, strict: readonly Sight[], got: readonly Sight[]): readonly Deviation[] {
    if (sameSights(strict, got)) return [];
    // Looked at after each request, one thing at a time comes out.
    const fine = cutFinely(script);
    let set: readonly Deviation[] = [];
    let sights = fine === script ? strict : this.strict(fine);
    const wanted = fine === script ? got : this.own.run(fine);
    for (;;) {
      const scene = firstDifference(sights, wanted);
      if (scene < 0) return this.#spare(set, script, got);
      ({ set, sights } = this.#advance(fine, set, sights, wanted, scene));
    }
  }

  /** Adds what explains the first scene that is not explained yet. */
  #advance(
    script: Script,
    set: readonly Deviation[],
    sights: readonly Sight[],
    got: readonly Sight[],
    scene: number,
  ): Explained {
    const looks = appearance(sights[scene]!, got[scene]!);
    const { known, single } = this.#experience;
    const alike = known.get(looks) ?? [];
    if (this.#learns) known.set(looks, alike);
    for (const list of [alike, single]) {
      for (const step of list) {
        if (step.flags.every((flag) => set.includes(flag))) continue;
        const next = this.#with(script, set, step.flags);
        const at = firstDifference(next.sights, got);
        if (at >= 0 && at <= scene) continue;
        this.#count(step, alike);
        return next;
      }
    }
    // No deviation does so by itself: what does is looked for from the ground up, and known the next time.
    const until = { ...script, scenes: script.scenes.slice(0, scene + 1) };
    const needed = this.#spare(this.#all, until, got.slice(0, scene + 1));
    this.#count({ flags: needed.filter((flag) => !set.includes(flag)), hits: 0 }, alike);
    return this.#with(script, [], needed);
  }

  #with(script: Script, set: readonly Deviation[], more: readonly Deviation[]): Explained {
    const next = this.#all.filter((flag) => set.includes(flag) || more.includes(flag));
    return { set: next, sights: this.model(next).run(script) };
  }

  #count(step: Step, alike: Step[]): void {
    if (!this.#learns) return;
    step.hits++;
    if (!alike.includes(step)) alike.push(step);
    rise(alike, step);
    rise(this.#experience.single, step);
  }

  /** Takes away what can be spared. @param set explains what was seen. */
  #spare(set: readonly Deviation[], script: Script, got: readonly Sight[]): readonly Deviation[] {
    if (set.length === 1) return set;
    for (const flag of set) {
      const less = set.filter((one) => one !== flag);
      if (sameSights(this.model(less).run(script), got)) return this.#spare(less, script, got);
    }
    return set;
  }
}

/** The script with a look after each request, and after each write to a register that comes behind one. */
function cutFinely(script: Script): Script {
  const scenes: Scene[] = [];
  let requests = 0;
  for (const { deeds, registers, memory, apics } of script.scenes) {
    let from = 0;
    for (let at = 0; at < deeds.length - 1; at++) {
      const { does } = deeds[at]!;
      if (does === "msi") requests++;
      if (does !== "msi" && (does !== "register" || requests === 0)) continue;
      scenes.push({ deeds: deeds.slice(from, at + 1), registers: [], memory: [], apics });
      from = at + 1;
    }
    if (deeds.at(-1)?.does === "msi") requests++;
    scenes.push({ deeds: from === 0 ? deeds : deeds.slice(from), registers, memory, apics });
  }
  return scenes.length === script.scenes.length ? script : { ...script, scenes };
}

/** The first scene that differs; -1 if none does. */
function firstDifference(a: readonly Sight[], b: readonly Sight[]): number {
  return a.findIndex((sight, i) => !sameSight(sight, b[i]!));
}

/** Moves what has become more frequent towards the front. */
function rise(list: Step[], step: Step): void {
  let at = list.indexOf(step);
  if (at < 0) return;
  for (; at > 0 && list[at - 1]!.hits < step.hits; at--) list[at] = list[at - 1]!;
  list[at] = step;
}

/** A number that is the same for what looks alike: what was sent or not, blocked for what reasons, and what differs of it. */
function appearance(a: Sight, b: Sight): number {
  let mixed = 1;
  const mix = (value: number): void => {
    mixed = Math.imul(mixed ^ value, 0x0100_0193);
  };
  mix(Math.sign(a.handed.length - b.handed.length));
  for (let n = 0; n < a.handed.length && n < b.handed.length; n++) {
    const [one, other] = [a.handed[n]!, b.handed[n]!];
    if (one.destination !== other.destination) mix(1);
    if (one.vector !== other.vector) mix(2);
    if (one.level !== other.level) mix(3);
    if (((a.sent[n]!.address ^ b.sent[n]!.address) & hintBit) !== 0n) mix(4);
  }
  // The reasons of records, the codes of events.
  for (const half of a.faults) mix(Number((half >> 32n) & 0xf000_00ffn));
  mix(b.faults.length);
  for (const half of b.faults) mix(Number((half >> 32n) & 0xf000_00ffn));
  return mixed;
}
