import type { Vendor } from "../../evidence/qemu-trace/index.ts";
import type { RuleId } from "../../spec/rules.ts";
import type { Deviation } from "./broken-rules.ts";
import type { Difference } from "./compare.ts";
import type { CaseRecord } from "./recording.ts";

/** A rule with what a reader wants to know of it. */
export interface CitedRule {
  readonly rule: RuleId;
  readonly section: string;
  readonly text: string;
}

/** A deviation of the machine's version that was seen. */
export interface KnownDeviation extends CitedRule {
  /** The profile's flag that models it. */
  readonly flag: Deviation;
  /** What of the specification it goes against. */
  readonly breaks: CitedRule;
  /** In how many cases it had a part. */
  readonly cases: number;
  /** The smallest case found that shows it, as a record of the corpus. */
  readonly smallest: CaseRecord;
  /** What the specification has that case end in, and what the machine did, in a line each. */
  readonly wanted: string;
  readonly got: string;
}

/** A case in which a machine does what its profile does not. */
export interface Unexplained {
  /** The case in which it was met. */
  readonly id: string;
  /** The smallest case found that still shows a disagreement, as a record of the corpus. */
  readonly smallest: CaseRecord;
  /** Of the smallest case; `expected` is what the profile does. */
  readonly differences: readonly Difference[];
  /** Further cases of which the smallest that disagrees is the same. */
  readonly also: readonly string[];
}

export interface ConformResult {
  readonly target: string;
  readonly vendor: Vendor;
  readonly profile: string;
  readonly seed: number;
  /** All cases: of the corpus and generated, those that were run on the model only among them. */
  readonly cases: number;
  readonly corpus: number;
  readonly generated: number;
  /** Cases that were run on the machine; the sum of the next three. */
  readonly compared: number;
  /** The machine did what the specification wants. */
  readonly agreed: number;
  /** It did what its version's profile does, and the specification does not want. */
  readonly deviating: number;
  /** It did something else; {@link unexplained} has the first of them. */
  readonly disagreed: number;
  readonly known: readonly KnownDeviation[];
  readonly unexplained: readonly Unexplained[];
  /** Cases that were not run on the machine, by reason. */
  readonly modelOnly: Readonly<Record<string, number>>;
  /** Of those, the ones that the model fails itself, by their ids. */
  readonly modelFailed: readonly string[];
  /** Cases of which something could not be compared, by what that was. */
  readonly notCompared: Readonly<Record<string, number>>;
  /** Cases in which the local APICs were compared too. */
  readonly apicsCompared: number;
  /** From the first case to the last, without the search for smaller ones. */
  readonly seconds: number;
  readonly casesPerSecond: number;
  /** Somebody stopped it before all cases were run. */
  readonly aborted: boolean;
}
