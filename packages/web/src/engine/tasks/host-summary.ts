import { audit } from "@intremap/core";
import { keptHost } from "../kept-host.ts";
import { keptMap } from "../map/kept-map.ts";
import { type HostSummary, summaryOf } from "../map/summary.ts";
import type { Tell } from "../tasks.ts";

/** The totals of the host that is open, and what is wrong with it. */
export function hostSummary(_: null, tell: Tell): HostSummary {
  tell("putting its map together");
  const map = keptMap();
  tell(`looking at ${map.interrupts.length.toLocaleString("en")} interrupts`);
  return summaryOf(map, audit(keptHost()));
}
