import { signal } from "@preact/signals";
import { given } from "./given.ts";

/** What the page shows: a view, and the state of it, each a short text. All of it stands in the address's hash. */
export interface Route {
  readonly view: string;
  readonly query: Readonly<Record<string, string>>;
}

/** Longer hashes are cut by programs through which links are sent; state that wants more is saved as a file. */
export const hashLimit = 8000;

export function readHash(hash: string): Route {
  const [, view = "", query = ""] = /^#?\/?([^?]*)\??(.*)$/s.exec(hash) ?? [];
  return { view, query: Object.fromEntries(new URLSearchParams(query)) };
}

export function hrefOf(view: string, query: Readonly<Record<string, string>> = {}): string {
  const text = new URLSearchParams(query).toString();
  return `#/${view}${text === "" ? "" : `?${text}`}`;
}

if (location.hash === "" && given.start !== "") history.replaceState(null, "", given.start);

export const route = signal<Route>(readHash(location.hash));

addEventListener("hashchange", () => {
  route.value = readHash(location.hash);
});

/** Goes somewhere; back leads to where one was. */
export function go(view: string, query: Readonly<Record<string, string>> = {}): void {
  location.hash = hrefOf(view, query);
}

/**
 * Changes the state of the view: `undefined` takes a value out.
 * @param step `push`: back undoes it; `replace`: it goes on where one is, as a slider does.
 */
export function change(values: Readonly<Record<string, string | undefined>>, step: "push" | "replace"): void {
  const { view, query } = readHash(location.hash);
  const kept = Object.entries({ ...query, ...values }).filter(
    (entry): entry is [string, string] => entry[1] !== undefined,
  );
  const href = hrefOf(view, Object.fromEntries(kept));
  if (step === "push") location.hash = href;
  else history.replaceState(null, "", href);
  // At once: the next key press builds on it.
  route.value = readHash(href);
}
