import { explainRecords } from "../../explain.ts";
import type { Finding } from "../../finding.ts";
import { type Severity, check } from "../check.ts";
import { lineOf } from "../naming.ts";

const severity: Readonly<Record<Exclude<Finding["kind"], "setup">, Severity>> = {
  interrupt: "medium",
  unit: "medium",
  entry: "low",
  message: "low",
  dma: "info",
};

/** What the kernel log reports of faults, each rule and device once; how remapping came up is other checks' matter. */
export const loggedFaults = check({
  rule: "vtd.fault.record",
  amdRule: "amdvi.event.log",
  severity: "medium",
  vendor: null,
  looksAt: "the kernel log",
  why: "Requests were blocked since the host started, or something in the log is against the rules.",
  fix: "intremap explain on these lines says what can be behind them and what to look at next.",
  find({ state: { log } }, look) {
    if (log === undefined) return look.lacks("the kernel log");
    look.at(log.value.length);
    const groups = new Map<string, { readonly first: Finding; last: Finding; count: number }>();
    for (const finding of explainRecords(log.value).findings) {
      if (finding.kind === "setup") continue;
      const key = `${finding.rule} ${finding.requester} ${finding.index}`;
      const group = groups.get(key);
      if (group === undefined) groups.set(key, { first: finding, last: finding, count: 1 });
      else {
        group.last = finding;
        group.count++;
      }
    }
    for (const { first, last, count } of groups.values()) {
      look.add({
        rule: first.rule,
        severity: severity[first.kind as keyof typeof severity],
        subject:
          first.requester === null
            ? { kind: "host", name: "this host" }
            : { kind: "device", name: first.requester },
        title: `${first.what}${count === 1 ? "" : ` ${count} times in the log.`}`,
        evidence: [first, ...(count > 1 ? [last] : [])].map(({ name, line }) => ({
          what: name,
          origin: lineOf(log.origin, line),
        })),
        ...(first.causes.length === 0 ? {} : { why: `Likely: ${first.causes[0]}.` }),
        ...(first.next.length === 0 ? {} : { fix: `Next: ${first.next.join("; ")}` }),
      });
    }
  },
});
