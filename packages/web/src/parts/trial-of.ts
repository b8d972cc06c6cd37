import {
  type Context,
  InputError,
  type Trial,
  type TrialResult,
  addressOfGroups,
  amdviProfileNamed,
  amdviProfiles,
  decode,
  encode,
  hex,
  msiSpec,
  printRequester,
  vtdProfileNamed,
  vtdProfiles,
  vtdSpec,
} from "@intremap/core";
import { digitsOf, readWide, wordsOf } from "./hex-text.ts";
import { samples } from "./samples.ts";
import { type Subject, contextIn, printWords, readSubject } from "./subject.ts";

/** What stands beside the value in a request: in the address if somebody changed it. */
export interface TrialChoice {
  readonly msi?: string | undefined;
  readonly sid?: string | undefined;
  readonly entry?: string | undefined;
  readonly profile?: string | undefined;
  readonly index?: string | undefined;
  readonly cfi?: string | undefined;
  readonly pid?: string | undefined;
  readonly dte?: string | undefined;
}

/** A request that can be sent, and the texts of what the reader may change of it. */
export interface Prepared {
  readonly trial: Trial;
  /** Null where the subject is the message, or the entry. */
  readonly message: string | null;
  readonly entry: string | null;
  /** Empty: all zeros; null where nothing is posted to one, or it is the subject. */
  readonly descriptor: string | null;
  /** Empty: one that remaps; null where the unit has none, or it is the subject. */
  readonly deviceEntry: string | null;
  readonly requester: string;
  readonly profiles: readonly string[];
  readonly profile: string;
}

const vendors = { irte: "intel", pid: "intel", "amd-irte": "amd", dte: "amd" } as const;

/** Kinds of values of which a request can be made. */
export function canBeTried({ kind }: Subject): boolean {
  return kind !== null && (kind === "msi" || Object.hasOwn(vendors, kind));
}

const profileNames = {
  intel: vtdProfiles.map(({ name }) => name),
  amd: amdviProfiles.map(({ name }) => name),
};

/** Hardware to which a value of that kind can be given. */
export function profilesFor(kind: Subject["kind"]): readonly string[] {
  const own = kind === "msi" ? undefined : vendors[kind as keyof typeof vendors];
  return own === undefined ? [...profileNames.intel, ...profileNames.amd] : profileNames[own];
}

/** @throws InputError when there is none of that name, or it is another vendor's. */
function profileIn(profiles: readonly string[], text: string | undefined): string {
  if (text === undefined) return profiles[0]!;
  const name = (vtdProfileNamed(text) ?? amdviProfileNamed(text))?.name;
  if (name === undefined) throw new InputError(`there is no profile "${text.slice(0, 40)}"`);
  if (!profiles.includes(name)) throw new InputError(`profile ${name} is another vendor's`);
  return name;
}

function indexIn(text: string | undefined): number {
  return text !== undefined && /^\d{1,5}$/.test(text) ? Math.min(Number(text), 0xffff) : 0;
}

/** The message that a driver would give a device for an entry. */
function messageFor(vendor: Trial["vendor"], index: number): string {
  if (vendor === "amd") return `fee00000 ${digitsOf(BigInt(index & 0x7ff), 16)}`;
  const address = encode(msiSpec.msiRemappableAddress, {
    prefix: 0xfee,
    format: 1,
    shv: 1,
    handle: index,
  });
  return `${digitsOf(address, 32)} 0000`;
}

function readMessage(text: string): { address: bigint; data: number } {
  const words = text.trim().split(/[\s,]+/);
  if (words.length !== 2) throw new InputError("a message is an address and its data");
  return { address: readWide(words[0]!, 64), data: Number(readWide(words[1]!, 32)) };
}

function readRequester(text: string): number {
  // Linux prints the segment in front; this unit is in the first.
  const parts = /^\s*(?:(0000):)?([0-9a-f]{1,2}):([01]?[0-9a-f])\.([0-7])\s*$/i.exec(text);
  if (parts === null) throw new InputError("a requester is bb:dd.f, as 03:00.0");
  return addressOfGroups(parts.slice(1)).requester;
}

/** An entry that posts to the descriptor that is shown. */
const posting = encode(vtdSpec.irtePosted, {
  p: 1,
  im: 1,
  vv: 0x51,
  pda: 0x10_0000,
  sid: 0x18,
  svt: 1,
});

function entryFor(kind: Subject["kind"], vendor: Trial["vendor"], text: string | undefined): string {
  if (text !== undefined) return text;
  if (kind === "pid") return wordsOf(posting, 128).join(" ");
  return vendor === "intel" ? samples.irte : samples["amd-irte"];
}

/** @throws InputError when something that was typed cannot be sent. */
export function prepare(subject: Subject, choice: TrialChoice, context: Context): Prepared {
  const { kind, words, parts } = subject;
  const profiles = profilesFor(kind);
  const profile = profileIn(profiles, choice.profile);
  const vendor = profileNames.amd.includes(profile) ? "amd" : "intel";
  const isEntry = kind === "irte" || kind === "amd-irte";
  const message = kind === "msi" ? null : (choice.msi ?? messageFor(vendor, indexIn(choice.index)));
  const entry = isEntry ? null : entryFor(kind, vendor, choice.entry);
  const entryWord = entry === null ? words[0]! : readWide(entry, 128);
  const short = kind === "amd-irte" && parts[0]!.layout.width === 32;
  const sent = message === null ? { address: words[0]!, data: Number(words[1]!) } : readMessage(message);
  const requester =
    choice.sid === undefined ? defaultRequester(vendor, entryWord) : readRequester(choice.sid);
  const posts = vendor === "intel" && decode(vtdSpec.irtePosted, entryWord).im === 1;
  const descriptor = kind === "pid" || !posts ? null : (choice.pid ?? "");
  const deviceEntry = kind === "dte" || vendor === "intel" ? null : (choice.dte ?? "");
  const trial: Trial = {
    vendor,
    profile,
    entry: entryWord,
    ...sent,
    requester,
    ...(vendor === "intel" && context.eime !== undefined ? { eime: context.eime === 1 } : {}),
    ...(vendor === "intel" && choice.cfi === "1" ? { eime: false, compatibility: true } : {}),
    ...(vendor === "amd" && context.xten !== undefined ? { xt: context.xten === 1 } : {}),
    ...(short ? { ga: false } : {}),
    ...(kind === "pid" ? { descriptor: words[0]! } : {}),
    ...(descriptor ? { descriptor: readSubject({ kind: "pid", value: descriptor }, {}).words[0]! } : {}),
    ...(kind === "dte" ? { deviceEntry: words[0]! } : {}),
    ...(deviceEntry ? { deviceEntry: readWide(deviceEntry, 256) } : {}),
  };
  return {
    trial,
    message,
    entry,
    descriptor,
    deviceEntry,
    requester: printRequester(requester),
    profiles,
    profile,
  };
}

/** The function that the entry is for; for one of another vendor the second of the first bus. */
function defaultRequester(vendor: Trial["vendor"], entry: bigint): number {
  return vendor === "intel" ? Number((entry >> 64n) & 0xffffn) : 0x18;
}

/** The same request, as the view Path takes it. */
export function pathQuery({ trial, requester }: Prepared): Record<string, string> {
  const {
    vendor,
    entry,
    address,
    data,
    profile = "",
    eime,
    xt,
    compatibility,
    descriptor,
    deviceEntry,
  } = trial;
  const kind = vendor === "intel" ? "irte" : "amd-irte";
  const width = trial.ga === false ? 32 : 128;
  return {
    [kind]: wordsOf(entry, width).join(" "),
    msi: `${digitsOf(address, 32)} ${digitsOf(BigInt(data >>> 0), 16)}`,
    sid: requester,
    profile,
    ...(eime !== undefined && { eime: eime ? "1" : "0" }),
    ...(xt !== undefined && { xten: xt ? "1" : "0" }),
    ...(compatibility === true && { cfi: "1" }),
    ...(descriptor !== undefined && { pid: printWords("pid", [descriptor], 512) }),
    ...(deviceEntry !== undefined && { dte: wordsOf(deviceEntry, 256).join(" ") }),
  };
}

/** Kinds by which an address asks for a request. */
export const requestKinds = ["irte", "amd-irte", "msi"] as const;

export type RequestKind = (typeof requestKinds)[number];

/** The request that an address asks for. @throws InputError when something in it cannot be sent. */
export function readRequest(kind: RequestKind, query: Readonly<Record<string, string>>): Prepared {
  const context = contextIn(query);
  return prepare(readSubject({ kind, value: query[kind] }, context), query, context);
}

const besideValue = ["msi", "sid", "entry", "profile", "pid", "dte"] as const;

/** The change of an address after which its request can be sent again: the value stays as it is. */
export const withoutMistakes: Readonly<Record<string, undefined>> = Object.fromEntries(
  besideValue.map((name) => [name, undefined]),
);

/** What became of a request, in one clause. */
export function clauseOf({ outcome, fault, decision, posting }: TrialResult): string {
  if (outcome === "blocked") {
    const at = decision.steps.find(({ verdict }) => verdict === "blocked here");
    const where = at === undefined ? "" : ` at: ${at.title}`;
    return fault === null ? where : `${fault.name}${fault.recorded ? "" : ", not recorded"}${where}`;
  }
  if (posting !== null) {
    const after = posting.notified ? "a notification is sent" : "nobody is notified";
    return `vector ${hex(posting.vector)} at ${hex(posting.address)}; ${after}`;
  }
  const { delivery } = decision;
  if (delivery === null) return "";
  const how = delivery.logical ? "logical" : "physical";
  return `vector ${hex(delivery.vector)} to ${how} destination ${hex(delivery.destination)}`;
}
