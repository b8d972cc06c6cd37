import { type RuleId, ruleOf } from "../../spec/rules.ts";
import { runCase } from "../conformance/case-file.ts";
import { ModelOnly } from "../conformance/stage.ts";
import { type Deviation, brokenRules, ruleOfDeviation } from "./broken-rules.ts";
import { differencesOf, printSight, sameSights } from "./compare.ts";
import { type CorpusCase, type CorpusFile, readCorpus } from "./corpus.ts";
import { DeviationFinder } from "./deviation-finder.ts";
import { experienceOf } from "./experience.ts";
import { generateCase, usualRequesters } from "./generate.ts";
import { mostUnexplained, perSecond } from "./merge.ts";
import { type Profile, profileNamed } from "./model.ts";
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

/** Every so many cases one, from the first on that has the number. */
export interface Share {
  /** From 0, below `of`. */
  readonly number: number;
  readonly of: number;
}

export interface ConformOptions {
  readonly target: Target;
  /** Files of the corpus; the cases that are about the target's vendor are run. */
  readonly corpus?: readonly CorpusFile[];
  /** How many cases are generated. */
  readonly cases?: number;
  /** 32 bits; 1 unless told. */
  readonly seed?: number;
  /** What of the corpus and the generated cases is run, so that others can run the rest; all unless told. */
  readonly share?: Share;
  /** The devices that generated cases may use. */
  readonly requesters?: readonly number[];
  /** Cases that are handed to the target at once. */
  readonly batch?: number;
  /** Cases that are tried at most to make an example smaller. */
  readonly tries?: number;
  readonly onProgress?: (progress: ConformProgress) => void;
  /** Asked between cases. */
  readonly signal?: { readonly aborted: boolean };
  /** Lets others have their turn, the target's input and output for one; awaited every few cases. */
  readonly pause?: () => Promise<unknown>;
}

/** Of so many cases one looks at the local APICs; some of them are not run on the machine, and 1 in 100 is wanted of those that are. */
const casesPerApicLook = 90;
const goldenRatio = 0x9e37_79b9;

const usualBatch = 256;

const casesPerPause = 16;

/** Batches that the machine has been given: enough that a case which takes long keeps it from nothing else. */
const mostUnderWay = 4;

interface UnderWay {
  readonly batch: readonly Planned[];
  /** What will have been seen of each. */
  readonly running: Promise<readonly (readonly Sight[])[]>;
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
  readonly #share: Share;
  /** Cases of the share that have been taken: the corpus first. */
  #taken = 0;

  constructor(options: ConformOptions) {
    const { target, corpus = [] } = options;
    const { vendor, profile: name } = target;
    const profile = profileNamed(vendor, name);
    if (profile === undefined) throw new RangeError(`${target.name}: no profile ${name}`);
    this.#options = options;
    this.#target = target;
    this.#profile = profile;
    this.#finder = new DeviationFinder(profile, target.processors, experienceOf(profile));
    const hidden = (profile.deviations as readonly Deviation[]).includes("faultsNotRecorded");
    this.#tally = new Tally(this.#finder, hidden, mostUnexplained);
    this.#corpus = corpus.flatMap((file) => readCorpus(file, vendor));
    this.#generated = options.cases ?? 0;
    this.#seed = (options.seed ?? 1) >>> 0;
    this.#share = options.share ?? { number: 0, of: 1 };
  }

  get #total(): number {
    return this.#shareOf(this.#corpus.length + this.#generated);
  }

  /** How many of the first so many cases are of the share. */
  #shareOf(cases: number): number {
    const { number, of } = this.#share;
    return Math.max(0, Math.ceil((cases - number) / of));
  }

  get #aborted(): boolean {
    return this.#options.signal?.aborted === true;
  }

  async run(): Promise<ConformResult> {
    const start = Date.now();
    const underWay: UnderWay[] = [];
    // While the machine works on some batches, others are judged and made.
    for (;;) {
      const batch = await this.#prepare();
      if (batch.length > 0) {
        const running = this.#target.run(batch.map(({ script }) => script));
        // It is waited for below; until then its failure is nobody's.
        running.catch(() => {});
        underWay.push({ batch, running });
        if (underWay.length < mostUnderWay) continue;
      }
      const first = underWay.shift();
      if (first === undefined) break;
      await this.#judge(first.batch, await first.running);
    }
    const seconds = (Date.now() - start) / 1000;
    const aborted = this.#taken < this.#total;
    const unexplained = await this.#explainUnexplained();
    const known = await this.#describeKnown();
    const tally = this.#tally;
    const corpus = Math.min(this.#taken, this.#shareOf(this.#corpus.length));
    return {
      target: this.#target.name,
      vendor: this.#target.vendor,
      profile: this.#profile.name,
      seed: this.#seed,
      cases: this.#taken,
      corpus,
      generated: this.#taken - corpus,
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
      casesPerSecond: perSecond(tally.compared, seconds),
      aborted,
    };
  }

  async #judge(batch: readonly Planned[], seen: readonly (readonly Sight[])[]): Promise<void> {
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
    const total = this.#total;
    while (batch.length < size && this.#taken < total && !this.#aborted) {
      const taken = this.#taken++;
      const number = this.#share.number + taken * this.#share.of;
      const ofCorpus = this.#corpus[number];
      const planned =
        ofCorpus === undefined
          ? this.#plan(this.#generate(number - this.#corpus.length), number)
          : this.#planOfCorpus(ofCorpus, number);
      if (planned !== undefined) batch.push(planned);
      if (taken % casesPerPause === 0) await this.#options.pause?.();
    }
    return batch;
  }

  #generate(number: number): CaseRecord {
    const { requesters = usualRequesters } = this.#options;
    return generateCase(this.#target.vendor, this.#seed, number, requesters);
  }

  #planOfCorpus({ read, record, modelOnly }: CorpusCase, number: number): Planned | undefined {
    if (modelOnly !== undefined) this.#tally.leaveOut(modelOnly);
    const planned = modelOnly === undefined ? this.#plan(record, number) : undefined;
    if (planned === undefined && read.profiles.some((name) => !runCase(read, name).passed)) {
      this.#tally.modelFailed.push(read.id);
    }
    return planned;
  }

  #plan(record: CaseRecord, number: number): Planned | undefined {
    try {
      const apics = looksAtApics(number);
      const recording = recordCase(record, this.#finder.own, apics);
      const refusal = this.#target.refusal(recording.script);
      if (refusal !== undefined) throw new ModelOnly(refusal);
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
    const { tries } = this.#options;
    for (const record of this.#tally.unexplained) {
      if (this.#aborted) break;
      // Once more, without the local APICs if it shows without them.
      const [plain] = await this.#disagree([record], false);
      const apics = plain !== true;
      const smallest = await shrinkCase(record, (some) => this.#disagree(some, apics), tries);
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
      const smallest = await shrinkCase(seen.smallest, still, this.#options.tries);
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

/** Decided by a case's number alone, whoever runs it; evenly strewn over them all, and over every share. */
function looksAtApics(number: number): boolean {
  return Math.imul(number, goldenRatio) >>> 0 < 2 ** 32 / casesPerApicLook;
}

function cited(rule: RuleId): CitedRule {
  const { section, text } = ruleOf(rule);
  return { rule, section, text };
}
