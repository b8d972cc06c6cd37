import { within } from "../../hardware/call-stack.ts";
import { canonicalName, splitArguments } from "./arguments.ts";
import { type Flag, type Flags, initialFlags } from "./flags.ts";
import {
  type Keyword,
  type KeywordParameter,
  type Search,
  bareParameters,
  booleanParameters,
  keywordParameters,
} from "./keywords.ts";

/** Something that set variables. */
export interface Taken {
  readonly parameter: string;
  /** What stood in its value; null for a parameter that counts as a whole. */
  readonly item: string | null;
  readonly sets: Flags;
}

/** Something that nothing took. */
export interface Ignored {
  /** The parameter, or the one that the item stood in. */
  readonly parameter: string;
  readonly item: string | null;
  readonly why: string;
}

/** What a kernel makes of its command line, as far as it is about interrupt remapping and posting. */
export interface CommandLine {
  readonly flags: Flags;
  /** In the order of the line. */
  readonly taken: readonly Taken[];
  readonly ignored: readonly Ignored[];
  /** What is left for init; null without ` -- `. */
  readonly init: string | null;
}

/** Reads a command line as a release of the kernel does. */
export function readCommandLine(text: string, release: string): CommandLine {
  const reader = new Reader(release);
  const { kernel, init } = splitArguments(text);
  for (const { name, value } of kernel) reader.read(name, value);
  if (init !== null) reader.passOver(init);
  return { flags: reader.flags, taken: reader.taken, ignored: reader.ignored, init };
}

/** Names that somebody may take for parameters of interrupt remapping. */
const resembling = /intremap|iommu|x2apic|posted_msi|^nosid$|^nopost$/;

/** Parameters with such names that are about something else. */
const elsewhere = /^amd_iommu_dump|\./;

class Reader {
  readonly flags: Record<string, Flag>;
  readonly taken: Taken[] = [];
  readonly ignored: Ignored[] = [];
  readonly #release: string;

  constructor(release: string) {
    this.#release = release;
    this.flags = initialFlags(release);
  }

  read(name: string, value: string | null): void {
    const canonical = canonicalName(name);
    const list = keywordParameters.find((parameter) => parameter.name === canonical);
    if (list !== undefined) this.#readKeywords(list, name, value);
    else if (Object.hasOwn(bareParameters, canonical)) this.#take(name, null, bareParameters[canonical]!);
    else if (Object.hasOwn(booleanParameters, canonical)) this.#readBoolean(canonical, name, value);
    else if (resembling.test(canonical) && !elsewhere.test(canonical))
      this.#ignore(name, null, "the kernel has no such parameter");
  }

  /** Parameters behind ` -- `. */
  passOver(init: string): void {
    for (const { name } of splitArguments(init).kernel) {
      const canonical = canonicalName(name);
      if (resembling.test(canonical) || isKnown(canonical))
        this.#ignore(name, null, "it stands behind --, where everything is init's");
    }
  }

  #readKeywords(list: KeywordParameter, name: string, value: string | null): void {
    if (value === null) {
      if (list.early && list.sets !== undefined) this.#set(list.sets);
      this.#ignore(
        name,
        null,
        list.early ? `Malformed early option '${name}': it wants a value` : `it counts only as ${name}=`,
      );
      return;
    }
    if (list.sets !== undefined) this.#set(list.sets);
    const known = list.keywords.filter(({ releases }) => releases === undefined || this.#runs(releases));
    if (this.#searchOf(list) === "anywhere") this.#scan(list, known, name, value);
    else this.#readItems(list, known, name, value);
  }

  #readItems(list: KeywordParameter, known: readonly Keyword[], name: string, value: string): void {
    for (const item of value.split(",")) {
      if (item === "") continue;
      const hits = known.filter(({ word }) => item.startsWith(word));
      if (hits.length === 0) this.#ignore(name, item, this.#whyUnknown(list, item));
      const counting = this.#searchOf(list) === "first" ? hits.slice(0, 1) : hits;
      if (counting.length > 0) this.#take(name, item, Object.assign({}, ...counting.map(({ sets }) => sets)));
      if (counting.some(({ last }) => last)) return;
    }
  }

  #scan(list: KeywordParameter, known: readonly Keyword[], name: string, value: string): void {
    const found = known
      .flatMap((keyword) => placesOf(keyword.word, value).map((at) => ({ keyword, at })))
      .sort((left, right) => left.at - right.at);
    const end = found.findIndex(({ keyword }) => keyword.last);
    for (const { keyword } of end < 0 ? found : found.slice(0, end + 1))
      this.#take(name, keyword.word, keyword.sets);
    for (const item of value.split(",")) {
      if (item !== "" && !known.some(({ word }) => item.includes(word)))
        this.#ignore(name, item, this.#whyUnknown(list, item));
    }
  }

  #whyUnknown(list: KeywordParameter, item: string): string {
    const other = list.keywords.find(({ word }) => item.startsWith(word));
    if (other?.releases === undefined) return "no keyword begins it";
    const { from, below } = other.releases;
    return from !== undefined && !this.#runs({ from })
      ? `${other.word} came with ${from}`
      : `${other.word} went with ${below}`;
  }

  #readBoolean(canonical: string, name: string, value: string | null): void {
    const releases = booleanParameters[canonical]!;
    if (!this.#runs(releases)) {
      this.#ignore(name, value, `the parameter came with ${releases.from}`);
      return;
    }
    if (canonical === "kvm_amd.avic" && value === "auto" && this.#runs({ from: "6.18" })) {
      this.#take(name, value, { [canonical]: "auto" });
      return;
    }
    const on = value === null ? true : truthOf(value, this.#release);
    if (on === null) this.#ignore(name, value, "it is no truth value: the module does not load");
    else this.#take(name, value, { [canonical]: on });
  }

  #searchOf({ search }: KeywordParameter): Search {
    return typeof search === "string" ? search : search.find(([, releases]) => this.#runs(releases))![0];
  }

  #runs(releases: Parameters<typeof within>[1]): boolean {
    return within(this.#release, releases);
  }

  #take(parameter: string, item: string | null, sets: Flags): void {
    const known = Object.fromEntries(
      // Before 4.2 there was nothing that `on` and `off` could set.
      Object.entries(sets).filter(([flag]) => flag !== "disable_irq_post" || Object.hasOwn(this.flags, flag)),
    );
    this.#set(known);
    this.taken.push({ parameter, item, sets: known });
  }

  #set(sets: Flags): void {
    Object.assign(this.flags, sets);
  }

  #ignore(parameter: string, item: string | null, why: string): void {
    this.ignored.push({ parameter, item, why });
  }
}

function isKnown(canonical: string): boolean {
  return Object.hasOwn(bareParameters, canonical) || Object.hasOwn(booleanParameters, canonical);
}

function placesOf(word: string, text: string): number[] {
  const places: number[] = [];
  for (let at = text.indexOf(word); at >= 0; at = text.indexOf(word, at + 1)) places.push(at);
  return places;
}

/** `kstrtobool`: the first characters decide; null for none that it knows. */
function truthOf(value: string, release: string): boolean | null {
  const yes = `yY1${within(release, { from: "5.18" }) ? "tT" : ""}${within(release, { from: "6.15" }) ? "eE" : ""}`;
  const no = `nN0${within(release, { from: "5.18" }) ? "fF" : ""}${within(release, { from: "6.15" }) ? "dD" : ""}`;
  const first = value.charAt(0);
  if (first === "") return null;
  if (yes.includes(first)) return true;
  if (no.includes(first)) return false;
  if (/^o[nf]/i.test(value)) return value.charAt(1).toLowerCase() === "n";
  return null;
}
