/**
 * What can be seen of the hardware from outside. Hot paths hand plain integers to an observer, if there is one; what
 * each of them says, by kind:
 */
const kinds = {
  /** A device's MSI write reached the remapping unit. */
  request: ["requester", "address", "data"],
  /** The unit looked at an entry; `hit` 1 from its cache; of AMD's 32-bit entries one word. */
  entry: ["index", "hit", "word0", "word1", "word2", "word3"],
  /** A request was blocked; `index` -1 where undefined, `recorded` 1 if a record or log entry was written. */
  fault: ["reason", "requester", "index", "recorded"],
  /** A request left the unit unchanged. */
  passed: ["address", "data"],
  remapped: ["destination", "logical", "redirectionHint", "deliveryMode", "vector", "level"],
  /**
   * A request was posted, to a descriptor or an AVIC backing page. `notified` 1 if ON was set and a notification sent, or
   * the doorbell rung; `urgent` 1 for URG=1, or for a GALog entry.
   */
  posted: ["addressLow", "addressHigh", "vector", "notified", "urgent"],
  /** A local APIC accepted an interrupt. */
  accepted: ["apicId", "vector", "deliveryMode", "level"],
  /** A processor took an interrupt from its local APIC. */
  acknowledged: ["apicId", "vector"],
  /** No local APIC matched, or the one that did refused. */
  undelivered: ["destination", "vector", "deliveryMode"],
  /** Software wrote a register of a unit. */
  register: ["offset", "low", "high"],
  /** Cached entries were dropped: `count` from `first`, or `first` -1; AMD: of `device`, with its table entry or not, else -1. */
  invalidated: ["first", "count", "device", "deviceEntry"],
  /** A wait descriptor or command completed. */
  completed: ["addressLow", "addressHigh", "low", "high"],
  /** The unit raised one of its own interrupts. */
  event: ["addressLow", "addressHigh", "data"],
  /** A virtual CPU took a virtual interrupt. */
  virtual: ["vcpu", "vector"],
  /** A processor went into guest mode. */
  vmEntry: ["vcpu", "apicId"],
  /** It left it; `reason` as its vendor numbers them. */
  vmExit: ["vcpu", "apicId", "reason"],
  /** KVM pointed a host interrupt at a virtual CPU, `id` in its VM, or with -1 for both back at the host. */
  routed: ["irq", "vcpu", "gsi", "vector", "id"],
  /** A device accessed memory; `write` 1 for a write. */
  dma: ["requester", "addressLow", "addressHigh", "length", "write"],
  /** A device's access to memory was refused. */
  dmaRefused: ["requester", "addressLow", "addressHigh", "length", "write"],
} as const;

export type EventName = keyof typeof kinds;

const names = Object.keys(kinds) as EventName[];

/** The number that stands for a kind of event, from 1. */
export const eventKinds = Object.fromEntries(names.map((name, i) => [name, i + 1])) as {
  readonly [Name in EventName]: EventKind;
};

/** A number of {@link eventKinds}. */
export type EventKind = number;

/** Takes what hot paths report; `a` to `f` are the kind's values in their order, int32, the rest 0. */
export interface Observer {
  record(kind: EventKind, a: number, b: number, c: number, d: number, e: number, f: number): void;
}

/** One event as somebody reads it: its kind, and its values by their names. */
export type HardwareEvent = {
  [Name in EventName]: { readonly kind: Name } & { readonly [Value in (typeof kinds)[Name][number]]: number };
}[EventName];

/** Names the values of an event: words are its kind and up to six values, from `at`. */
export function decodeEvent(words: Int32Array, at: number): HardwareEvent {
  const kind = names[words[at]! - 1]!;
  const values = kinds[kind].map((name, i) => [name, words[at + 1 + i]!]);
  return { kind, ...Object.fromEntries(values) } as HardwareEvent;
}
