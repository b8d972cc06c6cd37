import { DeliveryMode, Outcome } from "../hardware/delivery.ts";
import * as msiAddress from "../spec/accessors/msi-address.ts";
import * as msiData from "../spec/accessors/msi-data.ts";
import * as remappable from "../spec/accessors/msi-remappable-address.ts";
import * as amdData from "../spec/accessors/msi-amd-data.ts";
import { encode } from "../spec/codec.ts";
import { msiRemappableAddress } from "../spec/msi/message.ts";
import type { MsiMessage } from "../linux/irq/chip.ts";
import { vectorConfig } from "../linux/irq/vector.ts";
import type { Kernel } from "../linux/kernel.ts";
import type { Device } from "./device.ts";
import type { Hardware } from "./hardware.ts";

/** What became of a device's attempts to interrupt whom it has no business with. */
export interface AttackResult {
  attempts: number;
  blocked: number;
  /** Messages of its own that it was given: they arrive, and may. */
  own: number;
  /** Past its entries: CPUs that it reached, vectors that it chose, and delivery modes. */
  hijacked: number;
  readonly cpus: Set<number>;
  readonly vectors: Set<number>;
  readonly modes: Set<number>;
}

const prefix = 0xfee << msiAddress.PREFIX_SHIFT;
const firstVector = 0x10;
const broadcast = 0xff;
const handles = 1 << 16;
const amdIndices = 1 << 11;
/** Entries that are tried before everything else: those of whom the kernel set up first. */
const firstEntries = 16;

/** A device writes every message that it can think of: each CPU, vector and delivery mode, and each index of a table. */
export class Attack {
  readonly result: AttackResult = {
    attempts: 0,
    blocked: 0,
    own: 0,
    hijacked: 0,
    cpus: new Set(),
    vectors: new Set(),
    modes: new Set(),
  };
  readonly #hardware: Hardware;
  readonly #requester: number;
  readonly #remapped: boolean;
  /** The messages that the device was given. */
  readonly #own: readonly MsiMessage[];
  /** What the kernel meant each of them to be: a vector of a CPU. */
  readonly #granted: readonly { readonly vector: number; readonly cpu: number }[];
  readonly #before: Int32Array;

  /**
   * @param requester the id that its requests arrive with.
   */
  constructor(k: Kernel, hardware: Hardware, device: Device, requester: number) {
    this.#hardware = hardware;
    this.#remapped = k.remapping?.enabled === true;
    this.#requester = requester;
    this.#own = (device.pci.msi?.descriptors ?? []).flatMap(({ message, used }) =>
      Array.from({ length: used }, (_, vector) => ({ ...message, data: message.data + vector })),
    );
    this.#granted = (device.pci.msi?.descriptors ?? []).flatMap(({ irq, used }) =>
      Array.from({ length: used }, (_, i) => vectorConfig(k.irqs.descriptors.get(irq + i)!.data)),
    );
    this.#before = new Int32Array(hardware.apics.state.length);
  }

  run(): AttackResult {
    if (this.#hardware.settings.vendor === "amd") {
      this.#indices(0, firstEntries);
      this.#compatibility();
      this.#indices(firstEntries, amdIndices);
    } else {
      this.#remappable(0, firstEntries);
      this.#compatibility();
      this.#remappable(firstEntries, handles);
      this.#malformed();
    }
    return this.result;
  }

  #compatibility(): void {
    const targets = [...this.#hardware.cpus.map(({ apicId }) => apicId), broadcast];
    for (const destination of targets) {
      for (const logical of [0, 1]) {
        const address = prefix | (destination << msiAddress.DST_SHIFT) | (logical << msiAddress.DM_SHIFT);
        for (const mode of Object.values(DeliveryMode)) {
          const vectored = mode === DeliveryMode.fixed || mode === DeliveryMode.lowestPriority;
          for (let vector = vectored ? firstVector : 0xff; vector <= 0xff; vector++) {
            this.#attempt(address, (mode << msiData.DLM_SHIFT) | vector, mode, vector);
          }
        }
      }
    }
  }

  /** AMD-Vi takes the data for an index, whatever the address says. */
  #indices(from: number, to: number): void {
    for (let index = from; index < to; index++) this.#attempt(prefix, index, DeliveryMode.fixed, -1);
  }

  #remappable(from: number, to: number): void {
    for (let handle = from; handle < to; handle++) {
      this.#attempt(remappableAddress(handle, 0), 0, DeliveryMode.fixed, -1);
    }
  }

  /** A subhandle in reserved bits, and one that leads past the largest table. */
  #malformed(): void {
    const last = remappableAddress(handles - 1, 1);
    this.#attempt(last, 1 << 16, DeliveryMode.fixed, -1);
    this.#attempt(last, 1, DeliveryMode.fixed, -1);
  }

  #attempt(address: number, data: number, mode: number, vector: number): void {
    const { apics, fabric, root, unit } = this.#hardware;
    const { result } = this;
    const { state } = apics;
    this.#before.set(state);
    const accepted = fabric.accepted;
    if (unit !== undefined) unit.last = Outcome.passed;
    root.writeDword(this.#requester, address, 0, data);
    result.attempts++;
    if (unit?.last === Outcome.blocked) {
      result.blocked++;
      return;
    }
    const reached = fabric.accepted > accepted || unit?.last === Outcome.posted;
    const own = this.#ownVector(address, data);
    if (own >= 0 && this.#arrivedAsGranted(own)) result.own++;
    else if (reached) {
      result.hijacked++;
      result.modes.add(mode);
      if (vector >= 0) result.vectors.add(vector);
      this.#noteCpus(state);
    }
    // What was reached is only looked at: nobody takes it.
    state.set(this.#before);
  }

  /** The vector of the device whose message says the same, in the same words or in others; -1 for none. */
  #ownVector(address: number, data: number): number {
    const { vendor } = this.#hardware.settings;
    const index = this.#remapped ? indexOf(vendor, address, data) : -1;
    return this.#own.findIndex((own) =>
      index >= 0
        ? indexOf(vendor, own.addressLow, own.data) === index
        : own.addressLow === address && own.data === data,
    );
  }

  /** Whether what has just arrived is what the kernel meant that vector to be: nothing else has changed anywhere. */
  #arrivedAsGranted(own: number): boolean {
    const granted = this.#granted[own];
    if (granted === undefined) return true;
    const { state } = this.#hardware.apics;
    const words = state.length / this.#hardware.cpus.length;
    for (let i = 0; i < state.length; i++) {
      const added = state[i]! & ~this.#before[i]!;
      const wanted = i === granted.cpu * words + (granted.vector >>> 5) ? 1 << granted.vector : 0;
      if ((added & ~wanted) !== 0) return false;
    }
    return true;
  }

  #noteCpus(state: Int32Array): void {
    const words = state.length / this.#hardware.cpus.length;
    for (const { number } of this.#hardware.cpus) {
      for (let i = number * words; i < (number + 1) * words; i++) {
        if (state[i] === this.#before[i]) continue;
        this.result.cpus.add(number);
        break;
      }
    }
  }
}

function remappableAddress(handle: number, shv: 0 | 1): number {
  return Number(BigInt.asIntN(32, encode(msiRemappableAddress, { prefix: 0xfee, format: 1, shv, handle })));
}

/** What a unit takes for the index of an entry; -1 where the message has none. */
function indexOf(vendor: "intel" | "amd", address: number, data: number): number {
  if (vendor === "amd") return amdData.index(data);
  if (remappable.format(address) === 0) return -1;
  return remappable.handle(address) + (remappable.shv(address) === 1 ? data & 0xffff : 0);
}
