import { go, queryText, route } from "./route.ts";

type Query = Readonly<Record<string, string>>;

/** What Machine showed when it was left for Path, whose address says no more than what is followed. */
let left: Query = {};

/** What tells one interrupt of a host from all others, under the names that Machine and Path have for it. */
function followedIn({ source, name, size, text, which }: Query): Query {
  return queryText({ source, name, size, text, which });
}

/** Which of several interrupts the address means, from 1. */
export function whichOf(interrupts: readonly unknown[]): number {
  const asked = Math.floor(Number(route.value.query["which"] ?? 1)) || 1;
  return Math.max(1, Math.min(interrupts.length, asked));
}

/** Goes from Machine to Path with what is followed. */
export function stepThrough(subject: string): void {
  left = route.value.query;
  go("path", { follow: subject, ...followedIn(left) });
}

/** What Machine shows of what Path steps through: all that it showed before, if it was that. */
export function backToMachine(subject: string): Query {
  const own = { ...followedIn(route.value.query), at: subject };
  const same = JSON.stringify({ ...followedIn(left), at: left["at"] }) === JSON.stringify(own);
  return same ? left : own;
}
