import type { EventName } from "../hardware/event.ts";

/** Whose track an event stands on. */
export type Place = "device" | "unit" | "fabric" | "processor" | "vcpu";

/** A value that is shown with an event: the place of its low half, and of its high half where it has 64 bits. */
export interface ShownValue {
  readonly name: string;
  readonly at: number;
  readonly high?: number;
  readonly hexadecimal?: true;
  /** The number that says that there is none: it is not shown. */
  readonly none?: number;
}

/** How an event looks on the timeline. */
export interface ShownEvent {
  readonly place: Place;
  /** What it is called; a vector's number is put behind it where `vector` says at which place that stands. */
  readonly title: string;
  /** What it is called where it has none of its values. */
  readonly bare?: string;
  readonly vector?: number;
  readonly values: readonly ShownValue[];
}

function integer(name: string, at: number): ShownValue {
  return { name, at };
}

function hex(name: string, at: number, high?: number): ShownValue {
  return { name, at, hexadecimal: true, ...(high !== undefined && { high }) };
}

/** A value that an event may not have. */
function unless(none: number, value: ShownValue): ShownValue {
  return { ...value, none };
}

/** Each kind of event. One that is not here is shown by its name alone. */
export const shownEvents: Readonly<Partial<Record<EventName, ShownEvent>>> = {
  request: { place: "device", title: "MSI write", values: [hex("address", 1), hex("data", 2)] },
  entry: { place: "unit", title: "table entry", values: [integer("index", 0), integer("cached", 1)] },
  fault: {
    place: "unit",
    title: "blocked",
    values: [hex("reason", 0), hex("requester", 1), unless(-1, integer("index", 2)), integer("recorded", 3)],
  },
  passed: { place: "unit", title: "passed", values: [hex("address", 0), hex("data", 1)] },
  remapped: { place: "unit", title: "remapped", values: [hex("vector", 4), integer("destination", 0)] },
  posted: {
    place: "unit",
    title: "posted",
    values: [hex("descriptor", 0, 1), hex("vector", 2), integer("notified", 3), integer("urgent", 4)],
  },
  accepted: { place: "processor", title: "vector", vector: 1, values: [integer("deliveryMode", 2)] },
  undelivered: {
    place: "fabric",
    title: "undelivered",
    values: [integer("destination", 0), hex("vector", 1), integer("deliveryMode", 2)],
  },
  register: { place: "unit", title: "register written", values: [hex("offset", 0), hex("value", 1, 2)] },
  invalidated: {
    place: "unit",
    title: "invalidated",
    bare: "invalidated: everything",
    values: [unless(-1, integer("first", 0)), unless(-1, integer("count", 1)), unless(-1, hex("device", 2))],
  },
  completed: { place: "unit", title: "wait completed", values: [hex("address", 0, 1), hex("data", 2, 3)] },
  event: { place: "unit", title: "own interrupt", values: [hex("address", 0, 1), hex("data", 2)] },
  virtual: { place: "vcpu", title: "virtual vector", vector: 1, values: [] },
  dma: {
    place: "device",
    title: "DMA",
    values: [hex("address", 1, 2), integer("length", 3), integer("write", 4)],
  },
  dmaRefused: {
    place: "device",
    title: "DMA refused",
    values: [hex("address", 1, 2), integer("length", 3), integer("write", 4)],
  },
};
