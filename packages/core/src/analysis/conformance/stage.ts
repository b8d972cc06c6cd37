/** A case cannot be put before a machine that is known only from outside; the message is the reason, in a few words. */
export class ModelOnly extends Error {
  override readonly name = "ModelOnly";
}

/** A machine on which a case is played without being judged: what software and devices can do to it. */
export interface Stage {
  /** A CPU's store of 32-bit words, from an address on that is a multiple of 4. */
  store(address: number, words: Int32Array): void;
  write(offset: number, width: 32 | 64, value: bigint): void;
  read(offset: number, width: 32 | 64): bigint;
  /** The MSI capability of the unit's own function is programmed and enabled. */
  ownMessage(address: bigint, data: number): void;
  /** A device's interrupt request; a requester that is null is not known. */
  request(address: number, data: number, requester: number | null): void;
}

/** What VT-d and AMD-Vi software does with tables and registers goes through these. */
export type Port = Pick<Stage, "store" | "write" | "read">;
