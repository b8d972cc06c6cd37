import * as msiAddress from "../../spec/accessors/msi-address.ts";
import type { RuleId } from "../../spec/rules.ts";
import { type InterruptFabric, Outcome, type RemappingUnit } from "../delivery.ts";
import { type EventKind, type Observer, eventKinds } from "../event.ts";
import { type Memory, physicalAddressLimit } from "../memory.ts";

/** The range that interrupt messages are written to: FEEx_xxxxh. */
const interruptPrefix = 0xfee;
const interruptFrom = interruptPrefix * 2 ** msiAddress.PREFIX_SHIFT;
const interruptTo = (interruptPrefix + 1) * 2 ** msiAddress.PREFIX_SHIFT;

/** No request crosses a boundary of this many bytes: a longer one is sent as several. */
const requestBoundary = 4096;

/** Addresses from `from` up to, not including, `to`. */
export interface AddressRange {
  readonly from: number;
  readonly to: number;
}

/** What became of a write. */
export type Routed =
  | { readonly to: "interrupt"; readonly outcome: Outcome }
  | { readonly to: "memory" }
  | { readonly to: "nowhere"; readonly rule: RuleId };

export interface AccessOptions {
  /** Process address space id, 20 bits; without it the request carries none. */
  readonly pasid?: number;
}

export interface RootComplexOptions {
  readonly memory: Memory;
  readonly fabric: InterruptFabric;
  /** The remapping unit of every requester that none is attached to. */
  readonly unit?: RemappingUnit;
  readonly observer?: Observer;
}

const toMemory: Routed = { to: "memory" };
const toInterrupt: Readonly<Record<Outcome, Routed>> = {
  [Outcome.passed]: { to: "interrupt", outcome: Outcome.passed },
  [Outcome.remapped]: { to: "interrupt", outcome: Outcome.remapped },
  [Outcome.posted]: { to: "interrupt", outcome: Outcome.posted },
  [Outcome.blocked]: { to: "interrupt", outcome: Outcome.blocked },
};

/**
 * Where the requests of PCI functions arrive. It tells interrupts from DMA, hands the former to the remapping unit
 * of their requester, and the latter to memory.
 */
export class RootComplex {
  readonly #memory: Memory;
  readonly #fabric: InterruptFabric;
  readonly #unit: RemappingUnit | undefined;
  readonly #attached = new Map<number, RemappingUnit>();
  readonly #confined = new Map<number, readonly AddressRange[]>();
  readonly #observer: Observer | undefined;

  constructor(options: RootComplexOptions) {
    this.#memory = options.memory;
    this.#fabric = options.fabric;
    this.#unit = options.unit;
    this.#observer = options.observer;
  }

  /** Puts a requester (bus:device.function, 16 bits) behind a remapping unit of its own. */
  attach(requester: number, unit: RemappingUnit): void {
    this.#attached.set(requester, unit);
  }

  /**
   * Lets DMA translation confine a requester to some ranges of memory.
   * @throws RangeError when a range ends before it starts or leaves the physical address space.
   */
  confine(requester: number, ranges: readonly AddressRange[]): void {
    for (const { from, to } of ranges) {
      if (!(from >= 0 && from <= to && to <= physicalAddressLimit)) {
        throw new RangeError(
          `confine: 0x${from.toString(16)} to 0x${to.toString(16)} is no range below 2^52`,
        );
      }
    }
    this.#confined.set(requester, [...ranges]);
  }

  /** Whether DMA translation confines a requester. */
  confines(requester: number): boolean {
    return this.#confined.has(requester);
  }

  /** Takes a requester's confinement back: it reaches any memory again. */
  release(requester: number): void {
    this.#confined.delete(requester);
  }

  /**
   * A 4-byte write without PASID; the way of every MSI, without an allocation.
   * @param addressLow address bits 31:0, int32.
   * @param addressHigh address bits 63:32, int32.
   */
  writeDword(requester: number, addressLow: number, addressHigh: number, data: number): Routed {
    if (
      addressHigh === 0 &&
      addressLow >>> msiAddress.PREFIX_SHIFT === interruptPrefix &&
      (addressLow & 3) === 0
    ) {
      return this.#interrupt(requester, addressLow, data);
    }
    return this.write(requester, (addressHigh >>> 0) * 2 ** 32 + (addressLow >>> 0), data);
  }

  /**
   * A write by a function.
   * @param requester bus:device.function as 16 bits.
   * @param address byte address.
   * @param payload the bytes, or one dword as a number.
   * @returns where it went; of a write that crosses 4 KiB boundaries, where its first refused part or else its last
   * part went. The parts before a refused one have been written, and so are those behind it.
   */
  write(
    requester: number,
    address: number,
    payload: number | Uint8Array,
    options: AccessOptions = {},
  ): Routed {
    const bytes = typeof payload === "number" ? dwordBytes(payload) : payload;
    let routed: Routed | undefined;
    let at = 0;
    do {
      const length = Math.min(bytes.length - at, requestBoundary - ((address + at) % requestBoundary));
      const one = this.#writeRequest(requester, address + at, bytes.subarray(at, at + length), options);
      if (routed?.to !== "nowhere") routed = one;
      at += length;
    } while (at < bytes.length);
    return routed;
  }

  /**
   * A read by a function.
   * @returns the bytes, or the rule by which a part of the read was refused.
   */
  read(requester: number, address: number, length: number, options: AccessOptions = {}): Uint8Array | RuleId {
    // vtd 3.14: a zero-length read, which only asks whether the address is there, is allowed everywhere.
    if (length === 0) return new Uint8Array(0);
    for (let at = 0; at < length;) {
      const size = Math.min(length - at, requestBoundary - ((address + at) % requestBoundary));
      const rule = this.#refusal(requester, address + at, size, options);
      if (rule !== undefined) {
        this.#refuse(requester, address + at, size, 0, rule);
        return rule;
      }
      at += size;
    }
    return this.#memory.readBytes(address, length);
  }

  #interrupt(requester: number, addressLow: number, data: number): Routed {
    const unit = this.#unitOf(requester);
    if (unit !== undefined) return toInterrupt[unit.interrupt(addressLow, data, requester)];
    this.#fabric.message(addressLow, 0, data);
    return toInterrupt[Outcome.passed];
  }

  #unitOf(requester: number): RemappingUnit | undefined {
    return this.#attached.size === 0 ? this.#unit : (this.#attached.get(requester) ?? this.#unit);
  }

  #writeRequest(requester: number, address: number, bytes: Uint8Array, options: AccessOptions): Routed {
    // pci.dma.interrupt-range
    if (inInterruptRange(address) && bytes.length === 4 && address % 4 === 0 && options.pasid === undefined) {
      return this.#interrupt(requester, address | 0, dwordOf(bytes));
    }
    const rule = this.#refusal(requester, address, bytes.length, options);
    if (rule !== undefined) return this.#refuse(requester, address, bytes.length, 1, rule);
    // pci.dma.unconfined
    this.#memory.writeBytes(address, bytes);
    this.#report(eventKinds.dma, requester, address, bytes.length, 1);
    return toMemory;
  }

  /** The rule by which one request to memory is refused, if any. */
  #refusal(requester: number, address: number, length: number, options: AccessOptions): RuleId | undefined {
    const rule = refusalOf(address, length, options);
    if (rule !== undefined) return rule;
    const ranges = this.#confined.get(requester);
    const granted =
      ranges === undefined || ranges.some(({ from, to }) => address >= from && address + length <= to);
    return granted ? undefined : "pci.dma.confined";
  }

  #refuse(requester: number, address: number, length: number, isWrite: 0 | 1, rule: RuleId): Routed {
    if (rule === "pci.dma.interrupt-range") this.#unitOf(requester)?.malformed(address | 0, requester);
    this.#report(eventKinds.dmaRefused, requester, address, length, isWrite);
    return { to: "nowhere", rule };
  }

  #report(kind: EventKind, requester: number, address: number, length: number, isWrite: 0 | 1): void {
    this.#observer?.record(
      kind,
      requester,
      address | 0,
      Math.floor(address / 2 ** 32) | 0,
      length,
      isWrite,
      0,
    );
  }
}

/** The rule by which a request to memory is refused whoever sends it, if any. */
export function refusalOf(address: number, length: number, options: AccessOptions = {}): RuleId | undefined {
  if (inInterruptRange(address)) {
    return options.pasid === undefined ? "pci.dma.interrupt-range" : "pci.dma.pasid-interrupt-range";
  }
  return address >= 0 && address + length <= physicalAddressLimit ? undefined : "pci.dma.address-width";
}

function inInterruptRange(address: number): boolean {
  return address >= interruptFrom && address < interruptTo;
}

function dwordBytes(value: number): Uint8Array {
  return Uint8Array.of(value, value >>> 8, value >>> 16, value >>> 24);
}

function dwordOf(bytes: Uint8Array): number {
  return bytes[0]! | (bytes[1]! << 8) | (bytes[2]! << 16) | (bytes[3]! << 24);
}
