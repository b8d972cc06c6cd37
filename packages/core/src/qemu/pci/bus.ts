import type { Width } from "../../hardware/pci/config-space.ts";
import type { PciAccess } from "../../linux/pci/device.ts";
import * as command from "../../spec/accessors/pci-command-status.ts";
import { configOffset } from "../../spec/pci/config-header.ts";
import { guestRead, guestWrite } from "../guest-access.ts";
import { MemoryRegion, addSubregion } from "../memory/region.ts";
import { inlined, qemuFunction } from "../qemu-function.ts";
import type { Vmm } from "../vmm.ts";
import type { EmulatedFunction } from "./function.ts";

/** Where Q35 has the configuration spaces of bus 0 to 255, a page each. */
const ecamBase = 0xb000_0000;
const ecamBytes = 0x1000_0000;
const functionShift = 12;

/** Where firmware puts BARs. */
const barsFrom = 0xc000_0000;
const barsTo = 0xfe80_0000;

const absent = 0xffff_ffff;

const pciHostConfigWriteCommon = qemuFunction(
  "pci_host_config_write_common",
  (vmm: Vmm, fn: EmulatedFunction, offset: number, width: Width, value: number): void =>
    fn.configWrite(vmm, offset, width, value),
);

const pciHostConfigReadCommon = qemuFunction(
  "pci_host_config_read_common",
  (vmm: Vmm, fn: EmulatedFunction, offset: number, width: Width): number => fn.configRead(vmm, offset, width),
);

const pcieMmcfgDataWrite = qemuFunction(
  "pcie_mmcfg_data_write",
  (vmm: Vmm, bus: PciBus, address: number, width: Width, value: number): void => {
    const fn = bus.functions.get(address >>> functionShift);
    if (fn !== undefined) pciHostConfigWriteCommon(vmm, fn, address % 4096, width, value);
  },
  inlined,
);

const pcieMmcfgDataRead = qemuFunction(
  "pcie_mmcfg_data_read",
  (vmm: Vmm, bus: PciBus, address: number, width: Width): number => {
    const fn = bus.functions.get(address >>> functionShift);
    return fn === undefined ? absent : pciHostConfigReadCommon(vmm, fn, address % 4096, width);
  },
  inlined,
);

/** The guest's PCI bus, reached through memory-mapped configuration space. */
export class PciBus {
  readonly vmm: Vmm;
  /** By requester id. */
  readonly functions = new Map<number, EmulatedFunction>();
  #nextBar = barsFrom;

  constructor(vmm: Vmm) {
    this.vmm = vmm;
    const ecam = new MemoryRegion({
      name: "pcie-mmcfg-mmio",
      size: ecamBytes,
      ops: {
        read: (vmm, offset, size) => pcieMmcfgDataRead(vmm, this, offset, size as Width),
        write: (vmm, offset, size, value) =>
          pcieMmcfgDataWrite(vmm, this, offset, size as Width, Number(value)),
      },
    });
    addSubregion(vmm.memory.root, ecamBase, ecam, 2);
    vmm.memory.commit();
  }

  /**
   * Plugs a function in, and does what a guest's firmware does: gives its BARs addresses and lets it decode them.
   * @throws RangeError when the slot is taken or there is no room for a BAR.
   */
  plug(fn: EmulatedFunction): void {
    if (this.functions.has(fn.requester)) throw new RangeError(`${fn.name}: its slot is taken`);
    this.functions.set(fn.requester, fn);
    for (const { bar } of fn.bars) {
      const base = Math.ceil(this.#nextBar / bar.size) * bar.size;
      if (base + bar.size > barsTo) throw new RangeError(`${fn.name}: no room for BAR ${bar.index}`);
      this.#nextBar = base + Math.max(bar.size, 4096);
      fn.configWrite(this.vmm, configOffset.bar0 + 4 * bar.index, 4, base);
    }
    const before = fn.configRead(this.vmm, configOffset.commandStatus, 2);
    fn.configWrite(this.vmm, configOffset.commandStatus, 2, before | command.MSE_MASK);
  }

  unplug(fn: EmulatedFunction): void {
    this.functions.delete(fn.requester);
    fn.unmap(this.vmm);
  }

  /** The function as software on a vCPU reaches it. */
  access(fn: EmulatedFunction, vcpu = 0): PciAccess {
    const { vmm } = this;
    const cpu = vmm.vcpus[vcpu]!;
    const config = ecamBase + fn.requester * 2 ** functionShift;
    const barBase = (index: number): number => {
      const found = fn.bars.find(({ bar }) => bar.index === index);
      if (found === undefined) throw new RangeError(`${fn.name}: it has no BAR ${index}`);
      return found.bar.base;
    };
    return {
      readConfig: (offset, width) => guestRead(vmm, cpu, config + offset, width),
      writeConfig: (offset, width, value) => guestWrite(vmm, cpu, config + offset, width, value),
      readBar: (bar, offset, width) => guestRead(vmm, cpu, barBase(bar) + offset, width),
      writeBar: (bar, offset, width, value) => guestWrite(vmm, cpu, barBase(bar) + offset, width, value),
    };
  }
}
