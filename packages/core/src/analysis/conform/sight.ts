/** A message that left the remapping unit, as it would stand on the bus; each number unsigned, the address 64 bits wide. */
export interface Sent {
  readonly address: bigint;
  readonly data: number;
}

/** What local APICs were handed; a machine may show no more than 8 bits of the destination. */
export interface Handed {
  readonly destination: number;
  readonly logical: 0 | 1;
  readonly deliveryMode: number;
  readonly vector: number;
  readonly level: 0 | 1;
}

/** What is seen of a machine after one scene. */
export interface Sight {
  /** What left the unit during the scene, its own event messages among it, in order. */
  readonly sent: readonly Sent[];
  readonly handed: readonly Handed[];
  /** VT-d: FSTS and each fault recording register, low qword first. AMD-Vi: the records between head and tail of the event log, two qwords each. */
  readonly faults: readonly bigint[];
  /** In the order of the scene's {@link Scene.registers}. */
  readonly registers: readonly bigint[];
  /** In the order of the scene's {@link Scene.memory}; unsigned. */
  readonly memory: readonly number[];
  /** IRR of each processor by its APIC id, the vectors ascending; null where nobody looked. */
  readonly irr: readonly (readonly number[])[] | null;
}
