import type { Section } from "../../spec/cite.ts";
import type { RuleId } from "../../spec/rules.ts";
import type { Path, UnitDecision } from "../path.ts";
import type { WalkStep } from "../walkthrough/step.ts";

/** One interrupt request to one entry of a unit that is brought up for it. */
export interface Trial {
  readonly vendor: "intel" | "amd";
  /** `vtd-strict`, `amdvi-strict` unless told. */
  readonly profile?: string;
  /** The entry at the index that the request names: 128 bits, or 32 of an AMD-Vi unit without `ga`. */
  readonly entry: bigint;
  /** The message: an address in FEEx_xxxxh, 32 bits of data. */
  readonly address: bigint;
  readonly data: number;
  /** Bus, device and function as 16 bits; null: not known. Unless told, the one that the entry is for. */
  readonly requester?: number | null;
  /** Remapping is on, unless told. */
  readonly remapping?: boolean;
  /** VT-d: destinations have 32 bits, unless told. */
  readonly eime?: boolean;
  /** VT-d: requests in compatibility format pass where EIME lets them; they do not unless told. */
  readonly compatibility?: boolean;
  /** VT-d: what lies at the entry's descriptor address, 512 bits; all zeros unless told. */
  readonly descriptor?: bigint;
  /** AMD-Vi: entries have 128 bits, unless told. */
  readonly ga?: boolean;
  /** AMD-Vi: entries may be in guest mode, with `ga` unless told. */
  readonly guestMode?: boolean;
  /** AMD-Vi: destinations have 32 bits, with `ga` unless told. */
  readonly xt?: boolean;
  /** AMD-Vi: 2048 interrupts a device. */
  readonly index2048?: boolean;
  /** AMD-Vi: the device's entry, 256 bits; one that remaps unless told. */
  readonly deviceEntry?: bigint;
}

/** What a unit posted. */
export interface TrialPosting {
  /** Of the descriptor, or of the backing page. */
  readonly address: bigint;
  readonly vector: number;
  /** A notification was sent, or the doorbell rung. */
  readonly notified: boolean;
  /** URG=1; AMD-Vi: an entry was written to the guest virtual APIC log. */
  readonly urgent: boolean;
  /** VT-d: the descriptor, 512 bits. */
  readonly before: bigint | null;
  readonly after: bigint | null;
}

/** What became of it. */
export interface TrialResult {
  readonly vendor: Trial["vendor"];
  readonly profile: string;
  readonly requester: number | null;
  readonly outcome: Path["outcome"];
  readonly rule: RuleId;
  readonly section: Section;
  readonly decision: UnitDecision;
  /** VT-d: the reason as `26h`; AMD-Vi: the event; null if the request was not blocked. */
  readonly fault: { readonly name: string; readonly recorded: boolean } | null;
  readonly posting: TrialPosting | null;
  readonly steps: readonly WalkStep[];
}
