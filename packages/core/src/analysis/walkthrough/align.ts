import type { WalkStep } from "./step.ts";

/** Steps of two runs that stand beside each other, by their indices; null where only one of them has the step. */
export type StepPair = readonly [left: number | null, right: number | null];

/** Steps of each run that are held against each other at once. */
const windowSteps = 1000;

/**
 * Puts the steps of two runs beside each other: the nth interrupt of the one beside the nth of the other, and between
 * those points what is alike.
 */
export function alignSteps(left: readonly WalkStep[], right: readonly WalkStep[]): StepPair[] {
  const pairs: StepPair[] = [];
  const ahead = anchorsOf(right);
  let [l, r] = [0, 0];
  const until = (leftEnd: number, rightEnd: number): void => {
    alignStretch(left, l, leftEnd, right, r, rightEnd, pairs);
    [l, r] = [leftEnd, rightEnd];
  };
  for (const [anchor, at] of anchorsOf(left)) {
    const other = ahead.get(anchor);
    if (other !== undefined && at >= l && other >= r) until(at, other);
  }
  until(left.length, right.length);
  return pairs;
}

/** Where an action of the script begins, and where a device sends. */
function anchorsOf(steps: readonly WalkStep[]): Map<string, number> {
  const anchors = new Map<string, number>();
  let episode = -1;
  for (const [at, step] of steps.entries()) {
    if (step.episode !== episode) {
      episode = step.episode;
      anchors.set(`episode ${episode}`, at);
    }
    if (step.stop === "device" && step.request !== null && !anchors.has(`request ${step.request}`)) {
      anchors.set(`request ${step.request}`, at);
    }
  }
  return anchors;
}

/** Steps of both runs, of which none stands beside one outside of the stretch. */
function alignStretch(
  left: readonly WalkStep[],
  leftFrom: number,
  leftEnd: number,
  right: readonly WalkStep[],
  rightFrom: number,
  rightEnd: number,
  pairs: StepPair[],
): void {
  let [l, r] = [leftFrom, rightFrom];
  while (l < leftEnd || r < rightEnd) {
    const leftKeys = left.slice(l, Math.min(leftEnd, l + windowSteps)).map(keyOf);
    const rightKeys = right.slice(r, Math.min(rightEnd, r + windowSteps)).map(keyOf);
    const rows = alike(leftKeys, rightKeys);
    const last = l + windowSteps >= leftEnd && r + windowSteps >= rightEnd;
    // What stands alone at the end of a window may have its like in the next one.
    const sure = last ? rows.length : rows.findLastIndex(([a, b]) => a !== null && b !== null) + 1;
    const taken = rows.slice(0, sure === 0 ? rows.length : sure);
    for (const [a, b] of taken) pairs.push([a === null ? null : l + a, b === null ? null : r + b]);
    l += taken.filter(([a]) => a !== null).length;
    r += taken.filter(([, b]) => b !== null).length;
  }
}

/** Puts the most that two lists have in common in the same order beside each other. */
function alike(left: readonly string[], right: readonly string[]): StepPair[] {
  const [rows, columns] = [left.length, right.length];
  const width = columns + 1;
  // How much is in common of what begins at each place.
  const common = new Uint16Array((rows + 1) * width);
  for (let i = rows - 1; i >= 0; i--) {
    for (let j = columns - 1; j >= 0; j--) {
      common[i * width + j] =
        left[i] === right[j]
          ? common[(i + 1) * width + j + 1]! + 1
          : Math.max(common[(i + 1) * width + j]!, common[i * width + j + 1]!);
    }
  }
  const pairs: StepPair[] = [];
  let [i, j] = [0, 0];
  while (i < rows || j < columns) {
    if (i < rows && j < columns && left[i] === right[j]) pairs.push([i++, j++]);
    else if (j === columns || (i < rows && common[(i + 1) * width + j]! >= common[i * width + j + 1]!))
      pairs.push([i++, null]);
    else pairs.push([null, j++]);
  }
  return pairs;
}

/** What a step is, without numbers that differ between runs. */
function keyOf({ stop, title }: WalkStep): string {
  return `${stop}\n${title.replaceAll(/\b[0-9a-f]*[0-9][0-9a-f]*h?\b/g, "#")}`;
}
