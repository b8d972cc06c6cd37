import { postsThrough } from "../../hardware/vtd/entry-format.ts";
import { Mode } from "../../hardware/vtd/state.ts";
import type { VtdProfile } from "../../hardware/vtd/profile.ts";
import { decode, fromWords, validate } from "../../spec/codec.ts";
import { irtePosted, irteRemapped } from "../../spec/vtd/irte.ts";
import { capability } from "../../spec/vtd/registers.ts";
import type { Hazard } from "./hazard.ts";

/** Rules of the entry's format that a unit of a profile does not look at. */
function lenient(profile: VtdProfile, rule: string): boolean {
  const { deviations } = profile;
  if (rule === "vtd.irte.xapic-destination") return deviations.includes("destinationMasked");
  if (rule === "vtd.irte.delivery-mode" || rule === "vtd.irte.smi-vector")
    return deviations.includes("formatUnchecked");
  if (rule === "vtd.irte.mode-unsupported") return deviations.includes("postingIgnored");
  return false;
}

/** What hardware would block of a present entry (24h): its four words, as QEMU fetched and forgave them. */
export function formatHazards(
  profile: VtdProfile,
  words: Int32Array,
  line: number,
  index: number,
  eime: boolean,
): Hazard[] {
  const mode = profile.deviations.includes("postingIgnored") ? Mode.postingIgnored : 0;
  const { pi } = decode(capability, profile.capability);
  const context = { eime: eime ? 1 : 0, pi: pi === 1 ? 1 : 0, haw: profile.hostAddressWidth } as const;
  const value = fromWords(words, 0, 128);
  const violations = postsThrough(mode, words[0]!)
    ? validate(irtePosted, value, context)
    : validate(irteRemapped, value, context);
  return violations
    .filter(({ rule }) => !lenient(profile, rule))
    .map(({ rule, found }) => ({
      rule,
      index,
      requester: null,
      at: line,
      since: null,
      found: `entry ${index} is used with ${found}: QEMU forgives it, hardware blocks the request (24h)`,
      fix: "write the entry with its reserved bits 0 and with values that the unit and its mode know",
    }));
}
