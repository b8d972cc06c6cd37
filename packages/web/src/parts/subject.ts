import {
  type Context,
  type DecodeKind,
  type Decoded,
  type DecodedRow,
  InputError,
  type Layout,
  decodeKind,
  encode,
  fieldsOf,
  kindNames,
  maskOf,
  partsOf,
  takenBy,
  validate,
} from "@intremap/core";
import { layoutNamed } from "./layouts.ts";
import { digitsOf, readWide, wordsOf } from "./hex-text.ts";
import { samples } from "./samples.ts";

/** A layout, and the word whose lowest bits it describes. */
export interface SubjectPart {
  readonly layout: Layout;
  readonly value: bigint;
  /** `address`, `data`; null where there is one part. */
  readonly label: string | null;
  /** Which of the subject's words it is. */
  readonly word: number;
}

/** What the view shows and edits: the words, and what they mean. */
export interface Subject {
  /** A kind of `decode`; null for a layout by its name. */
  readonly kind: DecodeKind | null;
  readonly title: string;
  readonly section: string;
  readonly mode: string | null;
  readonly words: readonly bigint[];
  readonly parts: readonly SubjectPart[];
  /** What follows from several fields. */
  readonly derived: readonly DecodedRow[];
  readonly violations: Decoded["violations"];
  readonly readings: Decoded["readings"];
  readonly notes: readonly string[];
  /** The words as one types them, for the address. */
  readonly text: string;
  /** What may be typed. */
  readonly takes: string;
}

/** What the address says of the subject. */
export interface SubjectChoice {
  readonly kind?: string | undefined;
  readonly layout?: string | undefined;
  readonly value?: string | undefined;
}

function textsOf(value: string): string[] {
  return value.split(/[\s,]+/).filter((word) => word !== "");
}

/** The words of a kind's values: a message has two, everything else is one. */
function wordsIn(kind: DecodeKind, texts: readonly string[], context: Context): bigint[] {
  const [first] = partsOf(kind, texts, context);
  return kind === "msi" ? texts.map((text) => readWide(text, 64)) : [first!.value];
}

/** How wide a kind's word is: a descriptor whose type is not known is as wide as it was given. */
function widthIn(kind: DecodeKind, layout: Layout, texts: readonly string[]): number {
  const given = texts.join("").replaceAll(/0x|[_`]/gi, "").length * 4;
  return kind === "iec" && given > 128 ? 256 : layout.width;
}

/** The words of a kind as `decode` takes them. */
export function printWords(kind: DecodeKind, words: readonly bigint[], width: number): string {
  const [first = 0n, second = 0n] = words;
  if (kind === "msi") {
    const address = digitsOf(first, first >> 32n ? 64 : 32);
    return `${address} ${digitsOf(second, second >> 16n ? 32 : 16)}`;
  }
  // A pair of these may be taken in either order, one value cannot.
  if (kind === "iec") return digitsOf(first, width);
  const halves = wordsOf(first, width);
  return (kind === "pid" ? halves.reverse() : halves).join(" ");
}

/** Layouts that a kind has: there the bits say which of them it is. */
export const kindOfLayout: Readonly<Record<string, DecodeKind>> = {
  "irte-remapped": "irte",
  "irte-posted": "irte",
  "amdvi-irte-32": "amd-irte",
  "amdvi-irte-remapped": "amd-irte",
  "amdvi-irte-guest": "amd-irte",
  "amdvi-dte": "dte",
  "posted-descriptor": "pid",
  "ioapic-rte": "ioapic-rte",
  "ioapic-rte-remappable": "ioapic-rte",
  "vtd-context-cache-invalidate": "iec",
  "vtd-context-cache-invalidate-256": "iec",
  "vtd-iotlb-invalidate": "iec",
  "vtd-iotlb-invalidate-256": "iec",
  "vtd-iec-invalidate": "iec",
  "vtd-iec-invalidate-256": "iec",
  "vtd-wait": "iec",
  "vtd-wait-256": "iec",
  "vtd-fault-record": "frcd",
  "vtd-table-address": "irta",
  "vtd-capability": "cap",
  "vtd-extended-capability": "ecap",
};

/** @throws InputError when the kind or layout is not known, or the value is not what it takes. */
export function readSubject(choice: SubjectChoice, context: Context): Subject {
  if (choice.layout !== undefined) return layoutSubject(choice.layout, choice.value, context);
  const kind = (choice.kind ?? "irte") as DecodeKind;
  if (!kindNames().includes(kind)) throw new InputError(`there is no kind "${kind.slice(0, 40)}"`);
  return kindSubject(kind, choice.value ?? samples[kind], context);
}

function kindSubject(kind: DecodeKind, value: string, context: Context): Subject {
  const texts = textsOf(value);
  const decoded = decodeKind(kind, texts, context);
  const parts = partsOf(kind, texts, context);
  const words = wordsIn(kind, texts, context);
  const width = widthIn(kind, parts[0]!.layout, texts);
  return {
    kind,
    title: decoded.title,
    section: decoded.section,
    mode: decoded.mode,
    words,
    parts: parts.map(({ layout, value, label = null }, word) => ({ layout, value, label, word })),
    derived: decoded.rows.filter(({ bits }) => bits === ""),
    violations: decoded.violations,
    readings: decoded.readings,
    notes: decoded.notes,
    text: printWords(kind, words, width),
    takes: takenBy(kind),
  };
}

function layoutSubject(name: string, text: string | undefined, context: Context): Subject {
  const layout = layoutNamed(name);
  if (layout === undefined) throw new InputError(`there is no layout "${name.slice(0, 40)}"`);
  const { title, section, width } = layout;
  const value = text === undefined ? 0n : readWide(text, width);
  const kind = Object.hasOwn(kindOfLayout, name) ? kindOfLayout[name] : undefined;
  if (kind !== undefined) {
    return kindSubject(kind, text === undefined ? samples[kind] : digitsOf(value, width), context);
  }
  return {
    kind: null,
    title,
    section,
    mode: null,
    words: [value],
    parts: [{ layout, value, label: null, word: 0 }],
    derived: [],
    violations: validate(layout, value, context).map(({ rule, section, found, when = null }) => ({
      rule,
      section,
      found,
      when,
    })),
    readings: [],
    notes: [],
    text: wordsOf(value, width).join(" "),
    takes: `up to ${Math.ceil(width / 4)} hex digits, the most significant first`,
  };
}

/** The subject's text after the bits of one part became another value. */
export function textWith(subject: Subject, part: SubjectPart, value: bigint): string {
  const mask = maskOf([part.layout.width - 1, 0]);
  const words = subject.words.map((word, i) => (i === part.word ? (word & ~mask) | value : word));
  if (subject.kind === null) return wordsOf(words[0]!, part.layout.width).join(" ");
  const width = widthIn(subject.kind, part.layout, textsOf(subject.text));
  return printWords(subject.kind, words, width);
}

/**
 * A part's bits after one field got another content.
 * @throws RangeError when it does not fit.
 */
export function withField({ layout, value }: SubjectPart, name: string, content: bigint): bigint {
  let kept = value;
  for (const range of layout.fields[name]!.parts) kept &= ~maskOf(range);
  return kept | encode(layout, { [name]: content });
}

/** Settings of the machine that can be given, as `decode` takes them. */
export const settings = ["eime", "pi", "gaen", "xten"] as const satisfies readonly (keyof Context)[];

/** The settings that the address gives; the others are open. */
export function contextIn(query: Readonly<Record<string, string>>): Context {
  const given = settings.filter((name) => query[name] === "0" || query[name] === "1");
  return Object.fromEntries(given.map((name) => [name, query[name] === "1" ? 1 : 0]));
}

/** The settings on which what is lawful in these layouts depends. */
export function settingsOf(parts: readonly SubjectPart[]): (keyof Context)[] {
  const found = new Set<keyof Context>();
  const note = (when: object | undefined): void => {
    for (const name of Object.keys(when ?? {})) found.add(name as keyof Context);
  };
  for (const { layout } of parts) {
    for (const [, { reservedWhen = [] }] of fieldsOf(layout)) for (const { when } of reservedWhen) note(when);
    for (const { when } of layout.constraints ?? []) note(when);
  }
  return [...found];
}
