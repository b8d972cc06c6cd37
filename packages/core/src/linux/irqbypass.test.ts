import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { errno } from "./errno.ts";
import { Eventfd } from "./eventfd.ts";
import {
  type IrqBypassConsumer,
  type IrqBypassProducer,
  irqBypassRegisterConsumer,
  irqBypassRegisterProducer,
  irqBypassUnregisterConsumer,
  irqBypassUnregisterProducer,
} from "./irqbypass.ts";
import { host } from "./testbed.ts";

interface Refusals {
  readonly addConsumer?: number;
  readonly addProducer?: number;
}

/** A producer and a consumer that say in which order they are called. */
function pair(refusals: Refusals = {}, k = host().k) {
  const eventfd = new Eventfd("trigger");
  const order: string[] = [];
  const note = (what: string) => () => void order.push(what);
  const producer: IrqBypassProducer = {
    eventfd: null,
    irq: 0,
    consumer: null,
    stop: note("prod.stop"),
    start: note("prod.start"),
    addConsumer: () => {
      order.push("prod.add_consumer");
      return refusals.addConsumer ?? 0;
    },
    delConsumer: note("prod.del_consumer"),
  };
  const consumer: IrqBypassConsumer = {
    eventfd: null,
    producer: null,
    stop: note("cons.stop"),
    start: note("cons.start"),
    addProducer: () => {
      order.push("cons.add_producer");
      return refusals.addProducer ?? 0;
    },
    delProducer: note("cons.del_producer"),
  };
  return { k, eventfd, order, producer, consumer };
}

const connecting = [
  "prod.stop",
  "cons.stop",
  "prod.add_consumer",
  "cons.add_producer",
  "cons.start",
  "prod.start",
];

describe("a producer and a consumer of one eventfd", () => {
  test.each([true, false])("are connected in this order, the producer first: %s", (producerFirst) => {
    const { k, eventfd, order, producer, consumer } = pair();
    const register = [
      () => irqBypassRegisterProducer(k, producer, eventfd, 40),
      () => irqBypassRegisterConsumer(k, consumer, eventfd),
    ];
    for (const step of producerFirst ? register : register.reverse()) expect(step()).toBe(0);
    expect(order).toEqual(connecting);
    expect(producer).toMatchObject({ eventfd, irq: 40, consumer });
    expect(consumer).toMatchObject({ eventfd, producer });
  });

  test.each(["producer", "consumer"] as const)("are disconnected in this order when the %s goes", (who) => {
    const { k, eventfd, order, producer, consumer } = pair();
    irqBypassRegisterProducer(k, producer, eventfd, 40);
    irqBypassRegisterConsumer(k, consumer, eventfd);
    order.length = 0;
    if (who === "producer") irqBypassUnregisterProducer(k, producer);
    else irqBypassUnregisterConsumer(k, consumer);
    expect(order).toEqual([
      "prod.stop",
      "cons.stop",
      "cons.del_producer",
      "prod.del_consumer",
      "cons.start",
      "prod.start",
    ]);
    expect(producer.consumer).toBeNull();
    expect(consumer.producer).toBeNull();
  });

  test.each([
    [{ addConsumer: -5 }, connecting.filter((step) => step !== "cons.add_producer")],
    [{ addProducer: -5 }, connecting.toSpliced(4, 0, "prod.del_consumer")],
  ] as const)("are not registered when one of them refuses: %o", (refusals, expected) => {
    const { k, eventfd, order, producer, consumer } = pair(refusals);
    irqBypassRegisterProducer(k, producer, eventfd, 40);
    expect(irqBypassRegisterConsumer(k, consumer, eventfd)).toBe(-5);
    expect(order).toEqual(expected);
    expect(k.irqBypass.consumers.size).toBe(0);
    expect([consumer.eventfd, consumer.producer, producer.consumer]).toEqual([null, null, null]);
    irqBypassUnregisterConsumer(k, consumer);
    irqBypassUnregisterProducer(k, producer);
    expect(irqBypassRegisterConsumer(k, consumer, eventfd)).toBe(0);
    expect(irqBypassRegisterProducer(k, producer, eventfd, 40)).toBe(-5);
    expect(k.irqBypass.producers.size).toBe(0);
  });
});

test("an eventfd has one producer and one consumer", () => {
  const first = pair();
  const second = pair();
  const { k, eventfd } = first;
  expect(irqBypassRegisterProducer(k, first.producer, eventfd, 40)).toBe(0);
  expect(irqBypassRegisterProducer(k, second.producer, eventfd, 41)).toBe(-errno.EBUSY);
  expect(irqBypassRegisterConsumer(k, first.consumer, eventfd)).toBe(0);
  expect(irqBypassRegisterConsumer(k, second.consumer, eventfd)).toBe(-errno.EBUSY);
  irqBypassUnregisterProducer(k, second.producer);
  irqBypassUnregisterConsumer(k, second.consumer);
  expect(first.producer.consumer).toBe(first.consumer);
});

test("two are connected exactly while both are registered, in any order of events", () => {
  const step = fc.record({ who: fc.integer({ min: 0, max: 5 }), on: fc.boolean() });
  fc.assert(
    fc.property(fc.array(step, { maxLength: 40 }), (steps) => {
      const { k } = host();
      const sets = [0, 1, 2].map(() => pair({}, k));
      for (const { who, on } of steps) {
        const { producer, consumer, eventfd } = sets[who >> 1]!;
        if (who % 2 === 0 && on && producer.eventfd === null)
          irqBypassRegisterProducer(k, producer, eventfd, 40);
        else if (who % 2 === 0 && !on) irqBypassUnregisterProducer(k, producer);
        else if (who % 2 === 1 && on && consumer.eventfd === null)
          irqBypassRegisterConsumer(k, consumer, eventfd);
        else if (who % 2 === 1 && !on) irqBypassUnregisterConsumer(k, consumer);
        for (const set of sets) {
          const both = set.producer.eventfd !== null && set.consumer.eventfd !== null;
          expect(set.producer.consumer === set.consumer).toBe(both);
          expect(set.consumer.producer === set.producer).toBe(both);
        }
      }
      const registered = sets.filter(({ producer }) => producer.eventfd !== null).length;
      expect(k.irqBypass.producers.size).toBe(registered);
    }),
  );
});
