import { InputError } from "../../evidence/input-error.ts";
import { type PlayTitle, type Protocol, type Size, baseSize, sizeBounds } from "./protocol.ts";
import { protocols } from "./worlds.ts";

/** What `verify` is asked, as a command line or an address has it: texts that nobody has looked at. */
export type VerifyTexts = Partial<Readonly<Record<keyof Size | "vendor" | "play" | "without", string>>>;

/** What is explored. */
export interface VerifyQuestion {
  readonly protocol: Protocol;
  readonly size: Size;
  /** The step that is left out. */
  readonly without: string | null;
  readonly plays: readonly PlayTitle[];
}

/**
 * @param mark stands before the names of options: `--` on a command line.
 * @throws InputError for a vendor, play, step or size that there is not.
 */
export function readQuestion(asked: VerifyTexts, mark = ""): VerifyQuestion {
  const vendor = asked.vendor ?? "intel";
  if (vendor !== "intel" && vendor !== "amd") {
    throw new InputError(`${mark}vendor "${vendor}": expected intel or amd`);
  }
  const protocol = protocols[vendor];
  return {
    protocol,
    size: sizeOf(asked, mark),
    without: asked.without ?? null,
    plays: playsOf(protocol, asked, mark),
  };
}

/** @throws InputError when it is none, or not within its bounds. */
export function wholeNumber(option: string, text: string, from: number, to: number): number {
  const value = /^\d{1,15}$/.test(text) ? Number(text) : NaN;
  if (value >= from && value <= to) return value;
  throw new InputError(`${option} "${text}": expected a whole number from ${from} to ${to}`);
}

function sizeOf(asked: VerifyTexts, mark: string): Size {
  const size: Record<keyof Size, number> = { ...baseSize };
  for (const [key, [from, to]] of Object.entries(sizeBounds) as [keyof Size, readonly [number, number]][]) {
    const text = asked[key];
    if (text !== undefined) size[key] = wholeNumber(`${mark}${key}`, text, from, to);
  }
  return size;
}

/** The play that is asked for; that in which a step's absence shows; or all that go by default. */
function playsOf(
  { plays, removable }: Protocol,
  { play, without }: VerifyTexts,
  mark: string,
): readonly PlayTitle[] {
  const step = removable.find(({ id }) => id === without);
  if (without !== undefined && step === undefined) {
    throw new InputError(`${mark}without "${without}": expected ${removable.map(({ id }) => id).join(", ")}`);
  }
  const name = play ?? step?.play;
  if (name === undefined) return plays.filter(({ byDefault }) => byDefault);
  const chosen = plays.filter((each) => each.name === name);
  if (chosen.length === 0) {
    throw new InputError(`${mark}play "${name}": expected ${plays.map((each) => each.name).join(", ")}`);
  }
  return chosen;
}
