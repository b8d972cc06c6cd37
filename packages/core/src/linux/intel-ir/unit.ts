import { decode, encode } from "../../spec/codec.ts";
import {
  capability,
  extendedCapability,
  globalCommand,
  globalStatus,
  type RegisterName,
  registers,
} from "../../spec/vtd/registers.ts";
import type { Drhd } from "../firmware.ts";
import type { IrqDomain } from "../irq/domain.ts";
import type { Kernel } from "../kernel.ts";
import type { InvalidationQueue } from "./queue-state.ts";
import type { RemappingTable } from "./table.ts";

/** Bits of GCMD that a unit keeps on: what the driver remembers of its writes, GCMD being write-only. */
interface LastingCommand {
  cfi: 0 | 1;
  ire: 0 | 1;
  qie: 0 | 1;
  te: 0 | 1;
}

type OneShot = "sirtp" | "srtp" | "wbf";

/** `struct intel_iommu`: one unit, as its driver keeps it. */
export class IntelIommu {
  readonly drhd: Drhd;
  /** `seq_id`: place in the DMAR table. */
  readonly sequence: number;
  readonly cap: ReturnType<typeof readCapability>;
  readonly ecap: ReturnType<typeof readExtendedCapability>;
  queue: InvalidationQueue | null = null;
  table: RemappingTable | null = null;
  domain: IrqDomain | null = null;
  /** VTD_FLAG_IRQ_REMAP_PRE_ENABLED: remapping was on when this kernel found the unit. */
  preEnabled = false;
  /** Linux irq of the fault event; 0 for none. */
  faultIrq = 0;
  readonly #command: LastingCommand;

  constructor(drhd: Drhd, sequence: number) {
    this.drhd = drhd;
    this.sequence = sequence;
    this.cap = readCapability(this);
    this.ecap = readExtendedCapability(this);
    const { ires, qies, tes } = this.status;
    this.#command = { cfi: 0, ire: bitOf(ires), qie: bitOf(qies), te: bitOf(tes) };
  }

  get name(): string {
    return `dmar${this.sequence}`;
  }

  read(register: RegisterName): bigint {
    const { offset, width } = registers[register];
    return this.drhd.unit.read(offset, width);
  }

  write(register: RegisterName, value: bigint): void {
    const { offset, width } = registers[register];
    this.drhd.unit.write(offset, width, value);
  }

  /** Bits 31:0 of a register of 64, as the driver accesses IQH and IQT. */
  writeLow(register: RegisterName, value: bigint): void {
    this.drhd.unit.write(registers[register].offset, 32, value);
  }

  /** GSTS. */
  get status(): ReturnType<typeof readStatus> {
    return readStatus(this);
  }

  /** Writes GCMD with some of its lasting bits changed. */
  command(change: Partial<LastingCommand>): void {
    Object.assign(this.#command, change);
    this.write("GCMD", encode(globalCommand, this.#command));
  }

  /** Writes GCMD with a bit that acts once beside the lasting ones. */
  commandOnce(bit: OneShot): void {
    this.write("GCMD", encode(globalCommand, { ...this.#command, [bit]: 1 }));
  }
}

function readCapability(iommu: IntelIommu) {
  return decode(capability, iommu.read("CAP"));
}

function readExtendedCapability(iommu: IntelIommu) {
  return decode(extendedCapability, iommu.read("ECAP"));
}

function readStatus(iommu: IntelIommu) {
  return decode(globalStatus, iommu.read("GSTS"));
}

function bitOf(value: number | bigint): 0 | 1 {
  return value === 1 ? 1 : 0;
}

/** `__iommu_flush_cache`: a unit that does not snoop the CPU's cache is to find what was written. */
export function flushCache(k: Kernel, iommu: IntelIommu, address: number, bytes: number): void {
  if (iommu.ecap.c === 0) k.cpuCache?.flush(address, bytes);
}
