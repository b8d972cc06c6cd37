const units = [
  [1e9, "s"],
  [1e6, "ms"],
  [1e3, "µs"],
  [1, "ns"],
] as const;

/**
 * Nanoseconds for people, in the largest unit that leaves something before the point.
 * @param step what must be told apart. @param even with as many digits as that takes, even if they are zeros.
 */
export function timeText(nanoseconds: number, step: number, even = false): string {
  const size = Math.abs(nanoseconds);
  const [unit, name] = units.find(([one]) => size >= one) ?? units[3];
  const digits = step > 0 ? Math.min(6, Math.max(0, Math.ceil(-Math.log10(step / unit)))) : 3;
  const text = (nanoseconds / unit).toFixed(digits);
  return `${text.includes(".") && !even ? text.replace(/\.?0+$/, "") : text} ${name}`;
}

export function countText(count: number): string {
  return count.toLocaleString("en");
}

/** Steps between marks: 1, 2 or 5 times a power of ten, none closer than `least`. */
export function markStep(least: number): number {
  const power = 10 ** Math.floor(Math.log10(least));
  return [1, 2, 5, 10].map((times) => times * power).find((step) => step >= least) ?? 10 * power;
}
