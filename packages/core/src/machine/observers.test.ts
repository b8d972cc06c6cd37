import { expect, test } from "vitest";
import { type EventKind, eventKinds } from "../hardware/event.ts";
import { Observers } from "./observers.ts";

test("several observers are each told of every event, with all of its values", () => {
  const told: (readonly [string, EventKind, ...number[]])[] = [];
  const observer = (name: string) => ({
    record: (kind: EventKind, ...values: number[]) => void told.push([name, kind, ...values]),
  });
  new Observers([observer("one"), observer("other")]).record(eventKinds.remapped, 1, 2, 3, 4, 5, 6);
  expect(told).toEqual(["one", "other"].map((name) => [name, eventKinds.remapped, 1, 2, 3, 4, 5, 6]));
});
