import type { TrialResult, WalkStep } from "@intremap/core";

type Verdict = NonNullable<WalkStep["verdict"]>;

const signs: Readonly<Record<Verdict, readonly [sign: string, look: string]>> = {
  held: ["✓", "good"],
  "not checked": ["?", "warn"],
  "not known": ["?", "warn"],
  "does not apply": ["–", "faint"],
  "blocked here": ["✕", "bad"],
  "passed here": ["→", "good"],
  "not reached": ["·", "faint"],
  delivered: ["→", "good"],
  posted: ["⇢", "posted"],
  "not sent": ["✕", "bad"],
  "lost here": ["✕", "bad"],
};

/** What becomes of a request, as the step says it that ends it. */
const verdictOf: Readonly<Record<TrialResult["outcome"], Verdict>> = {
  blocked: "blocked here",
  passed: "passed here",
  remapped: "delivered",
  posted: "posted",
};

export function verdictSign(verdict: Verdict): string {
  return signs[verdict][0];
}

/** The sign of what became of a request. */
export function outcomeSign(outcome: TrialResult["outcome"]): string {
  return verdictSign(verdictOf[outcome]);
}

/** A verdict as one sign, with its words for those who do not see it; nothing where there is none. */
export function verdictMark(verdict: Verdict | null) {
  if (verdict === null) return null;
  const [sign, look] = signs[verdict];
  return (
    <>
      <span class={`verdict-sign ${look}`} aria-hidden="true" title={verdict}>
        {sign}
      </span>
      <span class="visually-hidden">{`${verdict}: `}</span>
    </>
  );
}

/** A verdict in words. */
export function VerdictChip({ verdict }: { readonly verdict: Verdict }) {
  const [sign, look] = signs[verdict];
  return (
    <span class={`verdict ${look}`}>
      <span aria-hidden="true">{sign}</span> {verdict}
    </span>
  );
}
