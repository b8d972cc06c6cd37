import * as msiAddress from "../spec/accessors/msi-address.ts";
import * as msiData from "../spec/accessors/msi-data.ts";
import * as rte from "../spec/accessors/ioapic-rte-wire.ts";
import { decode, encode } from "../spec/codec.ts";
import {
  ioapicArbitration,
  ioapicEoi,
  ioapicEoiVersion,
  ioapicId,
  ioapicOffset,
  ioapicRegister,
  ioapicSelect,
  ioapicVersion,
} from "../spec/apic/ioapic.ts";
import { DeliveryMode, type InterruptFabric, type RemappingUnit } from "./delivery.ts";

export interface IoApicOptions {
  readonly fabric: InterruptFabric;
  /** The remapping unit that the I/O APIC's messages go through, if any. */
  readonly unit?: RemappingUnit;
  /** Bus:device.function, 16 bits, that its messages carry; firmware tells it in DMAR or IVRS. */
  readonly requester: number;
  /** 1 to 120 (IOREGSEL has no room for more); 24 unless told. */
  readonly pins?: number;
  /** 20h unless told; below 20h there is no EOI register. */
  readonly version?: number;
  /** Rule `qemu.ioapic.level-clear`: messages of level-triggered entries carry Level=0. */
  readonly levelClear?: boolean;
}

/** The most pins whose entries IOREGSEL can name. */
const pinLimit = 120;
const addressPrefix = 0xfee << msiAddress.PREFIX_SHIFT;
const readOnly = rte.DS_MASK | rte.RIRR_MASK;
/** Bits of an entry's low dword that exist. */
const implementedLow = rte.V_MASK | rte.DLM_MASK | rte.DM_MASK | rte.POL_MASK | rte.TM_MASK | rte.MASK_MASK;

/**
 * An I/O APIC: turns the levels of its pins into interrupt messages, each as its pin's redirection entry says.
 * State is one `Int32Array`: two dwords an entry, then a bitmap of pin levels and one of latched requests.
 */
export class IoApic {
  readonly pins: number;
  readonly version: number;
  readonly requester: number;
  readonly #state: Int32Array;
  readonly #lines: number;
  readonly #fabric: InterruptFabric;
  readonly #unit: RemappingUnit | undefined;
  readonly #levelBit: number;
  #select = 0;
  #id = 0;

  /** @throws RangeError when there are not 1 to 120 pins. */
  constructor(options: IoApicOptions) {
    const pins = options.pins ?? 24;
    if (!(Number.isInteger(pins) && pins >= 1 && pins <= pinLimit)) {
      throw new RangeError(`I/O APIC: ${pins} pins, expected 1 to ${pinLimit}`);
    }
    this.pins = pins;
    this.version = options.version ?? 0x20;
    this.requester = options.requester;
    this.#lines = pins * rte.WORDS;
    this.#state = new Int32Array(this.#lines + Math.ceil(pins / 32));
    for (let pin = 0; pin < pins; pin++) this.#state[pin * rte.WORDS] = rte.MASK_MASK;
    this.#fabric = options.fabric;
    this.#unit = options.unit;
    this.#levelBit = options.levelClear === true ? 0 : msiData.LEVEL_MASK;
  }

  /**
   * The electrical level of a pin, 1 for high. Whether that asserts it is for the entry's polarity to say.
   * @throws RangeError when there is no such pin.
   */
  setPin(pin: number, level: 0 | 1): void {
    if (!(Number.isInteger(pin) && pin >= 0 && pin < this.pins)) {
      throw new RangeError(`I/O APIC: pin ${pin}, expected 0 to ${this.pins - 1}`);
    }
    const word = this.#lines + (pin >> 5);
    const before = this.#asserted(pin);
    const cleared = this.#state[word]! & ~(1 << (pin & 31));
    this.#state[word] = cleared | (level << (pin & 31));
    if (before || !this.#asserted(pin)) return;
    if (this.#isLevel(pin)) this.#serviceLevel(pin);
    // ioapic.edge.masked
    else if (rte.mask(this.#state, pin * rte.WORDS) === 0) this.#send(pin);
  }

  /** A pulse on a pin: asserts it, as its polarity has it, and takes that back. */
  pulse(pin: number): void {
    const idle = rte.pol(this.#state, pin * rte.WORDS) as 0 | 1;
    this.setPin(pin, idle === 0 ? 1 : 0);
    this.setPin(pin, idle);
  }

  /** A redirection entry as it reads, 64 bits. */
  entry(pin: number): bigint {
    const high = this.#state[pin * rte.WORDS + 1]!;
    return (BigInt(high >>> 0) << 32n) | BigInt(this.#state[pin * rte.WORDS]! >>> 0);
  }

  /**
   * Reads a memory-mapped register, dword.
   * @param offset in bytes from the I/O APIC's base address.
   */
  read(offset: number): number {
    if (offset === ioapicOffset.select) return this.#select;
    // ioapic.register.access
    return offset === ioapicOffset.window ? this.readRegister(this.#select) : 0;
  }

  /** Writes a memory-mapped register, dword. */
  write(offset: number, value: number): void {
    if (offset === ioapicOffset.select) {
      this.#select = Number(decode(ioapicSelect, BigInt(value >>> 0)).register);
    } else if (offset === ioapicOffset.window) this.writeRegister(this.#select, value);
    else if (offset === ioapicOffset.eoi && this.version >= ioapicEoiVersion) {
      // ioapic.eoi.register
      this.eoiBroadcast(Number(decode(ioapicEoi, BigInt(value >>> 0)).v));
    }
  }

  /** Reads the register that an index names, as through the window; unsigned. */
  readRegister(index: number): number {
    if (index === ioapicRegister.id) return Number(encode(ioapicId, { id: this.#id }));
    if (index === ioapicRegister.version) {
      return Number(encode(ioapicVersion, { version: this.version, max: this.pins - 1 }));
    }
    if (index === ioapicRegister.arbitration) return Number(encode(ioapicArbitration, { id: this.#id }));
    const word = this.#entryWord(index);
    return word < 0 ? 0 : this.#state[word]! >>> 0;
  }

  /** Writes the register that an index names, as through the window. */
  writeRegister(index: number, value: number): void {
    if (index === ioapicRegister.id) this.#id = Number(decode(ioapicId, BigInt(value >>> 0)).id);
    const word = this.#entryWord(index);
    if (word < 0) return;
    const pin = Math.floor(word / rte.WORDS);
    if (word % rte.WORDS === 0) {
      // ioapic.rte.read-only
      const kept = this.#state[word]! & readOnly;
      // ioapic.eoi.edge-clears
      const status = (value & rte.TM_MASK) === 0 ? kept & ~rte.RIRR_MASK : kept;
      this.#state[word] = (value & implementedLow) | status;
    } else this.#state[word] = value & rte.UPPER_MASK;
    this.#serviceLevel(pin);
  }

  /** The EOI of a level-triggered vector, as a local APIC broadcasts it or software writes it to the EOI register. */
  eoiBroadcast(vector: number): void {
    for (let pin = 0; pin < this.pins; pin++) {
      const at = pin * rte.WORDS;
      // ioapic.eoi.broadcast
      if (rte.v(this.#state, at) !== vector || rte.rirr(this.#state, at) === 0) continue;
      this.#state[at] = this.#state[at]! & ~rte.RIRR_MASK;
      this.#serviceLevel(pin);
    }
  }

  /** The index in the state of the entry's dword that a register index names; negative if it names none. */
  #entryWord(index: number): number {
    const word = index - ioapicRegister.table;
    return word < this.#lines ? word : -1;
  }

  #asserted(pin: number): boolean {
    const level = (this.#state[this.#lines + (pin >> 5)]! >>> (pin & 31)) & 1;
    return level !== rte.pol(this.#state, pin * rte.WORDS);
  }

  #isLevel(pin: number): boolean {
    const at = pin * rte.WORDS;
    // ioapic.edge.modes
    return rte.tm(this.#state, at) === 1 && rte.dlm(this.#state, at) <= DeliveryMode.lowestPriority;
  }

  /** Sends a level-triggered interrupt if its pin asks for one and nothing holds it back. */
  #serviceLevel(pin: number): void {
    const at = pin * rte.WORDS;
    if (!this.#isLevel(pin) || !this.#asserted(pin)) return;
    // ioapic.level.remote-irr
    if (rte.mask(this.#state, at) === 1 || rte.rirr(this.#state, at) === 1) return;
    this.#state[at] = this.#state[at]! | rte.RIRR_MASK;
    this.#send(pin);
  }

  #send(pin: number): void {
    const state = this.#state;
    const at = pin * rte.WORDS;
    // ioapic.message.compatibility, ioapic.message.remappable: bit 48, the format, lands in the address's format bit.
    const address =
      addressPrefix |
      (rte.upper(state, at) << msiAddress.FORMAT_SHIFT) |
      (rte.dm(state, at) << msiAddress.DM_SHIFT);
    // ioapic.message.level
    const trigger = this.#isLevel(pin) ? msiData.TM_MASK | this.#levelBit : 0;
    const data = rte.v(state, at) | (rte.dlm(state, at) << msiData.DLM_SHIFT) | trigger;
    state[at]! |= rte.DS_MASK;
    if (this.#unit === undefined) this.#fabric.message(address, 0, data);
    else this.#unit.interrupt(address, data, this.requester);
    state[at]! &= ~rte.DS_MASK;
  }
}
