import type { Moves } from "./moves.ts";

/** Ranges nearer to each other than this are zeroed as one. */
const near = 64;

/** Memory that a script has changed, which must be zero for the next one. */
export class Touched {
  readonly #ranges: [start: number, end: number][] = [];
  #last: [number, number] | undefined;

  add(start: number, bytes: number): void {
    const last = this.#last;
    if (last !== undefined && start >= last[0] && start <= last[1]) {
      if (start + bytes > last[1]) last[1] = start + bytes;
      return;
    }
    this.#last = [start, start + bytes];
    this.#ranges.push(this.#last);
  }

  zero(moves: Moves): void {
    const ranges = this.#ranges.sort((a, b) => a[0] - b[0]);
    for (let i = 0; i < ranges.length;) {
      const start = ranges[i]![0];
      let end = ranges[i]![1];
      for (i++; i < ranges.length && ranges[i]![0] <= end + near; i++) end = Math.max(end, ranges[i]![1]);
      moves.zero(end - start, start);
    }
  }
}
