import { DeliveryMode, type InterruptFabric } from "../../hardware/delivery.ts";
import { ApicFabric } from "../../hardware/lapic/fabric.ts";
import { qemuApics } from "../../hardware/lapic/profile.ts";
import { hasVector, strideShift, word } from "../../hardware/lapic/state.ts";
import { MessageComposer } from "../message-composer.ts";
import type { Handed, Sent } from "./sight.ts";

const vectors = 256;

/** Keeps what leaves a remapping unit as a {@link Sight} tells it, and hands it to local APICs if there are any. */
export class SightFabric implements InterruptFabric {
  sent: Sent[] = [];
  handed: Handed[] = [];
  readonly #composer = new MessageComposer();
  #apics: ApicFabric | undefined;

  /** Power comes. @param processors how many there are, their APIC ids from 0 up; 0 where nobody looks at their APICs. */
  reset(processors: number): void {
    this.sent = [];
    this.handed = [];
    this.#apics = processors === 0 ? undefined : emulatedApics(processors);
  }

  deliver(
    destination: number,
    logical: number,
    redirectionHint: number,
    deliveryMode: number,
    vector: number,
    level: number,
  ): number {
    this.#composer.deliver(destination, logical, redirectionHint, deliveryMode, vector, level);
    return this.#keep();
  }

  fixed(destination: number, vector: number): number {
    return this.deliver(destination, 0, 0, DeliveryMode.fixed, vector, 0);
  }

  message(addressLow: number, addressHigh: number, data: number): number {
    this.#composer.message(addressLow, addressHigh, data);
    return this.#keep();
  }

  #keep(): number {
    const { addressLow, addressHigh, data, destination, logical, deliveryMode, vector, level } =
      this.#composer;
    const high = addressHigh === 0 ? 0n : BigInt(addressHigh >>> 0) << 32n;
    this.sent.push({ address: high | BigInt(addressLow >>> 0), data: data >>> 0 });
    this.handed.push({
      destination: destination >>> 0,
      logical: logical as 0 | 1,
      deliveryMode,
      vector,
      level: level as 0 | 1,
    });
    // In xAPIC mode, in which the emulated processors start, 8 bits of a destination are held against an id; but what
    // addresses all of them is told by 32.
    const wide = destination >>> 0;
    if (logical === 0 && (wide & 0xff) === 0xff && wide !== 0xff && wide !== 0xffff_ffff) return 0;
    return this.#apics?.deliver(destination & 0xff, logical, 0, deliveryMode, vector, level) ?? 0;
  }

  /** IRR of each processor, the vectors ascending; null without APICs. */
  get irr(): readonly (readonly number[])[] | null {
    const apics = this.#apics;
    return apics === undefined ? null : Array.from({ length: apics.apics }, (_, slot) => irrOf(apics, slot));
  }
}

/** Local APICs as an emulator without KVM has them after reset; what they do against the manual is no matter here. */
function emulatedApics(processors: number): ApicFabric {
  return new ApicFabric(
    Array.from({ length: processors }, (_, id) => id),
    qemuApics,
  );
}

function irrOf(apics: ApicFabric, slot: number): number[] {
  const found: number[] = [];
  const at = (slot << strideShift) + word.irr;
  for (let vector = 0; vector < vectors; vector++) {
    if (hasVector(apics.state, at, vector)) found.push(vector);
  }
  return found;
}
