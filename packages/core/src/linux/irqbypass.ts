import { errno } from "./errno.ts";
import type { Eventfd } from "./eventfd.ts";
import { kernelFunction } from "./kernel-function.ts";
import type { Kernel } from "./kernel.ts";

/** `struct irq_bypass_producer`: a device interrupt of the host. */
export interface IrqBypassProducer {
  /** The key under which it is registered; null while it is not. */
  eventfd: Eventfd | null;
  /** Linux irq on the host. */
  irq: number;
  consumer: IrqBypassConsumer | null;
  /** Nothing of VFIO needs these. */
  stop?(k: Kernel): void;
  addConsumer?(k: Kernel, consumer: IrqBypassConsumer): number;
  delConsumer?(k: Kernel, consumer: IrqBypassConsumer): void;
  start?(k: Kernel): void;
}

/** `struct irq_bypass_consumer`: who can take the interrupt without the host's help. */
export interface IrqBypassConsumer {
  eventfd: Eventfd | null;
  producer: IrqBypassProducer | null;
  /** @returns 0, or a negative errno. */
  addProducer(k: Kernel, producer: IrqBypassProducer): number;
  delProducer(k: Kernel, producer: IrqBypassProducer): void;
  stop?(k: Kernel): void;
  start?(k: Kernel): void;
}

/** Who has registered: two xarrays with the eventfd's address as index; lists of tokens before 6.17. */
export class IrqBypass {
  readonly producers = new Map<Eventfd, IrqBypassProducer>();
  readonly consumers = new Map<Eventfd, IrqBypassConsumer>();
}

const connect = kernelFunction(
  "__connect",
  (k: Kernel, producer: IrqBypassProducer, consumer: IrqBypassConsumer): number => {
    producer.stop?.(k);
    consumer.stop?.(k);
    let result = producer.addConsumer?.(k, consumer) ?? 0;
    if (result === 0) {
      result = consumer.addProducer(k, producer);
      if (result !== 0) producer.delConsumer?.(k, consumer);
    }
    consumer.start?.(k);
    producer.start?.(k);
    if (result === 0) {
      producer.consumer = consumer;
      consumer.producer = producer;
    }
    return result;
  },
);

const disconnect = kernelFunction(
  "__disconnect",
  (k: Kernel, producer: IrqBypassProducer, consumer: IrqBypassConsumer): void => {
    producer.stop?.(k);
    consumer.stop?.(k);
    consumer.delProducer(k, producer);
    producer.delConsumer?.(k, consumer);
    consumer.start?.(k);
    producer.start?.(k);
    producer.consumer = null;
    consumer.producer = null;
  },
);

/** @returns 0; -EBUSY when another producer has the eventfd, or what connecting it to its consumer returned. */
export const irqBypassRegisterProducer = kernelFunction(
  "irq_bypass_register_producer",
  (k: Kernel, producer: IrqBypassProducer, eventfd: Eventfd, irq: number): number => {
    const { producers, consumers } = k.irqBypass;
    producer.irq = irq;
    if (producers.has(eventfd)) return -errno.EBUSY;
    producers.set(eventfd, producer);
    const consumer = consumers.get(eventfd);
    const result = consumer === undefined ? 0 : connect(k, producer, consumer);
    if (result === 0) producer.eventfd = eventfd;
    else producers.delete(eventfd);
    return result;
  },
);

/** Safe to call for one whose registration failed. */
export const irqBypassUnregisterProducer = kernelFunction(
  "irq_bypass_unregister_producer",
  (k: Kernel, producer: IrqBypassProducer): void => {
    if (producer.eventfd === null) return;
    if (producer.consumer !== null) disconnect(k, producer, producer.consumer);
    k.irqBypass.producers.delete(producer.eventfd);
    producer.eventfd = null;
  },
);

/** @returns 0; -EBUSY when another consumer has the eventfd, or what connecting it to its producer returned. */
export const irqBypassRegisterConsumer = kernelFunction(
  "irq_bypass_register_consumer",
  (k: Kernel, consumer: IrqBypassConsumer, eventfd: Eventfd): number => {
    const { producers, consumers } = k.irqBypass;
    if (consumers.has(eventfd)) return -errno.EBUSY;
    consumers.set(eventfd, consumer);
    const producer = producers.get(eventfd);
    const result = producer === undefined ? 0 : connect(k, producer, consumer);
    if (result === 0) consumer.eventfd = eventfd;
    else consumers.delete(eventfd);
    return result;
  },
);

/** Safe to call for one whose registration failed. */
export const irqBypassUnregisterConsumer = kernelFunction(
  "irq_bypass_unregister_consumer",
  (k: Kernel, consumer: IrqBypassConsumer): void => {
    if (consumer.eventfd === null) return;
    if (consumer.producer !== null) disconnect(k, consumer.producer, consumer);
    k.irqBypass.consumers.delete(consumer.eventfd);
    consumer.eventfd = null;
  },
);
