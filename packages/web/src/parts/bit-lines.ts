import { type Layout, fieldsOf } from "@intremap/core";

/** Bits of one line that stand side by side and belong to one part of a field, or to none. */
export interface Run {
  /** Both ends included, as the layout numbers them. */
  readonly high: number;
  readonly low: number;
  /** Null where no field claims the bits. */
  readonly field: string | null;
}

/** A line of the picture: the runs of some bits, the highest first. */
export interface Line {
  readonly high: number;
  readonly low: number;
  readonly runs: readonly Run[];
}

/** Bits of a full line. */
export const lineBits = 32;

/** Which field claims each bit. */
function owners(layout: Layout): (string | null)[] {
  const owner = new Array<string | null>(layout.width).fill(null);
  for (const [name, { parts }] of fieldsOf(layout)) {
    for (const [high, low] of parts) owner.fill(name, low, high + 1);
  }
  return owner;
}

/** A layout cut into lines, the most significant first. Two parts of one field that meet are one run. */
export function linesOf(layout: Layout): Line[] {
  const owner = owners(layout);
  const lines: Line[] = [];
  for (let low = 0; low < layout.width; low += lineBits) {
    const high = Math.min(low + lineBits, layout.width) - 1;
    const runs: Run[] = [];
    for (let end = high; end >= low;) {
      const field = owner[end]!;
      let start = end;
      while (start > low && owner[start - 1] === field) start--;
      runs.push({ high: end, low: start, field });
      end = start - 1;
    }
    lines.push({ high, low, runs });
  }
  return lines.reverse();
}

/** Lines of a wide field beyond the first that say nothing: none of their bits is set, or was. */
function isQuiet({ low, high }: Line, bits: bigint): boolean {
  return ((bits >> BigInt(low)) & ((1n << BigInt(high - low + 1)) - 1n)) === 0n;
}

/**
 * The lines that hold some of these fields. A field that fills more than two lines keeps those in which a bit is set,
 * or its lowest.
 * @param set bits that are, or were, set.
 */
export function linesWith(lines: readonly Line[], fields: readonly string[], set: bigint): Line[] {
  const holds = (line: Line, name: string): boolean => line.runs.some(({ field }) => field === name);
  const wanted = new Set<Line>();
  for (const name of fields) {
    const own = lines.filter((line) => holds(line, name));
    const loud = own.length > 2 ? own.filter((line) => !isQuiet(line, set)) : own;
    for (const line of loud.length === 0 ? own.slice(-1) : loud) wanted.add(line);
  }
  return wanted.size === 0 ? [...lines] : lines.filter((line) => wanted.has(line));
}

/**
 * The lines that say something: those with a bit set or with an edge between fields, and the lowest of each field that
 * fills lines whole.
 */
export function tellingLines(lines: readonly Line[], set: bigint): Line[] {
  return lines.filter((line, i) => {
    const [run, ...others] = line.runs;
    const below = lines[i + 1]?.runs;
    const goesOn = below?.length === 1 && below[0]!.field === run!.field;
    return others.length > 0 || !isQuiet(line, set) || (run!.field !== null && !goesOn);
  });
}
