import type { Width } from "../../hardware/pci/config-space.ts";
import type { IrqDomain, RequesterTopology } from "../irq/domain.ts";
import type { MsiState } from "./msi-state.ts";

/** How a kernel reaches a PCI function: a real one, or one that a virtual machine monitor emulates. */
export interface PciAccess {
  readConfig(offset: number, width: Width): number;
  writeConfig(offset: number, width: Width, value: number): void;
  /** @param bar index; `offset` in it. */
  readBar(bar: number, offset: number, width: Width): number;
  writeBar(bar: number, offset: number, width: Width, value: number): void;
  /** Function-level reset, where the function has it. */
  reset?(): void;
}

/** `struct pci_dev`. */
export class PciDevice implements RequesterTopology {
  /** `dddd:bb:dd.f`. */
  readonly name: string;
  readonly segment: number;
  readonly requester: number;
  readonly aliases: readonly number[];
  readonly bridgeOwnId: boolean;
  readonly access: PciAccess;
  /** What the driver has enabled; null while it has no interrupts. */
  msi: MsiState | null = null;
  /** Its own MSI domain, which it has from its first interrupts on; null before, and always until 6.2. */
  msiDomain: IrqDomain | null = null;
  /** Gone from its slot: reads give ones. */
  removed = false;

  constructor(options: {
    readonly name: string;
    readonly requester: number;
    readonly access: PciAccess;
    readonly segment?: number;
    /** Ids other than its own under which its requests arrive. */
    readonly aliases?: readonly number[];
    readonly bridgeOwnId?: boolean;
  }) {
    this.name = options.name;
    this.segment = options.segment ?? 0;
    this.requester = options.requester;
    this.aliases = [options.requester, ...(options.aliases ?? [])];
    this.bridgeOwnId = options.bridgeOwnId ?? false;
    this.access = options.access;
  }
}
