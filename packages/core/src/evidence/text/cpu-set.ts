/** Numbers of processors above this are not believed. */
const cpuLimit = 65_536;

/**
 * The processors of a mask as /proc prints it: groups of 32 bits in hexadecimal, joined by commas, the highest first.
 * Undefined when it is none.
 */
export function cpusOfMask(text: string): number[] | undefined {
  const mask = text.trim();
  if (!/^[0-9a-fA-F]{1,8}(?:,[0-9a-fA-F]{1,8}){0,2047}$/.test(mask)) return undefined;
  const cpus: number[] = [];
  for (const [i, group] of mask.split(",").reverse().entries()) {
    const word = Number.parseInt(group, 16);
    for (let bit = 0; bit < 32; bit++) if ((word >>> bit) & 1) cpus.push(32 * i + bit);
  }
  return cpus;
}

/** The processors of a list such as `0-3,8`; an empty text is an empty list. Undefined when it is none. */
export function cpusOfList(text: string): number[] | undefined {
  const list = text.trim();
  if (list === "") return [];
  const cpus = new Set<number>();
  for (const part of list.split(",", cpuLimit)) {
    const range = /^(\d{1,5})(?:-(\d{1,5}))?$/.exec(part.trim());
    if (range === null) return undefined;
    const [first, last] = [Number(range[1]), Number(range[2] ?? range[1])];
    if (last < first || last >= cpuLimit) return undefined;
    for (let cpu = first; cpu <= last; cpu++) cpus.add(cpu);
  }
  return [...cpus].sort((a, b) => a - b);
}
