/** Where things lie in the machine that QEMU makes. */

export const ramBytes = 0x4000_0000;
/** The last 16 MiB belong to the driver; scripts must leave them alone. */
export const scriptRam = ramBytes - 0x100_0000;
/** Memory in which a PC has no RAM that can be written. */
export const hole = { start: 0xa_0000, end: 0x10_0000 } as const;

/** What the driver keeps in its part of memory. */
export const driverMemory = {
  /** Instructions of the controller that moves data. */
  instructions: scriptRam,
  instructionBytes: 0x10_0000,
  /** What it moves to other places. */
  data: scriptRam + 0x10_0000,
  dataBytes: 0x60_0000,
  /** What it has fetched. */
  results: scriptRam + 0x70_0000,
  resultBytes: 0x20_0000,
  /** Never written. */
  zeros: scriptRam + 0x90_0000,
  zeroBytes: 0x1_0000,
  /** Every byte its own number: 256 of them. */
  bytes: scriptRam + 0x92_0000,
  /** A page of invalidation wait descriptors. */
  waits: scriptRam + 0x93_0000,
  /** Written, and never looked at. */
  sink: scriptRam + 0x94_0000,
  /** Where the AMD unit's own messages go unless a script says otherwise: they leave a mark here. */
  bell: scriptRam + 0x94_1000,
  /** A device table in which nothing is valid. */
  emptyTable: scriptRam + 0xc0_0000,
} as const;

/** Reading it leaves a line in the trace, and does nothing else. */
export const marker = 0xfec0_0008;

export const unitBase = { intel: 0xfed9_0000, amd: 0xfed8_0000 } as const;

/** Configuration space, once the host bridge has been told to map it. */
const configuration = 0xb000_0000;

/** The address of a register of a function's configuration space. */
export function configAddress(bus: number, functionNumber: number, register: number): number {
  return configuration + (bus << 20) + (functionNumber << 12) + register;
}

export function isDriverless(address: number, bytes: number): boolean {
  return address + bytes <= scriptRam && (address + bytes <= hole.start || address >= hole.end);
}

export function hex(value: number | bigint): string {
  return `0x${value.toString(16)}`;
}
