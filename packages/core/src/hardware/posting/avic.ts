import * as cluster from "../../spec/accessors/xapic-cluster-id.ts";
import * as dfr from "../../spec/accessors/apic-dfr.ts";
import * as icr from "../../spec/accessors/apic-icr.ts";
import * as logicalEntry from "../../spec/accessors/avic-logical-entry.ts";
import * as physicalEntry from "../../spec/accessors/avic-physical-entry.ts";
import * as x2apicLdr from "../../spec/accessors/x2apic-ldr.ts";
import * as xapicId from "../../spec/accessors/xapic-id.ts";
import {
  avicIncompleteIpi,
  avicLogicalEntryBytes,
  avicMaximumId,
  avicPhysicalEntryBytes,
} from "../../spec/apic/avic.ts";
import { apicRegisters } from "../../spec/apic/local-apic.ts";
import { DeliveryMode } from "../delivery.ts";
import { x2apicBroadcast, xapicBroadcast } from "../lapic/matching.ts";
import { processorPriority } from "../lapic/state.ts";
import type { Memory } from "../memory.ts";
import { VectorPage, group } from "./vector-page.ts";

export interface AvicSettings {
  readonly mode: keyof typeof avicMaximumId;
  /** Addresses of the tables; the logical one is used in xAVIC mode only. */
  readonly physicalTable: number;
  readonly logicalTable?: number;
  /** AVIC_PHYSICAL_MAX_INDEX; the mode's highest id unless told. */
  readonly maximumIndex?: number;
  /** 52 unless told. */
  readonly physicalAddressBits?: number;
  /** Takes a doorbell to the processor with this host APIC id. */
  readonly doorbell?: (hostApicId: number) => void;
}

/** In place of an incomplete-IPI code: AVIC delivered the IPI by itself. */
export const ipiComplete = -1;

const flatModel = 15;

/** What AVIC does with the IPIs of one guest. */
export class Avic {
  /** Index of the table entry at which the last IPI failed. */
  failedIndex = 0;
  readonly #memory: Memory;
  readonly #settings: AvicSettings;
  readonly #maximumIndex: number;
  readonly #addressLimit: number;
  readonly #entry = new Int32Array(physicalEntry.WORDS);
  readonly #command = new Int32Array(icr.WORDS);
  #targets: number[] = [];

  /** @throws RangeError when a table is not page-aligned, or the maximum index beyond the mode's (avic.table.maximum). */
  constructor(memory: Memory, settings: AvicSettings) {
    const highest = avicMaximumId[settings.mode];
    this.#memory = memory;
    this.#settings = settings;
    this.#maximumIndex = settings.maximumIndex ?? highest;
    this.#addressLimit = 2 ** (settings.physicalAddressBits ?? 52);
    if (this.#maximumIndex > highest) {
      throw new RangeError(
        `AVIC: maximum index 0x${this.#maximumIndex.toString(16)} is beyond 0x${highest.toString(16)} of ${settings.mode}`,
      );
    }
    if (settings.physicalTable % 4096 !== 0 || (settings.logicalTable ?? 0) % 4096 !== 0) {
      throw new RangeError("AVIC: the tables were expected on 4-KByte boundaries");
    }
  }

  /**
   * The guest writes its ICR.
   * @param self its own APIC id.
   * @param low ICR bits 31:0, `high` bits 63:32, int32.
   * @returns {@link ipiComplete}, or the code with which the IPI exits (EXITINFO2 bits 63:32).
   */
  ipi(self: number, low: number, high: number): number {
    const command = this.#command;
    command[0] = low;
    command[1] = high;
    // avic.ipi.type
    if (icr.dlm(command, 0) !== DeliveryMode.fixed || icr.tm(command, 0) === 1) {
      return avicIncompleteIpi.invalidInterruptType;
    }
    const vector = icr.v(command, 0);
    // avic.ipi.vector
    if (vector < 16) return avicIncompleteIpi.invalidVector;
    if (!this.#collectTargets(self)) return avicIncompleteIpi.invalidTarget;
    const fault = this.#checkTargets();
    if (fault !== ipiComplete) return fault;
    return this.#send(self, vector);
  }

  /** Fills `#targets`; false if a logical id leads nowhere. */
  #collectTargets(self: number): boolean {
    const command = this.#command;
    this.#targets = [];
    const shorthand = icr.sh(command, 0);
    if (shorthand === 1) {
      this.#targets.push(self);
      return true;
    }
    const xavic = this.#settings.mode === "xavic";
    const destination = xavic ? xapicId.id(icr.dst(command, 0)) : icr.dst(command, 0);
    const broadcast = destination === (xavic ? xapicBroadcast : x2apicBroadcast);
    const flat = xavic && dfr.model(this.page(self).read(apicRegisters.dfr.offset)) === flatModel;
    // A flat FFh is eight logical ids like others.
    if (shorthand !== 0 || (broadcast && !(flat && icr.dm(command, 0) === 1))) {
      this.#collectAll(shorthand === 3 ? self : -1);
      return true;
    }
    if (icr.dm(command, 0) === 0) {
      this.#targets.push(destination >>> 0);
      return true;
    }
    if (!xavic) {
      this.#collectCluster(destination);
      return true;
    }
    return this.#collectLogical(flat, destination);
  }

  // avic.ipi.broadcast
  #collectAll(except: number): void {
    for (let id = 0; id <= this.#maximumIndex; id++) {
      if (id !== except && this.#readEntry(id)) this.#targets.push(id);
    }
  }

  // avic.ipi.logical
  #collectCluster(destination: number): void {
    const first = x2apicLdr.cluster(destination) << 4;
    for (let members = x2apicLdr.members(destination); members !== 0; members &= members - 1) {
      this.#targets.push(first | (31 - Math.clz32(members & -members)));
    }
  }

  // avic.ipi.logical: a flat id has a table entry for each bit, a cluster id four for each cluster.
  #collectLogical(flat: boolean, destination: number): boolean {
    const first = flat ? 0 : cluster.cluster(destination) * 4;
    for (
      let members = flat ? destination : cluster.members(destination);
      members !== 0;
      members &= members - 1
    ) {
      const index = first + 31 - Math.clz32(members & -members);
      const entry = this.#memory.read32((this.#settings.logicalTable ?? 0) + avicLogicalEntryBytes * index);
      // avic.ipi.target
      if (logicalEntry.v(entry) === 0) {
        this.failedIndex = index;
        return false;
      }
      this.#targets.push(logicalEntry.id(entry));
    }
    return true;
  }

  #checkTargets(): number {
    for (const id of this.#targets) {
      this.failedIndex = id;
      // avic.ipi.target
      if (id > this.#maximumIndex || !this.#readEntry(id)) return avicIncompleteIpi.invalidTarget;
      // avic.ipi.backing-page
      if (this.#backing() >= this.#addressLimit) return avicIncompleteIpi.invalidBackingPage;
    }
    return ipiComplete;
  }

  #send(self: number, vector: number): number {
    let outcome: number = ipiComplete;
    for (const id of this.#targets) this.page(id).set(group.irr, vector);
    for (const id of this.#targets) {
      if (id === self) continue;
      this.#readEntry(id);
      // avic.ipi.not-running
      if (physicalEntry.isrunning(this.#entry, 0) === 1) {
        this.#settings.doorbell?.(physicalEntry.host(this.#entry, 0));
      } else {
        this.failedIndex = id;
        outcome = avicIncompleteIpi.targetNotRunning;
      }
    }
    return outcome;
  }

  /** Reads a physical-table entry; false if it is not valid. */
  #readEntry(id: number): boolean {
    this.#memory.readWords(this.#settings.physicalTable + avicPhysicalEntryBytes * id, this.#entry);
    return physicalEntry.v(this.#entry, 0) === 1;
  }

  #backing(): number {
    const low = physicalEntry.backingLow(this.#entry, 0) >>> 0;
    return physicalEntry.backingHigh(this.#entry, 0) * 2 ** 32 + low;
  }

  /** The backing page that the physical table names for a guest's APIC id. */
  page(id: number): VectorPage {
    this.#readEntry(id);
    return new VectorPage(this.#memory, this.#backing());
  }
}

/** A processor's side of AVIC for one virtual processor: it takes interrupts from the backing page. */
export class AvicProcessor {
  readonly page: VectorPage;
  /** The guest is running on it. */
  inGuest = false;
  #recognised = false;

  constructor(page: VectorPage) {
    this.page = page;
  }

  /** A virtual interrupt is recognised and waits for the guest to be interruptible. */
  get recognised(): boolean {
    return this.#recognised;
  }

  /** VMRUN: the guest goes on, and finds what was posted while it did not run. */
  enter(): void {
    this.inGuest = true;
    this.evaluate();
  }

  /** A doorbell arrives. @returns whether it found the guest running. */
  doorbell(): boolean {
    // avic.host-interrupt
    if (!this.inGuest) return false;
    // avic.doorbell
    this.evaluate();
    return true;
  }

  /** @returns whether a virtual interrupt is recognised. */
  evaluate(): boolean {
    const vector = this.page.highest(group.irr);
    // avic.evaluate
    this.#recognised = vector >= 0 && (vector & 0xf0) > (this.priority() & 0xf0);
    return this.#recognised;
  }

  /** The virtual PPR. */
  priority(): number {
    return processorPriority(this.page.read(apicRegisters.tpr.offset), this.page.highest(group.isr));
  }

  /** The guest can be interrupted. @returns the vector that it takes; -1 if none is recognised. */
  deliver(): number {
    if (!this.#recognised) return -1;
    const vector = this.page.highest(group.irr);
    this.page.clear(group.irr, vector);
    this.page.set(group.isr, vector);
    this.evaluate();
    return vector;
  }

  /** The guest writes EOI. @returns the vector of a level-triggered interrupt, whose EOI exits unfinished; -1 otherwise. */
  eoi(): number {
    const vector = this.page.highest(group.isr);
    if (vector < 0) return -1;
    // avic.eoi
    if (this.page.has(group.tmr, vector)) return vector;
    this.page.clear(group.isr, vector);
    this.evaluate();
    return -1;
  }
}
