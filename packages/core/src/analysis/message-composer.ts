import { DeliveryMode, type InterruptFabric } from "../hardware/delivery.ts";
import * as address from "../spec/accessors/msi-address.ts";
import * as content from "../spec/accessors/msi-data.ts";

const interruptRange = (0xfee << address.PREFIX_SHIFT) | 0;

/**
 * A fabric that keeps the last message as it would stand on the bus: destination bits 31:8 in address bits 63:40, and
 * the level asserted. All int32.
 */
export class MessageComposer implements InterruptFabric {
  addressLow = 0;
  addressHigh = 0;
  data = 0;

  deliver(
    destination: number,
    logical: number,
    redirectionHint: number,
    deliveryMode: number,
    vector: number,
    level: number,
  ): number {
    this.addressLow =
      interruptRange |
      ((destination << address.DST_SHIFT) & address.DST_MASK) |
      (redirectionHint << address.RH_SHIFT) |
      (logical << address.DM_SHIFT);
    this.addressHigh = destination & address.DSTHIGH_MASK;
    this.data =
      vector | (deliveryMode << content.DLM_SHIFT) | content.LEVEL_MASK | (level << content.TM_SHIFT);
    return 1;
  }

  fixed(destination: number, vector: number): number {
    return this.deliver(destination, 0, 0, DeliveryMode.fixed, vector, 0);
  }

  message(addressLow: number, addressHigh: number, data: number): number {
    this.addressLow = addressLow;
    this.addressHigh = addressHigh;
    this.data = data;
    return 1;
  }

  /** What a local APIC reads out of the message. */
  get destination(): number {
    return this.addressHigh | ((this.addressLow & address.DST_MASK) >>> address.DST_SHIFT);
  }

  get logical(): number {
    return (this.addressLow & address.DM_MASK) >>> address.DM_SHIFT;
  }

  get deliveryMode(): number {
    return content.dlm(this.data);
  }

  get vector(): number {
    return content.v(this.data);
  }

  get level(): number {
    return content.tm(this.data);
  }
}

/** A message as QEMU prints it. */
export function printMessage(addressLow: number, addressHigh: number, data: number): string {
  const high = (addressHigh >>> 0).toString(16);
  const low = (addressLow >>> 0).toString(16);
  const address = high === "0" ? low : high + low.padStart(8, "0");
  return `addr 0x${address}, data 0x${(data >>> 0).toString(16)}`;
}

/** What local APICs are handed, as QEMU prints it. */
export function printDelivery(
  delivery: Pick<MessageComposer, "destination" | "logical" | "deliveryMode" | "vector" | "level">,
): string {
  const { destination, logical, deliveryMode, vector, level } = delivery;
  return (
    `dest ${destination >>> 0}, dest_mode ${logical}, delivery_mode ${deliveryMode}, ` +
    `vector ${vector}, trigger_mode ${level}`
  );
}
