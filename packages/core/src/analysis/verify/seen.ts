/** Something of a state that one can look at. */
export interface Seen {
  /** Which thing: `vcpu 0`, `descriptor of vcpu 0`, `cpu 1`, `entry 0`. */
  readonly what: string;
  /** What holds of it, in words; the same names in every state of a world. */
  readonly values: Readonly<Record<string, string>>;
  /** Its bits, if it has a layout in `spec/`: the layout's name, and the whole structure. */
  readonly bits?: { readonly layout: string; readonly value: bigint };
}

/** What a vCPU's thread is at. */
export function threadOf(inGuest: boolean, loaded: boolean, asleep: boolean): string {
  if (asleep) return "asleep";
  if (!loaded) return "waits for a CPU";
  return inGuest ? "in the guest" : "in the host";
}

/** The bits of a mask by name, or `none`. */
export function nameBits(mask: number, name: (bit: number) => string): string {
  const names: string[] = [];
  for (let rest = mask; rest !== 0; rest &= rest - 1) names.push(name(31 - Math.clz32(rest & -rest)));
  return names.length === 0 ? "none" : names.join(", ");
}
