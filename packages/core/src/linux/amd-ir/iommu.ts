import type { AmdviUnit } from "../../hardware/amdvi/unit.ts";
import { control, registers, status } from "../../spec/amdvi/registers.ts";
import type { RegisterName } from "../../spec/amdvi/registers.ts";
import { type Values, decode, encode } from "../../spec/codec.ts";
import { Thread } from "../../hardware/call-stack.ts";
import type { Ivhd } from "../firmware.ts";
import type { IrqDomain } from "../irq/domain.ts";
import type { IrqTable } from "./table.ts";

type Control = Values<keyof typeof control.fields>;
type Status = Values<keyof typeof status.fields>;

/** What the units of one PCI segment share. */
export class PciSegment {
  readonly id: number;
  /** Physical address of the device table. */
  deviceTable = 0;
  /** `irq_lookup_table`: tables by the DeviceIDs whose device table entries name them. */
  readonly irqTables = new Map<number, IrqTable>();

  constructor(id: number) {
    this.id = id;
  }
}

/** `struct amd_iommu`: one unit, with the buffers that the driver has given it. Addresses are physical; 0 for none. */
export class AmdIommu {
  readonly index: number;
  readonly ivhd: Ivhd;
  readonly segment: PciSegment;
  commandBuffer = 0;
  /** Byte offset at which the next command is written. */
  commandTail = 0;
  /** Byte offset that the unit had reached when it was last asked. */
  commandHead = 0;
  /** Commands were queued for which no completion has been waited. */
  needSync = false;
  eventLog = 0;
  guestLog = 0;
  /** Where the unit stores the tail of the guest log. */
  guestLogTail = 0;
  /** Where completed waits store {@link semaphoreValue}. */
  semaphore = 0;
  semaphoreValue = 0n;
  irtCacheDisabled = false;
  /** AMD-IR; null until remapping is prepared. */
  domain: IrqDomain | null = null;
  /** Linux irqs of its own interrupts. */
  readonly irqs: number[] = [];
  /** The kernel thread that serves its interrupts. */
  readonly irqThread: Thread;

  constructor(index: number, ivhd: Ivhd, segment: PciSegment) {
    this.index = index;
    this.ivhd = ivhd;
    this.segment = segment;
    this.irqThread = new Thread(`irq/AMD-Vi${index}`);
  }

  get unit(): AmdviUnit {
    return this.ivhd.unit;
  }

  read(name: RegisterName): bigint {
    return this.unit.read(registers[name].offset, 64);
  }

  write(name: RegisterName, value: bigint): void {
    this.unit.write(registers[name].offset, 64, value);
  }

  get control(): Control {
    return decode(control, this.read("CONTROL"));
  }

  get status(): Status {
    return decode(status, this.read("STATUS"));
  }

  /** `iommu_feature_enable` and `iommu_feature_disable`: one write of the control register. */
  setControl(fields: Partial<Control>): void {
    this.write("CONTROL", encode(control, { ...this.control, ...fields }));
  }

  /** Clears bits of the status register, which are cleared by a 1. */
  clearStatus(fields: Partial<Status>): void {
    this.write("STATUS", encode(status, fields));
  }
}
