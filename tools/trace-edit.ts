/** The lines of a trace, to be edited. Every edit that finds nothing to do is an error: a seed that is not sown proves nothing. */
export class TraceEdit {
  lines: string[];

  constructor(lines: readonly string[]) {
    this.lines = [...lines];
  }

  /** The line, from `start` on, that matches. @throws RangeError when there is none. */
  find(pattern: RegExp, start = 0): number {
    for (let i = start; i < this.lines.length; i++) if (pattern.test(this.lines[i]!)) return i;
    throw new RangeError(`no line from ${start + 1} on matches ${pattern}`);
  }

  /** The last line before `end` that matches. @throws RangeError when there is none. */
  findLast(pattern: RegExp, end = this.lines.length): number {
    for (let i = end - 1; i >= 0; i--) if (pattern.test(this.lines[i]!)) return i;
    throw new RangeError(`no line before ${end + 1} matches ${pattern}`);
  }

  /** Every line from `start` to before `end` that matches. */
  all(pattern: RegExp, start = 0, end = this.lines.length): number[] {
    const found: number[] = [];
    for (let i = start; i < end; i++) if (pattern.test(this.lines[i]!)) found.push(i);
    return found;
  }

  /** Changes the lines that match, from `start` on. @throws RangeError when none is changed. */
  change(pattern: RegExp, by: (line: string) => string, start = 0): void {
    let changed = 0;
    for (const at of this.all(pattern, start)) {
      const line = by(this.lines[at]!);
      if (line !== this.lines[at]) changed++;
      this.lines[at] = line;
    }
    if (changed === 0) throw new RangeError(`no line from ${start + 1} on was changed by ${pattern}`);
  }

  insert(at: number, ...lines: string[]): void {
    this.lines.splice(at, 0, ...lines);
  }

  /** Takes lines away, by their positions. @throws RangeError when there are none. */
  remove(positions: readonly number[]): void {
    if (positions.length === 0) throw new RangeError("nothing to remove");
    const gone = new Set(positions);
    this.lines = this.lines.filter((_, i) => !gone.has(i));
  }
}

/** A number in a line, changed: the first group of the pattern is what stands before it, the second is the number with `0x`. */
export function withNumber(line: string, pattern: RegExp, change: (value: bigint) => bigint): string {
  return line.replace(
    pattern,
    (_, before: string, number: string) => `${before}0x${change(BigInt(number)).toString(16)}`,
  );
}

/** Positions from one to another, both included. */
export function range(from: number, to: number): number[] {
  return Array.from({ length: to - from + 1 }, (_, i) => from + i);
}
