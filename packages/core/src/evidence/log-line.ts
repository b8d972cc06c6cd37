/** Characters of a line that readers look at; a kernel message is at most 1,024 and its prefixes are short. */
export const lineLimit = 4096;

/** A line of text as the readers of this room see it. */
export interface LogLine {
  /** Counted from 1. */
  readonly number: number;
  /** Without its end, without terminal colours, at most `lineLimit` characters. */
  readonly text: string;
}

/** One way in which a program prints something. */
export interface Matcher<Record> {
  /** A literal part of the message: the pattern is tried only on lines that hold it. */
  readonly probe: string;
  /** Global, every repetition in it bounded. */
  readonly pattern: RegExp;
  /** Undefined when what was found is not the message after all. */
  readonly read: (match: RegExpExecArray, line: LogLine) => Record | undefined;
}

const escapeCode = String.fromCharCode(27);
const colour = new RegExp(`${escapeCode}\\[[0-9;]{0,16}[mK]`, "g");

/** The lines of a text that are not empty, ended by LF or CR LF, each cut to `limit` characters. */
export function* linesOf(text: string, limit: number = lineLimit): Generator<LogLine> {
  let start = 0;
  for (let number = 1; start <= text.length; number++) {
    let end = text.indexOf("\n", start);
    if (end < 0) end = text.length;
    if (end === start) {
      start++;
      continue;
    }
    let line = text.slice(start, Math.min(end, start + limit));
    if (line.includes("\r")) line = line.replaceAll("\r", " ");
    if (line.includes(escapeCode)) line = line.replace(colour, "");
    yield { number, text: line };
    start = end + 1;
  }
}

/** Everything that the matchers find in a line, in the order in which it stands there. */
export function matchLine<Record>(matchers: readonly Matcher<Record>[], line: LogLine): Record[] {
  const found: { at: number; record: Record }[] = [];
  for (const { probe, pattern, read } of matchers) {
    if (!line.text.includes(probe)) continue;
    for (const match of line.text.matchAll(pattern)) {
      const record = read(match, line);
      if (record !== undefined) found.push({ at: match.index, record });
    }
  }
  return found.sort((a, b) => a.at - b.at).map(({ record }) => record);
}

/**
 * Pattern of a requester with its three groups: segment (may be absent), bus and device, function. Linux 5.14 printed
 * bus and device with `0x`.
 */
export const requesterPattern =
  "(?:([0-9a-fA-F]{4,8}):)?((?:0x)?[0-9a-fA-F]{1,2}:(?:0x)?[0-9a-fA-F]{1,2})\\.([0-7])";

/** `bb:dd.f` as printed, in lower case and without `0x`; with a segment only if one was printed. */
export function requesterOf(segment: string | undefined, busDevice: string, fn: string): string {
  const id = `${busDevice.replaceAll("0x", "")}.${fn}`;
  return (segment === undefined ? id : `${segment}:${id}`).toLowerCase();
}

export function fromHex(digits: string): bigint {
  return BigInt(`0x${digits}`);
}
