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

/** What an address says: what is undefined is left out. */
export function queryText(
  values: Readonly<Record<string, string | undefined>>,
): Readonly<Record<string, string>> {
  const known = Object.entries(values).filter((entry): entry is [string, string] => entry[1] !== undefined);
  return Object.fromEntries(known);
}

if (location.hash === "" && given.start !== "") history.replaceState(null, "", given.start);

export const route = signal<Route>(readHash(location.hash));

/** Browsers refuse an address that changes more than 20 times a second: ms between two changes. */
const pause = 60;

/** The address as it was last written or heard of. */
let written = location.hash;
let timer: ReturnType<typeof setTimeout> | undefined;
/** When the last entry of the history was made. */
let pushed = -Infinity;

/** Goes where the address leads, if somebody else has changed it: that counts for more than what is not yet written. */
function follow(): void {
  if (location.hash === written) return;
  clearTimeout(timer);
  timer = undefined;
  written = location.hash;
  route.value = readHash(written);
}

addEventListener("hashchange", follow);

function write(step: "push" | "replace"): void {
  const { view, query } = route.value;
  const href = hrefOf(view, query);
  if (step === "push") location.hash = href;
  else history.replaceState(null, "", href);
  written = location.hash;
}

/** Writes what the address is behind by. */
function catchUp(): void {
  // The event of a change comes later than the change.
  follow();
  if (timer === undefined) return;
  clearTimeout(timer);
  timer = undefined;
  write("replace");
}

addEventListener("pagehide", catchUp);

/** Goes somewhere; back leads to where one was. */
export function go(view: string, query: Readonly<Record<string, string>> = {}): void {
  catchUp();
  route.value = { view, query };
  write("push");
}

/**
 * Changes the state of the view: `undefined` takes a value out.
 * @param step `push`: back undoes it, all at once if a key was held; `replace`: it goes on where one is, as a slider does.
 */
export function change(values: Readonly<Record<string, string | undefined>>, step: "push" | "replace"): void {
  const { view, query } = route.value;
  const next = queryText({ ...query, ...values });
  const now = performance.now();
  const held = now - pushed < pause;
  if (step === "push") pushed = now;
  if (step === "push" && !held) go(view, next);
  else {
    route.value = { view, query: next };
    timer ??= setTimeout(catchUp, pause);
  }
}
