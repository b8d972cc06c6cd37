import { hex } from "../../spec/codec.ts";
import type { HostDraft } from "../host/draft.ts";
import { type Fact, type Origin, fact } from "../host/fact.ts";
import { InputError } from "../input-error.ts";
import type { Kernel } from "./kernel.ts";

/** A remapping unit, as the walk of interrupts meets it: by the addresses that other structures hold. */
export interface WalkedUnit {
  readonly vendor: "intel" | "amd";
  readonly name: string;
  /** AMD-Vi: by which its devices are told from those of other segments. */
  readonly segment: number;
}

/** What the walks of one kernel tell each other. */
export class KernelWalk {
  readonly kernel: Kernel;
  readonly draft: HostDraft;
  /** Remapping units by the address of `struct intel_iommu` or `struct amd_iommu`. */
  readonly units = new Map<bigint, WalkedUnit>();
  /** Remapping units by the addresses of their interrupt domains. */
  readonly domains = new Map<bigint, WalkedUnit>();
  /** PCI functions by the address of `pci_dev.dev`. */
  readonly devices = new Map<bigint, { readonly segment: number; readonly requester: number }>();
  /** The processors that are present, in ascending order; counts of interrupts are in this order. */
  processors: readonly number[] = [];

  constructor(kernel: Kernel, draft: HostDraft) {
    this.kernel = kernel;
    this.draft = draft;
  }

  /** @param place a symbol, or a structure and its address. */
  fact<Value>(value: Value, place: string): Fact<Value> {
    return fact(value, this.origin(place));
  }

  origin(place: string): Origin {
    return { source: "kernel memory", place };
  }

  missing(what: string, why: string, needs: string | null = null): void {
    this.draft.missing.push({ what, why, needs });
  }

  /** Does a part of the walk; where it ends in an error, what it stands for is missing and the rest goes on. */
  attempt<Value>(what: string, part: () => Value): Value | undefined {
    try {
      return part();
    } catch (error) {
      if (!(error instanceof InputError)) throw error;
      this.missing(what, error.message);
      return undefined;
    }
  }

  /** The address of a symbol of the kernel. @throws InputError when there is none. */
  symbol(name: string): bigint {
    const address = this.kernel.symbols.address(name);
    if (address !== undefined) return address;
    throw new InputError(
      `${this.kernel.memory.name}: kernel ${this.kernel.release}: expected the symbol ${name}, as a kernel with CONFIG_KALLSYMS_ALL has it`,
    );
  }

  /** A variable of the kernel, unsigned, 1 to 8 bytes; undefined when it has none of this name. */
  variable(name: string, bytes: number): bigint | undefined {
    const address = this.kernel.symbols.address(name);
    if (address === undefined) return undefined;
    let value = 0n;
    for (const byte of [...this.kernel.memory.read(address, bytes)].reverse())
      value = (value << 8n) | BigInt(byte);
    return value;
  }
}

/** Where a structure is, as an origin says it. */
export function placeOf(structure: {
  readonly type: { readonly name: string };
  readonly address: bigint;
}): string {
  return `${structure.type.name} at ${hex(structure.address)}`;
}
