/** Words of an interrupt's entry, beside the entry itself: what its driver keeps. */
export const IrteWord = {
  /** Four words: the entry as the host wants it, in the layout of remapped entries. What KVM asks for never overwrites it. */
  host: 0,
  /** `posted_vcpu`: the entry is a vCPU's. */
  postedVcpu: 4,
  /** KVM asked last for the entry to post to a vCPU: no kernel keeps this; it is what the entry is held against. */
  asked: 5,
  /** Somebody has locked the interrupt's descriptor, under which its entry changes. */
  lock: 6,
} as const;

export const irteStride = 8;

/** The remapping table, and the unit that reads it: a machine has real ones. Entries have four words. */
export interface IrtePort {
  /** A word of an entry, as CPUs see it. */
  read(entry: number, word: number): number;
  write(entry: number, word: number, value: number): void;
  /** Brings an entry to memory, for a unit that does not snoop the CPU's cache. */
  writeBack(entry: number): void;
  /** Makes the unit forget what it holds of an entry. @returns 0, or a negative errno. */
  invalidate(entry: number): number;
  /** Whether the unit is through with every interrupt for which it has looked at the entry. */
  drained(entry: number): boolean;
}

/** What the steps of a remapping driver work on: registers of threads, words of entries, and the table. */
export interface IrteState {
  readonly irtes: IrtePort;
  get(at: number): number;
  set(at: number, value: number): void;
  take(at: number): number;
  /** Where the words of an entry begin: {@link IrteWord}. */
  irteAt(entry: number): number;
}
