import { Bar, type BarOptions } from "../../hardware/pci/bar.ts";
import { ConfigSpace, type Width } from "../../hardware/pci/config-space.ts";
import * as command from "../../spec/accessors/pci-command-status.ts";
import { encode } from "../../spec/codec.ts";
import { configOffset, firstCapability, pciClass, pciId } from "../../spec/pci/config-header.ts";
import { type MemoryRegion, addSubregion, removeSubregion } from "../memory/region.ts";
import type { Vmm } from "../vmm.ts";
import type { Msi } from "./msi.ts";
import type { Msix } from "./msix.ts";

export interface EmulatedFunctionOptions {
  readonly name: string;
  /** Bus (15:8), device (7:3) and function (2:0) in the guest. */
  readonly requester: number;
  readonly vendor: number;
  readonly device: number;
  /** Base class, sub-class and programming interface, 24 bits. */
  readonly classCode: number;
  readonly revision: number;
}

/** A BAR of the guest's function, and what answers behind it. */
interface EmulatedBar {
  readonly bar: Bar;
  readonly region: MemoryRegion;
}

const commandWord = configOffset.commandStatus >> 2;

/** `PCIDevice`: a function as a guest sees it. What a model adds to it are regions, capabilities and callbacks. */
export class EmulatedFunction {
  readonly name: string;
  readonly requester: number;
  readonly config = new ConfigSpace(4096);
  readonly bars: EmulatedBar[] = [];
  msi: Msi | null = null;
  msix: Msix | null = null;
  /** What a model does with accesses to configuration space, around {@link EmulatedFunction.defaultWrite}. */
  configRead: (vmm: Vmm, offset: number, width: Width) => number = (_vmm, offset, width) =>
    this.config.read(offset, width);
  configWrite: (vmm: Vmm, offset: number, width: Width, value: number) => void = (
    vmm,
    offset,
    width,
    value,
  ) => this.defaultWrite(vmm, offset, width, value);
  #nextFree = firstCapability;
  #lastCapability = 0;

  constructor(options: EmulatedFunctionOptions) {
    const { classCode, vendor, device } = options;
    this.name = options.name;
    this.requester = options.requester;
    this.config.declare(configOffset.id, Number(encode(pciId, { vendor, device })));
    const type = {
      base: classCode >>> 16,
      subclass: (classCode >>> 8) & 0xff,
      interface: classCode & 0xff,
      revision: options.revision,
    };
    this.config.declare(configOffset.classRevision, Number(encode(pciClass, type)));
    const writable = command.IO_MASK | command.MSE_MASK | command.BME_MASK | command.INTXDIS_MASK;
    this.config.declare(configOffset.commandStatus, 0, writable | command.PERR_MASK | command.SERR_MASK);
  }

  /** Bus Master Enable: without it what the function writes goes nowhere. */
  get canMaster(): boolean {
    return command.bme(this.config.words[commandWord]!) === 1;
  }

  /**
   * Adds a capability in front of the list, as QEMU does.
   * @param words its dwords; the first is given its link.
   * @param writable the bits of each dword that the guest can write.
   * @returns its offset.
   */
  addCapability(words: Int32Array, writable: readonly number[] = [], at = this.#nextFree): number {
    const link = this.#lastCapability << 8;
    for (const [i, word] of words.entries()) {
      this.config.declare(at + 4 * i, i === 0 ? word | link : word, writable[i] ?? 0);
    }
    this.#nextFree = Math.max(this.#nextFree, at + 4 * words.length);
    this.#lastCapability = at;
    this.config.declare(configOffset.capabilities, at);
    this.config.words[commandWord] = this.config.words[commandWord]! | command.CAPLIST_MASK;
    return at;
  }

  registerBar(options: BarOptions, region: MemoryRegion): void {
    this.bars.push({ bar: new Bar(this.config, options), region });
  }

  /** `pci_default_write_config`: the BARs follow what was written. */
  defaultWrite(vmm: Vmm, offset: number, width: Width, value: number): void {
    this.config.write(offset, width, value);
    this.updateMappings(vmm);
  }

  /** Puts each BAR's region where the guest has programmed it, or takes it away. */
  updateMappings(vmm: Vmm): void {
    // pci.bar.decode
    const decodes = command.mse(this.config.words[commandWord]!) === 1;
    let changed = false;
    for (const { bar, region } of this.bars) {
      const wanted = decodes && bar.base !== 0 ? bar.base : null;
      if (wanted === (region.container === null ? null : region.offset)) continue;
      changed = true;
      if (region.container !== null) removeSubregion(region);
      if (wanted !== null) addSubregion(vmm.memory.root, wanted, region, 1);
    }
    if (changed) vmm.memory.commit();
  }

  /** The function leaves the guest's address space. */
  unmap(vmm: Vmm): void {
    for (const { region } of this.bars) if (region.container !== null) removeSubregion(region);
    vmm.memory.commit();
  }
}
