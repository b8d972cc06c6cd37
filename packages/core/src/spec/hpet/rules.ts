import { cite } from "../cite.ts";
import { type Rule, shall } from "../rule.ts";

const unverified = { standing: "unverified" } as const;

/** The timers of the HPET, as far as they send interrupt messages. */
export const hpetRules = {
  "hpet.counter.halted": shall(
    cite("hpet", "2.3.5"),
    "While ENABLE_CNF is 0 the main counter stands still and no timer interrupts.",
    unverified,
  ),
  "hpet.timer.match": shall(
    cite("hpet", "2.3.8"),
    "A timer whose interrupt is enabled fires when the main counter comes to its comparator.",
    unverified,
  ),
  "hpet.timer.message": shall(
    cite("hpet", "2.3.10"),
    "A timer that fires with FSB delivery on writes its message value to its message address.",
    unverified,
  ),
} as const satisfies Record<string, Rule>;
