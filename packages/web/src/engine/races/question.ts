import type { VerifyTexts } from "@intremap/core";

const texts = [
  "vendor",
  "play",
  "without",
  "vcpus",
  "cpus",
  "posts",
  "preemptions",
  "halts",
  "migrations",
] as const satisfies readonly (keyof VerifyTexts)[];

/** What an address asks of the search; what else it says is left out. */
export function askedIn(query: Readonly<Record<string, string>>): VerifyTexts {
  return Object.fromEntries(texts.filter((key) => query[key] !== undefined).map((key) => [key, query[key]]));
}
