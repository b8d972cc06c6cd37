import { signal } from "@preact/signals";
import { Engine } from "../engine/engine.ts";
import type { HostInput } from "../engine/host-input.ts";
import type { HostSummary } from "../engine/map/summary.ts";
import { given, givenHost } from "./given.ts";
import { go, route } from "./route.ts";

/** A host that the page is looking at. */
export interface OpenedHost {
  readonly summary: HostSummary;
  /** Tells one reading from the next of the same source. */
  readonly reading: number;
}

/** How the address names a source; a file's content does not fit there, so its name and size stand for it. */
export type SourceQuery = Readonly<Record<"source" | "name" | "size" | "text", string | undefined>>;

export type HostReading =
  | { readonly state: "none" }
  | {
      readonly state: "opening";
      readonly query: SourceQuery;
      readonly name: string;
      readonly progress: string;
    }
  | { readonly state: "failed"; readonly query: SourceQuery; readonly name: string; readonly message: string }
  | {
      readonly state: "open";
      readonly query: SourceQuery;
      readonly name: string;
      readonly host: OpenedHost;
      /** Why the last attempt to read it anew failed. */
      readonly stale: string | null;
    };

/** The host that is open, or on the way. It outlives the view: who comes back to it finds it as it was. */
export const hostReading = signal<HostReading>({ state: "none" });

/** Keeps the host that is open. */
export const hostEngine = new Engine();

/** More text than this is offered as a file. */
const textInAddress = 4000;

let readings = 0;

/** How the address names what is to be opened. */
export function queryOf(input: HostInput): SourceQuery {
  if ("text" in input) {
    return input.text.length <= textInAddress
      ? { source: "text", text: input.text, name: undefined, size: undefined }
      : { source: "pasted", name: undefined, size: `${input.text.length}`, text: undefined };
  }
  const size = input.files.reduce((sum, { file }) => sum + file.size, 0);
  const [only] = input.files;
  const source = input.files.length === 1 && only!.path === only!.file.name ? "file" : "folder";
  return { source, name: input.name, size: `${size}`, text: undefined };
}

/** Whether two addresses name the same source. */
export function sameSource(a: SourceQuery, b: SourceQuery): boolean {
  return a.source === b.source && a.name === b.name && a.size === b.size && a.text === b.text;
}

/** Opens what the reader of the page gave. What was open before is closed. */
export function openHostInput(input: HostInput): Promise<void> {
  hostEngine.stop();
  return read(queryOf(input), input.name, (tell) => hostEngine.ask("openHost", input, tell));
}

/** Opens what was given, and shows it under its own address; one that names it already keeps all else that it says. */
export function openAndShow(input: HostInput): void {
  void openHostInput(input);
  const { view, query } = route.value;
  const { source, name, size, text } = query;
  if (view === "machine" && sameSource({ source, name, size, text }, queryOf(input))) return;
  const known = Object.entries(queryOf(input)).filter(
    (entry): entry is [string, string] => entry[1] !== undefined,
  );
  go("machine", Object.fromEntries(known));
}

/** Opens, or reads anew, the host that came with the page. */
export function openGivenHost(): Promise<void> {
  const { name, from } = given.host!;
  const query = { source: from, name: undefined, size: undefined, text: undefined };
  return read(query, name, async (tell) => {
    tell(from === "live" ? "reading this machine" : "");
    await hostEngine.ask("openPackedHost", await givenHost(), tell);
  });
}

export function closeHost(): void {
  hostEngine.stop();
  hostReading.value = { state: "none" };
}

async function read(
  query: SourceQuery,
  name: string,
  open: (tell: (progress: string) => void) => Promise<unknown>,
): Promise<void> {
  const reading = ++readings;
  const before = hostReading.value;
  const again = before.state === "open" && sameSource(before.query, query) ? before : undefined;
  const show = (next: HostReading): void => {
    if (reading === readings) hostReading.value = next;
  };
  const tell = (progress: string): void => {
    if (again === undefined) show({ state: "opening", query, name, progress });
  };
  tell("");
  try {
    await open(tell);
    const summary = await hostEngine.ask("hostSummary", null, tell);
    show({ state: "open", query, name, host: { summary, reading }, stale: null });
  } catch (error) {
    const message = error instanceof Error ? error.message : String(error);
    if (again !== undefined) show({ ...again, stale: message });
    else if (message === "stopped") show({ state: "none" });
    else show({ state: "failed", query, name, message });
  }
}
