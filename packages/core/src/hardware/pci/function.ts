import * as command from "../../spec/accessors/pci-command-status.ts";
import { encode } from "../../spec/codec.ts";
import { configOffset, firstCapability, pciClass, pciId } from "../../spec/pci/config-header.ts";
import { Bar, type BarOptions } from "./bar.ts";
import { type ConfigSize, ConfigSpace, type Width } from "./config-space.ts";
import { Msi, type MsiOptions } from "./msi.ts";
import { Msix, type MsixOptions } from "./msix.ts";
import type { AccessOptions, RootComplex, Routed } from "./root-complex.ts";
import { Signal } from "./signal.ts";

export interface PciFunctionOptions {
  /** Bus (15:8), device (7:3) and function (2:0). */
  readonly requester: number;
  readonly root: RootComplex;
  readonly vendor: number;
  readonly device: number;
  /** Base class, sub-class and programming interface, 24 bits. */
  readonly classCode?: number;
  readonly revision?: number;
  /** Bytes of configuration space; 4096 unless told. */
  readonly configSize?: ConfigSize;
  readonly bars?: readonly BarOptions[];
  readonly msi?: MsiOptions;
  readonly msix?: MsixOptions;
  /** 1 to 4 for INTA to INTD; 0, as unless told, for a function without INTx. */
  readonly interruptPin?: 0 | 1 | 2 | 3 | 4;
  /** The function's INTx signal changes: whoever wires it to an I/O APIC hears it here. */
  readonly intx?: (asserted: boolean) => void;
}

const commandWord = configOffset.commandStatus >> 2;

/** A PCI function: its configuration space, BARs, and the interrupts that it raises. */
export class PciFunction {
  readonly requester: number;
  readonly config: ConfigSpace;
  readonly bars: readonly Bar[];
  readonly msi: Msi | undefined;
  readonly msix: Msix | undefined;
  readonly #root: RootComplex;
  readonly #intx: (asserted: boolean) => void;
  /** What the INTx signal was last reported as. */
  #asserted = false;

  /** @throws RangeError when a BAR or a capability is not one that a function can have. */
  constructor(options: PciFunctionOptions) {
    const { vendor, device, classCode = 0xff0000, revision = 0, interruptPin = 0, msi, msix } = options;
    const config = new ConfigSpace(options.configSize ?? 4096);
    config.declare(configOffset.id, Number(encode(pciId, { vendor, device })));
    const writable = command.IO_MASK | command.MSE_MASK | command.BME_MASK | command.INTXDIS_MASK;
    const capabilities = msi !== undefined || msix !== undefined ? command.CAPLIST_MASK : 0;
    config.declare(
      configOffset.commandStatus,
      capabilities,
      writable | command.PERR_MASK | command.SERR_MASK,
      command.ERRORS_MASK,
    );
    const type = {
      base: classCode >>> 16,
      subclass: (classCode >>> 8) & 0xff,
      interface: classCode & 0xff,
      revision,
    };
    config.declare(configOffset.classRevision, Number(encode(pciClass, type)));
    config.declare(configOffset.interruptLine, interruptPin << 8, 0xff);

    this.requester = options.requester;
    this.config = config;
    this.#root = options.root;
    this.#intx = options.intx ?? (() => {});
    this.bars = (options.bars ?? []).map((bar) => new Bar(config, bar));

    const port = {
      canSend: () => this.canMaster,
      send: (addressLow: number, addressHigh: number, data: number) => {
        this.#root.writeDword(this.requester, addressLow, addressHigh, data);
      },
    };
    const msixOffset =
      msi === undefined ? firstCapability : firstCapability + Math.ceil(Msi.bytes(msi) / 16) * 16;
    if (capabilities !== 0)
      config.declare(configOffset.capabilities, msi === undefined ? msixOffset : firstCapability);
    this.msi = msi && new Msi(config, firstCapability, msix === undefined ? 0 : msixOffset, port, msi);
    this.msix = msix && new Msix(config, msixOffset, 0, port, msix);
    if (this.msix !== undefined) this.#checkPlaces(this.msix);
  }

  /** Bus Master Enable: the function may write and read memory of its own accord. */
  get canMaster(): boolean {
    return command.bme(this.config.words[commandWord]!) === 1;
  }

  /**
   * @param width 1, 2 or 4 bytes; the access must not cross a dword.
   * @returns the value, unsigned.
   */
  readConfig(offset: number, width: Width): number {
    return this.config.read(offset, width);
  }

  /** Writes to configuration space, and lets what follows from it happen: pending messages, INTx. */
  writeConfig(offset: number, width: Width, value: number): void {
    const index = this.config.write(offset, width, value);
    if (index === commandWord || this.msi?.covers(index)) this.msi?.flush();
    if (index === commandWord || this.msix?.covers(index)) this.msix?.flush();
    this.#updateIntx();
  }

  /** The BAR and the offset in it that answer an address of the memory space, if any. */
  decode(address: number): { readonly bar: number; readonly offset: number } | undefined {
    // pci.bar.decode
    if (command.mse(this.config.words[commandWord]!) === 0) return undefined;
    const bar = this.bars.find(
      ({ kind, base, size }) => kind !== "io" && address >= base && address < base + size,
    );
    return bar && { bar: bar.index, offset: address - bar.base };
  }

  /**
   * Reads through a BAR.
   * @param width 1, 2 or 4 bytes; `offset` is a multiple of it.
   * @returns the value, unsigned.
   * @throws RangeError when there is no such BAR, or the access is not aligned or leaves it.
   */
  readBar(bar: number, offset: number, width: Width): number {
    const range = this.#barAt(bar, offset, width);
    const { msix } = this;
    if (msix !== undefined) {
      const inTable = offsetIn(msix.tablePlace, msix.tableBytes, bar, offset);
      const inPba = offsetIn(msix.pbaPlace, msix.pbaBytes, bar, offset);
      // pci.msix.access
      if (inTable >= 0) return width === 4 ? msix.readTable(inTable) : 0;
      if (inPba >= 0) return width === 4 ? msix.readPba(inPba) : 0;
    }
    return range.read(offset, width) >>> 0;
  }

  /**
   * Writes through a BAR; a QWORD write is two writes of a dword, the lower first.
   * @param width 1, 2 or 4 bytes; `offset` is a multiple of it.
   * @throws RangeError when there is no such BAR, or the access is not aligned or leaves it.
   */
  writeBar(bar: number, offset: number, width: Width, value: number): void {
    const range = this.#barAt(bar, offset, width);
    const { msix } = this;
    if (msix !== undefined) {
      const inTable = offsetIn(msix.tablePlace, msix.tableBytes, bar, offset);
      if (inTable >= 0) {
        // pci.msix.access
        if (width === 4) msix.writeTable(inTable, value);
        return;
      }
      // pci.msix.pending-read-only
      if (offsetIn(msix.pbaPlace, msix.pbaBytes, bar, offset) >= 0) return;
    }
    range.write(offset, width, value);
  }

  /** Function-level reset: registers and MSI-X structures are as at power-up, and INTx is no longer asked for. */
  reset(): void {
    this.config.reset();
    this.msix?.reset();
    this.#updateIntx();
  }

  /** Raises the interrupt of a vector through MSI-X or MSI, whichever is enabled. */
  signal(vector: number): Signal {
    // pci.msi.exclusive
    if (this.msix?.enabled) return this.msix.signal(vector);
    if (this.msi?.enabled) return this.msi.signal(vector);
    // pci.msi.disabled
    return Signal.disabled;
  }

  /** Takes back what is pending for a vector, its cause being gone. */
  withdraw(vector: number): void {
    if (this.msix?.enabled) this.msix.withdraw(vector);
    else if (this.msi?.enabled) this.msi.withdraw(vector);
  }

  /** Asks for an INTx interrupt, or no longer: a level, shared with others on its way. */
  setIntx(wanted: boolean): void {
    const { words } = this.config;
    words[commandWord] = (words[commandWord]! & ~command.INTXSTS_MASK) | (wanted ? command.INTXSTS_MASK : 0);
    this.#updateIntx();
  }

  /** Writes to memory by DMA, or wherever else the root complex sends it; undefined while bus mastering is off. */
  dmaWrite(address: number, payload: number | Uint8Array, options?: AccessOptions): Routed | undefined {
    return this.canMaster ? this.#root.write(this.requester, address, payload, options) : undefined;
  }

  /** Reads memory by DMA: the bytes, or the rule by which that was refused; undefined while bus mastering is off. */
  dmaRead(
    address: number,
    length: number,
    options?: AccessOptions,
  ): ReturnType<RootComplex["read"]> | undefined {
    return this.canMaster ? this.#root.read(this.requester, address, length, options) : undefined;
  }

  #updateIntx(): void {
    const word = this.config.words[commandWord]!;
    // pci.intx.disable, pci.intx.with-msi
    const silent =
      command.intxdis(word) === 1 || (this.msix?.enabled ?? false) || (this.msi?.enabled ?? false);
    const asserted = command.intxsts(word) === 1 && !silent;
    if (asserted === this.#asserted) return;
    this.#asserted = asserted;
    this.#intx(asserted);
  }

  #barAt(bar: number, offset: number, width: Width): Bar {
    const found = this.bars.find(({ index }) => index === bar);
    if (found === undefined) throw new RangeError(`BAR ${bar}: the function has none of that index`);
    if (!(offset >= 0 && offset % width === 0 && offset + width <= found.size)) {
      throw new RangeError(
        `BAR ${bar}: ${width} bytes at ${offset}, expected an aligned access below ${found.size}`,
      );
    }
    return found;
  }

  #checkPlaces({ tablePlace, tableBytes, pbaPlace, pbaBytes }: Msix): void {
    for (const [name, { bar, offset }, bytes] of [
      ["table", tablePlace, tableBytes],
      ["Pending Bit Array", pbaPlace, pbaBytes],
    ] as const) {
      const size = this.bars.find(({ index }) => index === bar)?.size ?? 0;
      if (offset + bytes > size) {
        throw new RangeError(
          `MSI-X ${name}: ${bytes} bytes at ${offset} do not lie in BAR ${bar} of ${size} bytes`,
        );
      }
    }
    const overlap = Math.min(tablePlace.offset + tableBytes, pbaPlace.offset + pbaBytes);
    if (tablePlace.bar === pbaPlace.bar && Math.max(tablePlace.offset, pbaPlace.offset) < overlap) {
      throw new RangeError(`MSI-X: table and Pending Bit Array overlap in BAR ${pbaPlace.bar}`);
    }
  }
}

/** The offset in a structure of MSI-X that a BAR's offset falls on; negative outside. */
function offsetIn(
  place: { bar: number; offset: number },
  bytes: number,
  bar: number,
  offset: number,
): number {
  return bar === place.bar && offset < place.offset + bytes ? offset - place.offset : -1;
}
