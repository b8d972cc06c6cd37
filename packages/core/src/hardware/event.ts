/**
 * What can be seen of the hardware from outside. Hot paths hand plain numbers to an observer, if there is one;
 * `decodeEvent` turns them into an object when somebody wants to read it.
 */
export const eventKinds = {
  /** A device's MSI write reached the remapping unit: requester, address low, data. */
  request: 1,
  /** The unit looked at an entry: index, hit, then its four words. */
  entry: 2,
  /** A request was blocked: reason, requester, index (-1 where undefined), 1 if a record was written. */
  fault: 3,
  /** A request left the unit unchanged: address low, data. */
  passed: 4,
  /** A request left the unit remapped: destination, logical, redirection hint, delivery mode, vector, level. */
  remapped: 5,
  /** A request was posted: descriptor address low, high, vector, 1 if ON was set, 1 if it was urgent. */
  posted: 6,
  /** A local APIC accepted an interrupt: APIC id, vector, delivery mode, level. */
  accepted: 7,
  /** No local APIC matched, or the one that did refused: destination, vector, delivery mode. */
  undelivered: 8,
  /** A register of a unit was written: offset, value low, value high. */
  register: 9,
  /** Cached entries were dropped: first index, count; -1 for all. */
  invalidated: 10,
  /** A wait descriptor or command completed: status address low, high, data. */
  completed: 11,
  /** The unit raised one of its own events: address low, address high, data. */
  event: 12,
  /** A virtual CPU took a virtual interrupt: virtual CPU, vector. */
  virtual: 13,
  /** Memory was written by a device: requester, address low, address high, length. */
  dma: 14,
  /** A device's access to memory was refused: requester, address low, address high, length, 1 for a write. */
  dmaRefused: 15,
} as const;

export type EventKind = (typeof eventKinds)[keyof typeof eventKinds];

/** Takes what hot paths report; the meaning of `a` to `f` is the kind's. */
export interface Observer {
  record(kind: EventKind, a: number, b: number, c: number, d: number, e: number, f: number): void;
}
