import { signal } from "@preact/signals";
import { Engine } from "../engine/engine.ts";
import type { HostInput } from "../engine/host-input.ts";
import type { HostSummary } from "../engine/map/summary.ts";
import { given, givenHost } from "./given.ts";
import { go, queryText, route } from "./route.ts";

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
  const files = "folder" in input ? input.folder.map(({ file }) => file) : input.files;
  const source = "folder" in input ? "folder" : files.length === 1 ? "file" : "files";
  const size = files.reduce((sum, file) => sum + file.size, 0);
  return { source, name: input.name, size: `${size}`, text: undefined };
}

/** Whether two addresses name the same source. */
export function sameSource(a: SourceQuery, b: SourceQuery): boolean {
  return a.source === b.source && a.name === b.name && a.size === b.size && a.text === b.text;
}

/** What an address names; null where it names nothing. */
export function sourceIn({ source, name, size, text }: Readonly<Record<string, string>>): SourceQuery | null {
  return source === undefined ? null : { source, name, size, text };
}

/** Opens what an address names, where it can be had without the reader's doing. */
export function openNamed({ source, text }: SourceQuery): void {
  if (source === "text" && text !== undefined) void openHostInput({ name: "pasted text", text });
  else if (source === given.host?.from) void openGivenHost();
}

/** Opens what the reader of the page gave. */
export function openHostInput(input: HostInput): Promise<void> {
  return read(queryOf(input), input.name, (tell) => hostEngine.ask("openHost", input, tell));
}

/** Opens what was given, and shows it under its own address; one that names it already keeps all else that it says. */
export function openAndShow(input: HostInput): void {
  void openHostInput(input);
  show(queryOf(input));
}

/** The same with the host that came with the page. */
export function openGivenAndShow(): void {
  void openGivenHost();
  show(givenQuery());
}

function show(query: SourceQuery): void {
  const { view, query: shown } = route.value;
  const before = sourceIn(shown);
  if (view === "machine" && before !== null && sameSource(before, query)) return;
  go("machine", queryText(query));
}

function givenQuery(): SourceQuery {
  return { source: given.host!.from, name: undefined, size: undefined, text: undefined };
}

/** Opens, or reads anew, the host that came with the page. */
export function openGivenHost(): Promise<void> {
  const { name } = given.host!;
  return read(givenQuery(), name, async (tell, isWanted) => {
    tell(name === "live" ? "reading this machine" : "");
    const packed = await givenHost();
    if (isWanted()) await hostEngine.ask("openPackedHost", packed);
  });
}

/** Closes what is open, and gives up what is on the way. */
export function closeHost(): void {
  readings++;
  hostEngine.stop();
  hostReading.value = { state: "none" };
}

/** What was open before is closed, unless it is the same: that is shown until it was read anew. */
async function read(
  query: SourceQuery,
  name: string,
  open: (tell: (progress: string) => void, isWanted: () => boolean) => Promise<unknown>,
): Promise<void> {
  const reading = ++readings;
  const isWanted = (): boolean => reading === readings;
  const before = hostReading.value;
  const again = before.state === "open" && sameSource(before.query, query) ? before : undefined;
  if (again === undefined) hostEngine.stop();
  const say = (next: HostReading): void => {
    if (isWanted()) hostReading.value = next;
  };
  const tell = (progress: string): void => {
    if (again === undefined) say({ state: "opening", query, name, progress });
  };
  tell("");
  try {
    await open(tell, isWanted);
    if (!isWanted()) return;
    const summary = await hostEngine.ask("hostSummary", null, tell);
    say({ state: "open", query, name, host: { summary, reading }, stale: null });
  } catch (error) {
    const message = error instanceof Error ? error.message : String(error);
    say(again === undefined ? { state: "failed", query, name, message } : { ...again, stale: message });
  }
}
