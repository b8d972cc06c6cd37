/** Delivery modes of an interrupt message, as they stand in the message's data and in table entries. */
export const DeliveryMode = {
  fixed: 0,
  lowestPriority: 1,
  smi: 2,
  nmi: 4,
  init: 5,
  startup: 6,
  extInt: 7,
} as const;

/** What an interrupt becomes behind the remapping unit: the system's interrupt fabric, with its local APICs. */
export interface InterruptFabric {
  /**
   * Delivers one interrupt. Everything is a small integer, so that the hot path boxes nothing.
   * @param destination APIC id or logical destination, int32; 8 bits wide where the sender's format is.
   * @param logical 1 for logical destination mode.
   * @param redirectionHint 1 to let one of the matching processors be chosen.
   * @param deliveryMode 0 to 7, see {@link DeliveryMode}.
   * @param vector 8 bits.
   * @param level 1 for level-triggered.
   * @returns how many local APICs accepted it.
   */
  deliver(
    destination: number,
    logical: number,
    redirectionHint: number,
    deliveryMode: number,
    vector: number,
    level: number,
  ): number;
  /**
   * Delivers the commonest interrupt: fixed, edge-triggered, to a physical destination, without a hint. The same as
   * {@link deliver} with zeros, in less time.
   * @param vector 8 bits: it comes from a field of that width, and is not cut again.
   */
  fixed(destination: number, vector: number): number;
  /** Delivers a message in compatibility format that no unit remaps: address bits 31:0, 63:32 and data, int32. */
  message(addressLow: number, addressHigh: number, data: number): number;
}

/** Requester id of a write whose source is unknown: source-id verification cannot be made. */
export const unknownRequester = -1;

/** What became of an interrupt request at the remapping unit. */
export const Outcome = {
  /** Left the unit unchanged. */
  passed: 0,
  remapped: 1,
  posted: 2,
  blocked: 3,
} as const;

export type Outcome = (typeof Outcome)[keyof typeof Outcome];

/** A unit through which devices' interrupt requests go on their way to the fabric. */
export interface RemappingUnit {
  /**
   * An interrupt request: an aligned 4-byte write without PASID to FEEx_xxxxh.
   * @param addressLow address bits 31:0, int32.
   * @param data the dword written, int32.
   * @param requester bus:device.function as 16 bits, or {@link unknownRequester}.
   */
  interrupt(addressLow: number, data: number, requester: number): Outcome;
  /** Any other write, or a read, that falls into FEEx_xxxxh without being an interrupt request. */
  malformed(addressLow: number, requester: number): Outcome;
}
