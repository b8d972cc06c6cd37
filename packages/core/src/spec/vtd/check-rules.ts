import { cite } from "../cite.ts";
import { type Rule, shall } from "../rule.ts";

/** What software has to do, and what a trace of it can show that it did not. */
export const checkRules = {
  "vtd.check.entry-changed": shall(
    cite("vtd", "6.5.2.7"),
    "Software invalidates the cached entry after it has changed the one in the table.",
  ),
  "vtd.check.first-use": shall(
    cite("vtd", "6.1"),
    "Where not-present entries may be cached, software invalidates an entry after it has made it present.",
  ),
  "vtd.check.invalidation-missing": shall(
    cite("vtd", "6.5.2"),
    "What software queues between two waits, and up to the tail that it writes, is fetched and carried out.",
  ),
  "vtd.check.not-waited": shall(
    cite("vtd", "6.5.2.8"),
    "Software takes an invalidation as complete only when a wait descriptor behind it has completed.",
  ),
  "vtd.check.qie-without-iqa": shall(
    cite("vtd", "6.5.2"),
    "Software programs IQA before it enables the invalidation queue.",
  ),
  "vtd.check.one-shot": shall(
    cite("vtd", "11.4 GCMD_REG"),
    "The bits that act once (SRTP, SFL, WBF, SIRTP) are cleared in a status that software writes back to GCMD.",
  ),
  "vtd.check.eime-unsupported": shall(cite("vtd", "11.4 IRTA_REG"), "EIME is set only where ECAP.EIM is 1."),
  "vtd.check.cfi": shall(
    cite("vtd", "5.1.4"),
    "CFI is clear once remapping is on: while it is set, any function's compatibility-format request passes unverified.",
    { standing: "inferred" },
  ),
  "vtd.check.svt-none": shall(
    cite("vtd", "9.9"),
    "A present entry verifies its requester: with SVT=00b any function can send the interrupt.",
    { standing: "inferred" },
  ),
  "vtd.check.x2apic-first": shall(
    cite("vtd", "11.4 IRTA_REG"),
    "Remapping is on before the local APICs are switched to x2APIC mode, whose ids need not fit a compatibility-format request.",
    { standing: "unverified" },
  ),
} as const satisfies Record<string, Rule>;
