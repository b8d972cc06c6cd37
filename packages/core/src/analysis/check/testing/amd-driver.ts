import { Check } from "../check.ts";
import type { CheckResult } from "../hazard.ts";

const bufferBytes = 8192;

/** Bits of the control register. */
export const on = {
  iommu: 1n,
  commands: 1n << 12n,
  ga: 1n << 17n,
  gam: 1n << 25n,
  xt: 1n << 50n,
  cacheOff: 1n << 59n,
} as const;

/** An interrupt that a traced driver's device sends. */
export interface TracedInterrupt {
  readonly device?: number;
  readonly index?: number;
  readonly table?: number;
  /** The entry's halves. */
  readonly high?: bigint;
  readonly low?: bigint;
}

export const firstTable = 0x1000_0000;
/** RemapEn, logical destination 1. */
export const plainLow = 0x141n;

/** Writes the trace that QEMU would log of a driver, call by call. */
export class AmdDriver {
  readonly lines: string[] = [];
  /** Where the command buffer lies. */
  base = 0x49c6000;
  #head = 0;

  /** A unit that is on, with one device's entry and table invalidated. */
  static started(control: bigint = on.iommu | on.commands | on.ga): AmdDriver {
    const driver = new AmdDriver().control(0n).control(control);
    return driver.invalidateDevice(0x18).invalidateTable().wait();
  }

  control(value: bigint): this {
    return this.line(`amdvi_control_status MMIO_STATUS state 0x${value.toString(16)}`);
  }

  invalidateTable(): this {
    return this.#command("amdvi_intr_inval Interrupt table invalidated");
  }

  invalidateDevice(device: number): this {
    const [bus, slot] = [device >> 8, (device >> 3) & 0x1f].map((part) => part.toString(16).padStart(2, "0"));
    return this.#command(
      `amdvi_devtab_inval device table entry for devid: ${bus}:${slot}.${device & 7} invalidated`,
    );
  }

  invalidateAll(): this {
    return this.#command("amdvi_all_inval Invalidation of all AMD-Vi cache requested ");
  }

  invalidatePages(): this {
    return this.#command("amdvi_pages_inval AMD-Vi pages for domain 0x1 invalidated");
  }

  wait(): this {
    return this.#command(
      "amdvi_completion_wait completion wait requested with store address 0x49d3000 and store data 0x1",
    );
  }

  /** A command that is executed, and of which no other line tells. */
  silent(): this {
    return this.#command();
  }

  /** The buffer's head moves on past commands that are not in the trace. */
  skip(commands: number): this {
    this.#head = (this.#head + 16 * commands) % bufferBytes;
    return this;
  }

  interrupt({
    device = 0x18,
    index = 0,
    table = firstTable,
    high = 0x30n,
    low = plainLow,
  }: TracedInterrupt = {}): this {
    const devid = `devid 0x${(device & 0xff).toString(16)}`;
    return this.line(
      `amdvi_ir_remap_msi_req addr 0xfee00000 data 0x${index.toString(16)} ${devid}`,
      "amdvi_ir_delivery_mode fixed/arbitrated",
      "amdvi_ir_intctl int_ctl 0x2",
      `amdvi_ir_irte addr 0x${table.toString(16)} offset 0x${(index * 16).toString(16)}`,
      `amdvi_ir_irte_ga_val hi 0x${high.toString(16)} lo 0x${low.toString(16)}`,
      `amdvi_ir_remap_msi (addr 0xfee00000, data 0x${index.toString(16)}) -> (addr 0xfee01004, data 0x4030)`,
      "apic_deliver_irq dest 1 dest_mode 1 delivery_mode 0 vector 48 trigger_mode 0",
    );
  }

  /** A request that no entry is looked up for. */
  passed(intCtl?: number): this {
    return this.line(
      "amdvi_ir_remap_msi_req addr 0xfee01000 data 0x30 devid 0x18",
      ...(intCtl === undefined ? [] : [`amdvi_ir_intctl int_ctl 0x${intCtl}`]),
      "amdvi_ir_remap_msi (addr 0xfee01000, data 0x30) -> (addr 0xfee01000, data 0x30)",
    );
  }

  aborted(): this {
    return this.line(
      "amdvi_ir_remap_msi_req addr 0xfee01000 data 0x30 devid 0x18",
      "amdvi_ir_intctl int_ctl 0x0",
      "amdvi_ir_target_abort Interrupt message is aborted",
    );
  }

  line(...lines: string[]): this {
    this.lines.push(...lines);
    return this;
  }

  check(profile?: string): CheckResult {
    const check = new Check({ profile });
    check.feed(Uint8Array.from(`${this.lines.join("\n")}\n`, (char) => char.charCodeAt(0)));
    return check.finish();
  }

  /** The rules of the hazards, in their order. */
  hazards(profile?: string): string[] {
    return this.check(profile).hazards.map(({ rule }) => rule);
  }

  #command(...lines: string[]): this {
    const head = this.#head;
    this.#head = (head + 16) % bufferBytes;
    return this.line(
      `amdvi_command_exec command buffer head at 0x${head.toString(16)} command buffer tail at 0x${this.#head.toString(16)} ` +
        `command buffer base at 0x${this.base.toString(16)}`,
      ...lines,
    );
  }
}
