import { DeliveryMode, type InterruptFabric } from "./delivery.ts";

/** One interrupt as a unit handed it over. */
export interface Delivery {
  readonly destination: number;
  readonly logical: number;
  readonly redirectionHint: number;
  readonly deliveryMode: number;
  readonly vector: number;
  readonly level: number;
}

/** One message that went past every unit: its address, 64 bits, and data, both unsigned. */
export interface Message {
  readonly address: bigint;
  readonly data: number;
}

/** A fabric without processors: it keeps what it is given, in order. */
export class RecordingFabric implements InterruptFabric {
  readonly deliveries: Delivery[] = [];
  readonly messages: Message[] = [];

  deliver(
    destination: number,
    logical: number,
    redirectionHint: number,
    deliveryMode: number,
    vector: number,
    level: number,
  ): number {
    this.deliveries.push({
      destination: destination >>> 0,
      logical,
      redirectionHint,
      deliveryMode,
      vector,
      level,
    });
    return 1;
  }

  fixed(destination: number, vector: number): number {
    return this.deliver(destination, 0, 0, DeliveryMode.fixed, vector, 0);
  }

  message(addressLow: number, addressHigh: number, data: number): number {
    const address = (BigInt(addressHigh >>> 0) << 32n) | BigInt(addressLow >>> 0);
    this.messages.push({ address, data: data >>> 0 });
    return 1;
  }
}
