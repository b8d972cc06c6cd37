import { amdviProfileNamed, vtdProfileNamed } from "../../hardware/profile.ts";
import { type RuleId, ruleOf } from "../../spec/rules.ts";
import { runCase } from "../conformance/case-file.ts";
import { ModelOnly } from "../conformance/stage.ts";
import { type Deviation, brokenRules, ruleOfDeviation } from "./broken-rules.ts";
import { differencesOf, printSight, sameSights } from "./compare.ts";
import { type CorpusCase, type CorpusFile, readCorpus } from "./corpus.ts";
import { DeviationFinder } from "./deviation-finder.ts";
import { generateCase, usualRequesters } from "./generate.ts";
import type { Profile } from "./model.ts";
import { readyCase } from "./ready-case.ts";
import { type CaseRecord, type Recording, recordCase } from "./recording.ts";
import type { CitedRule, ConformResult, KnownDeviation, Unexplained } from "./result.ts";
import type { Sight } from "./sight.ts";
import { shrinkCase } from "./shrink.ts";
import { type Planned, Tally } from "./tally.ts";
import type { Target } from "./target.ts";

export interface ConformProgress {
  readonly done: number;
  readonly total: number;
  readonly agreed: number;
  readonly deviating: number;
  readonly disagreed: number;
}

export interface ConformOptions {
  readonly target: Target;
  /** Files of the corpus; the cases that are about the target's vendor are run. */
  readonly corpus?: readonly CorpusFile[];
  /** How many cases are generated. */
  readonly cases?: number;
  /** 32 bits; 1 unless told. */
  readonly seed?: number;
  /** The devices that generated cases may use. */
  readonly requesters?: readonly number[];
  /** Cases that are handed to the target at once. */
  readonly batch?: number;
  readonly onProgress?: (progress: ConformProgress) => void;
  /** Asked between cases. */
  readonly signal?: { readonly aborted: boolean };
  /** Lets others have their turn, the target's input and output for one; awaited every few cases. */
  readonly pause?: () => Promise<unknown>;
}

/** Disagreements that are kept and made smaller. */
const mostUnexplained = 20;

/** Of so many cases that are run on the machine one looks at the local APICs. */
const casesPerApicLook = 96;

const usualBatch = 256;

const casesPerPause = 16;

interface Judged {
  readonly batch: readonly Planned[];
  /** What was seen of each. */
  readonly seen: readonly (readonly Sight[])[];
}

/**
 * Runs cases on a machine and on its model, and says where and why they differ.
 * @throws ShapeError when a file of the corpus is not of its format.
 * @throws RangeError when the target's profile is unknown.
 * @throws what the target throws.
 */
export function conform(options: ConformOptions): Promise<ConformResult> {
  return new Runner(options).run();
}

class Runner {
  readonly #options: ConformOptions;
  readonly #target: Target;
  readonly #profile: Profile;
  readonly #finder: DeviationFinder;
  readonly #tally: Tally;
  readonly #corpus: readonly CorpusCase[];
  readonly #generated: number;
  readonly #seed: number;
  /** Cases that have been taken: the corpus first. */
  #taken = 0;
  /** Cases since the local APICs were last looked at. */
  #sinceLook = casesPerApicLook;

  constructor(options: ConformOptions) {
    const { target, corpus = [] } = options;
    const { vendor, profile: name } = target;
    const profile = vendor === "intel" ? vtdProfileNamed(name) : amdviProfileNamed(name);
    if (profile === undefined) throw new RangeError(`${target.name}: no profile ${name}`);
    this.#options = options;
    this.#target = target;
    this.#profile = profile;
    this.#finder = new DeviationFinder(profile, target.processors);
    const hidden = (profile.deviations as readonly Deviation[]).includes("faultsNotRecorded");
    this.#tally = new Tally(this.#finder, hidden, mostUnexplained);
    this.#corpus = corpus.flatMap((file) => readCorpus(file, vendor));
    this.#generated = options.cases ?? 0;
    this.#seed = (options.seed ?? 1) >>> 0;
  }

  get #total(): number {
    return this.#corpus.length + this.#generated;
  }

  get #aborted(): boolean {
    return this.#options.signal?.aborted === true;
  }

  async run(): Promise<ConformResult> {
    const start = Date.now();
    let batch = await this.#prepare();
    let before: Judged = { batch: [], seen: [] };
    while (batch.length > 0) {
      // While the machine works on one batch, the one before is judged and the next is made.
      const running = this.#target.run(batch.map(({ script }) => script));
      // It is waited for below; until then its failure is nobody's.
      running.catch(() => {});
      await this.#judge(before);
      const next = await this.#prepare();
      before = { batch, seen: await running };
      batch = next;
    }
    await this.#judge(before);
    const seconds = (Date.now() - start) / 1000;
    const aborted = this.#taken < this.#total;
    const unexplained = await this.#explainUnexplained();
    const known = await this.#describeKnown();
    const tally = this.#tally;
    return {
      target: this.#target.name,
      vendor: this.#target.vendor,
      profile: this.#profile.name,
      seed: this.#seed,
      cases: this.#taken,
      corpus: Math.min(this.#taken, this.#corpus.length),
      generated: Math.max(0, this.#taken - this.#corpus.length),
      compared: tally.compared,
      agreed: tally.agreed,
      deviating: tally.deviating,
      disagreed: tally.disagreed,
      known,
      unexplained,
      modelOnly: tally.modelOnly,
      modelFailed: tally.modelFailed,
      notCompared: tally.notCompared,
      apicsCompared: tally.apicsCompared,
      seconds,
      casesPerSecond: seconds > 0 ? Math.round(tally.compared / seconds) : 0,
      aborted,
    };
  }

  async #judge({ batch, seen }: Judged): Promise<void> {
    if (batch.length === 0) return;
    for (const [i, one] of batch.entries()) {
      this.#tally.judge(one, seen[i] ?? []);
      if (i % casesPerPause === 0) await this.#options.pause?.();
    }
    const { done, agreed, deviating, disagreed } = this.#tally;
    this.#options.onProgress?.({ done, total: this.#total, agreed, deviating, disagreed });
  }

  /** The next cases that can be put before the machine; the others are run on the model on the way. */
  async #prepare(): Promise<Planned[]> {
    const size = this.#options.batch ?? usualBatch;
    const batch: Planned[] = [];
    while (batch.length < size && this.#taken < this.#total && !this.#aborted) {
      const number = this.#taken++;
      const ofCorpus = this.#corpus[number];
      const planned =
        ofCorpus === undefined
          ? this.#plan(this.#generate(number - this.#corpus.length))
          : this.#planOfCorpus(ofCorpus);
      if (planned !== undefined) batch.push(planned);
      if (number % casesPerPause === 0) await this.#options.pause?.();
    }
    return batch;
  }

  #generate(number: number): CaseRecord {
    const { requesters = usualRequesters } = this.#options;
    return generateCase(this.#target.vendor, this.#seed, number, requesters);
  }

  #planOfCorpus({ read, record, modelOnly }: CorpusCase): Planned | undefined {
    if (modelOnly !== undefined) this.#tally.leaveOut(modelOnly);
    const planned = modelOnly === undefined ? this.#plan(record) : undefined;
    if (planned === undefined && read.profiles.some((name) => !runCase(read, name).passed)) {
      this.#tally.modelFailed.push(read.id);
    }
    return planned;
  }

  #plan(record: CaseRecord): Planned | undefined {
    try {
      const apics = this.#sinceLook + 1 >= casesPerApicLook;
      const recording = recordCase(record, this.#finder.own, apics);
      const refusal = this.#target.refusal(recording.script);
      if (refusal !== undefined) throw new ModelOnly(refusal);
      this.#sinceLook = apics ? 0 : this.#sinceLook + 1;
      return { record, ...recording };
    } catch (error) {
      if (!(error instanceof ModelOnly)) throw error;
      this.#tally.leaveOut(error.message);
      return undefined;
    }
  }

  /** A case as a script, if it is one that the machine takes. */
  #recording(record: CaseRecord, apics = false): Recording | undefined {
    try {
      const recording = recordCase(record, this.#finder.own, apics);
      return this.#target.refusal(recording.script) === undefined ? recording : undefined;
    } catch {
      // What is left of a case need not be one.
      return undefined;
    }
  }

  async #seen(recordings: readonly Recording[]): Promise<readonly (readonly Sight[])[]> {
    return recordings.length === 0 ? [] : this.#target.run(recordings.map(({ script }) => script));
  }

  async #explainUnexplained(): Promise<Unexplained[]> {
    const found = new Map<string, Unexplained & { readonly also: string[] }>();
    for (const record of this.#tally.unexplained) {
      if (this.#aborted) break;
      // Once more, without the local APICs if it shows without them.
      const [plain] = await this.#disagree([record], false);
      const apics = plain !== true;
      const smallest = await shrinkCase(record, (some) => this.#disagree(some, apics));
      const same = JSON.stringify([smallest["setup"], smallest["steps"], apics]);
      const known = found.get(same);
      if (known !== undefined) known.also.push(record.id);
      else found.set(same, { ...(await this.#describe(record, smallest, apics)), also: [] });
    }
    return [...found.values()];
  }

  async #disagree(records: readonly CaseRecord[], apics: boolean): Promise<boolean[]> {
    const recordings = records.map((one) => this.#recording(one, apics));
    const seen = await this.#seen(recordings.filter((one) => one !== undefined));
    let at = 0;
    return recordings.map((one) => one !== undefined && !sameSights(one.sights, seen[at++]!));
  }

  async #describe(
    record: CaseRecord,
    smallest: CaseRecord,
    apics: boolean,
  ): Promise<Omit<Unexplained, "also">> {
    const { vendor, name } = this.#target;
    const recording = recordCase(smallest, this.#finder.own, apics);
    const [got = []] = await this.#seen([recording]);
    const differences = differencesOf(vendor, recording.sights, got);
    const id = record.id;
    const rule: RuleId = vendor === "intel" ? "vtd.ir.remap" : "amdvi.ir.remap";
    const told = differences.map(({ scene, what, got: shown }) => `${what} of scene ${scene}: ${shown}`);
    const ready = readyCase(smallest, vendor, this.#profile.name, {
      id: `unexplained.${id}`,
      title: `${name} does otherwise than ${this.#profile.name}.`,
      rules: [rule],
      note: `${name}: ${told.length === 0 ? "agreed when it was asked again" : told.join("; ")}.`,
    });
    return { id, smallest: ready, differences };
  }

  async #describeKnown(): Promise<KnownDeviation[]> {
    const found: KnownDeviation[] = [];
    const flags = this.#profile.deviations as readonly Deviation[];
    for (const flag of flags) {
      const seen = this.#tally.known.get(flag);
      if (seen === undefined) continue;
      const shows = ({ script, sights }: Recording): boolean =>
        seen.alone
          ? !sameSights(this.#finder.strict(script), sights) &&
            sameSights(this.#finder.model([flag]).run(script), sights)
          : !sameSights(this.#finder.model(flags.filter((one) => one !== flag)).run(script), sights);
      const still = (records: readonly CaseRecord[]): Promise<boolean[]> =>
        Promise.resolve(
          records.map((one) => {
            const recording = this.#recording(one);
            return recording !== undefined && shows(recording);
          }),
        );
      const smallest = await shrinkCase(seen.smallest, still);
      // The machine has the last word: what it has not been asked is not told.
      const [disagrees] = await this.#disagree([smallest], false);
      found.push(await this.#describeOne(flag, seen.cases, disagrees === true ? seen.smallest : smallest));
    }
    return found;
  }

  async #describeOne(flag: Deviation, cases: number, record: CaseRecord): Promise<KnownDeviation> {
    const { vendor } = this.#target;
    const rule = cited(ruleOfDeviation(flag));
    const breaks = cited(brokenRules[flag]);
    const recording = recordCase(record, this.#finder.own);
    const [got = []] = await this.#seen([recording]);
    const strict = this.#finder.strict(recording.script);
    const print = (sights: readonly Sight[]): string =>
      sights.map((one) => printSight(vendor, one)).join("; then ");
    const smallest = readyCase(record, vendor, this.#profile.name, {
      id: `deviation.${rule.rule}`,
      title: rule.text,
      rules: [rule.rule, breaks.rule],
    });
    return { flag, ...rule, breaks, cases, smallest, wanted: print(strict), got: print(got) };
  }
}

function cited(rule: RuleId): CitedRule {
  const { section, text } = ruleOf(rule);
  return { rule, section, text };
}
