/** What became of an interrupt that a function's inside raised. */
export const Signal = {
  /** A message was written. */
  sent: 0,
  /** The vector is masked: its Pending bit is set. */
  pending: 1,
  /** Neither MSI nor MSI-X is enabled. */
  disabled: 2,
  /** The vector is not among those that software allocated. */
  unallocated: 3,
  /** Bus Master Enable is 0: the interrupt is lost. */
  lost: 4,
} as const;

export type Signal = (typeof Signal)[keyof typeof Signal];

/** The function around an MSI or MSI-X capability: the capability writes its messages through it. */
export interface MessagePort {
  /** Whether Bus Master Enable is 1. */
  canSend(): boolean;
  /** Writes one message: address bits 31:0, 63:32 and data, int32. */
  send(addressLow: number, addressHigh: number, data: number): void;
}
