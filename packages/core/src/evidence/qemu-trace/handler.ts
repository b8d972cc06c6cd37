/** The vendor whose remapping unit a trace is of. */
export type Vendor = "intel" | "amd";

/**
 * Takes the events of a QEMU trace, in the order of its lines. Each method is optional: an event that nobody wants is
 * only counted. Everything is a small integer: `line` counts from 1, 64-bit values come as int32 halves, low first.
 */
export interface TraceHandler {
  /**
   * An interrupt request reached the unit. VT-d gives no requester (undefined bits: -1) unless the line carries `sid`;
   * AMD-Vi gives the low 8 bits of the device id.
   * @param faults 0 where QEMU only looks the request up, for a route of KVM's; -1 where the line does not tell.
   */
  request?(
    line: number,
    addressLow: number,
    addressHigh: number,
    data: number,
    requester: number,
    faults?: number,
  ): void;
  /** The message that went in and the one that came out. */
  remapped?(
    line: number,
    fromLow: number,
    fromHigh: number,
    fromData: number,
    toLow: number,
    toHigh: number,
    toData: number,
  ): void;
  /** `apic_deliver_irq`: what the local APICs were handed; the destination is cut to 8 bits. */
  delivered?(
    line: number,
    destination: number,
    logical: number,
    deliveryMode: number,
    vector: number,
    level: number,
  ): void;
  /** The unit sent a message of its own (a fault or completion event); its delivery follows. */
  ownMessage?(line: number): void;
  /** A line whose event calls `method` does not have that event's format. It is counted already. */
  malformed?(line: number, method: keyof TraceHandler): void;
  /** `x86_iommu_iec_notify`: QEMU told KVM to refresh its routes. */
  iecNotify?(line: number, global: number, index: number, mask: number): void;
  /** `cpu_set_apic_base`: a processor wrote its IA32_APIC_BASE. */
  apicBase?(line: number, low: number, high: number): void;

  /** The IRTE as fetched, as 32-bit words from bit 0 up. */
  vtdEntry?(line: number, index: number, word0: number, word1: number, word2: number, word3: number): void;
  /** What QEMU read out of the entry. */
  vtdDecoded?(
    line: number,
    index: number,
    level: number,
    vector: number,
    deliveryMode: number,
    destination: number,
    logical: number,
  ): void;
  /** `vtd_ir_remap_type`. */
  vtdRequestKind?(line: number): void;
  /** A warning about the request named its requester; FFFFh is an unknown one. */
  vtdRequester?(line: number, requester: number): void;
  vtdRegisterWrite?(line: number, offset: number, bytes: number, low: number, high: number): void;
  /** GSTS before the write to GCMD, and the value written. */
  vtdCommand?(line: number, status: number, value: number): void;
  vtdEnabled?(line: number, on: number): void;
  vtdTable?(line: number, baseLow: number, baseHigh: number, entries: number): void;
  vtdQueueTail?(line: number, tail: number): void;
  /** An invalidation descriptor as fetched, as 32-bit words from bit 0 up. */
  vtdDescriptor?(line: number, word0: number, word1: number, word2: number, word3: number): void;
  /** `vtd_inv_desc_iec`: the same, taken apart. */
  vtdInvalidate?(line: number, granularity: number, index: number, mask: number): void;
  /** A fault record as written, as 32-bit words from bit 0 up. */
  vtdFault?(line: number, word0: number, word1: number, word2: number, word3: number): void;
  vtdReset?(line: number): void;

  /** A write to the remapping region, before the unit saw it. */
  amdviWrite?(line: number, offset: number, data: number, bytes: number): void;
  /** What the request's data says about its kind. */
  amdviDeliveryMode?(line: number, text: string): void;
  /** DTE.IntCtl as fetched. */
  amdviIntCtl?(line: number, intCtl: number): void;
  /** Where the entry lies: the table's base and the byte offset in it. */
  amdviEntryAddress?(line: number, baseLow: number, baseHigh: number, offset: number): void;
  /** The IRTE as fetched: 4 bytes (words 1 to 3 are 0) or 16 bytes. */
  amdviEntry?(line: number, bytes: number, word0: number, word1: number, word2: number, word3: number): void;
  /** The request was blocked, and why in QEMU's words. */
  amdviBlocked?(line: number, reason: string): void;
  /** The control register after a write (the event calls it a status). */
  amdviControl?(line: number, low: number, high: number): void;
  /** INVALIDATE_INTERRUPT_TABLE of some device: the trace does not say which. */
  amdviInvalidateTable?(line: number): void;
  amdviInvalidateDevice?(line: number, device: number): void;
  amdviInvalidateAll?(line: number): void;
  amdviCompletionWait?(line: number): void;
  /** A command that has nothing to do with interrupts. */
  amdviOtherCommand?(line: number): void;
  /** A command with an opcode that the unit does not know. */
  amdviIllegalCommand?(line: number, opcode: number): void;
  /** A command could not be read from the buffer. */
  amdviCommandUnreadable?(line: number): void;
  /** A command is about to be executed: where it lies in the buffer, where the buffer's contents end, and its base. */
  amdviCommand?(line: number, head: number, tail: number, baseLow: number, baseHigh: number): void;
  /** A register write with its value, which only newer versions trace (older ones call it a read, without it). */
  amdviRegisterWrite?(line: number, offset: number, bytes: number, low: number, high: number): void;
}
