import { hex } from "../../spec/codec.ts";
import type { DomainLevel } from "../host/interrupt.ts";
import { InputError } from "../input-error.ts";
import type { Kernel } from "./kernel.ts";
import { KernelStruct } from "./kernel-struct.ts";

const depthLimit = 16;

/** One level of an interrupt, with the addresses that other structures know it by. */
export interface IrqLevel extends DomainLevel {
  readonly domainAddress: bigint;
  readonly chipData: bigint;
}

/** Reads the chains of `struct irq_data`; names of chips and domains, which interrupts share, are read once. */
export class IrqLevels {
  readonly #kernel: Kernel;
  readonly #names = new Map<bigint, string>();

  constructor(kernel: Kernel) {
    this.#kernel = kernel;
  }

  /**
   * From the device's level down to the processors'.
   * @throws InputError when the chain does not end.
   */
  of(first: KernelStruct): IrqLevel[] {
    const levels: IrqLevel[] = [];
    for (let data: KernelStruct | undefined = first; data !== undefined;) {
      if (levels.length === depthLimit) {
        throw new InputError(
          `${this.#kernel.memory.name}: irq_data at ${hex(first.address)}: expected at most ${depthLimit} levels`,
        );
      }
      const domainAddress = data.pointer("domain");
      levels.push({
        domain: this.#name(domainAddress, "irq_domain"),
        chip: this.#name(data.pointer("chip"), "irq_chip"),
        hwirq: data.u64("hwirq"),
        domainAddress,
        chipData: data.pointer("chip_data"),
      });
      // CONFIG_IRQ_DOMAIN_HIERARCHY.
      data = data.has("parent_data") ? data.follow("parent_data", "irq_data") : undefined;
    }
    return levels;
  }

  #name(address: bigint, type: string): string {
    if (address === 0n) return "";
    let name = this.#names.get(address);
    if (name === undefined) {
      name = new KernelStruct(this.#kernel, type, address).string("name");
      this.#names.set(address, name);
    }
    return name;
  }
}
