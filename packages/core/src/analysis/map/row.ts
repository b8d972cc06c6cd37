import type { Origin } from "../../evidence/host/fact.ts";

/** Where the parts of a row were read; a part that is not known is absent. */
export interface RowOrigins {
  readonly entry?: Origin;
  readonly interrupt?: Origin;
  readonly message?: Origin;
}

/**
 * - `reserved`: the entry points at the vector that Linux keeps for interrupts that nobody has requested (0xef);
 * - `not present`: the kernel has given the interrupt an entry that is not present now;
 * - `shared`: another row's interrupt goes through the same entry;
 * - `shut down`, `masked`: as the kernel says;
 * - `unused`: no handler, no entry, never came.
 */
export type RowState = "reserved" | "not present" | "shared" | "shut down" | "masked" | "unused";

/**
 * One interrupt of a host: a present entry of a remapping table with what is known of who uses it, or an interrupt of
 * Linux that goes through none, or through one that is not known. Ready for JSON: wide numbers are `0x` text, what is
 * not known is null.
 */
export interface MapRow {
  readonly unit: string | null;
  /** Null for an interrupt without an entry. */
  readonly index: number | null;
  /** `ssss:bb:dd.f`. VT-d: SID, null where a range of buses is admitted. AMD-Vi: whose table. */
  readonly requester: string | null;
  /** `unremapped`: the message names vector and destination itself. */
  readonly mode: "remapped" | "posted" | "guest" | "unremapped" | null;
  /** The host's; where it posts, the guest's or the one in PIR. */
  readonly vector: number | null;
  /** An APIC id or logical destination. */
  readonly destination: number | null;
  readonly logical: boolean | null;
  /** `fixed`, `NMI`, … */
  readonly delivery: string | null;
  /** Linux's numbers of the processors that the destination names. */
  readonly processors: readonly number[] | null;
  /** Of the posted-interrupt descriptor or vAPIC backing page. */
  readonly descriptor: string | null;
  /** The machine that it is for, posted or passed through. */
  readonly machine: string | null;
  /** Whom it is posted to. */
  readonly vcpu: number | null;
  readonly irq: number | null;
  /** A PCI function as `ssss:bb:dd.f`, else `ioapic0`, `hpet0`, `dmar0`. */
  readonly device: string | null;
  readonly driver: string | null;
  readonly kind: "msi" | "msix" | "ioapic" | "hpet" | "unit" | null;
  /** Which vector of the device, or pin of the IOAPIC. */
  readonly input: number | null;
  /** Handlers, as /proc/interrupts names them. */
  readonly name: string | null;
  readonly chip: string | null;
  readonly message: { readonly address: string; readonly data: string } | null;
  /** How often it came, by processor; those where it never did are left out. */
  readonly counts: Readonly<Record<string, number>> | null;
  readonly total: number | null;
  readonly state: RowState | null;
  /** The index that the kernel has given an interrupt whose entry is not listed in this row. */
  readonly allocated: number | null;
  /** The whole entry. */
  readonly value: string | null;
  /** VT-d's check of requesters. */
  readonly source: { readonly sid: string; readonly sq: number; readonly svt: number } | null;
  readonly origins: RowOrigins;
}

/** A row of which nothing is known. */
export const blankRow: MapRow = {
  unit: null,
  index: null,
  requester: null,
  mode: null,
  vector: null,
  destination: null,
  logical: null,
  delivery: null,
  processors: null,
  descriptor: null,
  machine: null,
  vcpu: null,
  irq: null,
  device: null,
  driver: null,
  kind: null,
  input: null,
  name: null,
  chip: null,
  message: null,
  counts: null,
  total: null,
  state: null,
  allocated: null,
  value: null,
  source: null,
  origins: {},
};
