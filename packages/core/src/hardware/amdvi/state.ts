import { type RegisterName, registers } from "../../spec/amdvi/registers.ts";

/**
 * The state of one unit: an `Int32Array` whose first words are the registers as software sees them, followed by what the
 * unit has derived from them, the evidence of the last blocked request, and the cached device table entries.
 */

/** Words of the register file: a register stands at its MMIO offset, divided by four. */
export const registerWords = (registers.GA_LOG_TAIL.offset + 8) >> 2;

/** The word of a register's low half. */
export function wordOf(name: RegisterName): number {
  return registers[name].offset >> 2;
}

export const Word = {
  /** `Mode` bits: all that the decision asks of the unit's configuration. */
  mode: registerWords,
  /** The chunk of memory in which the device table starts, the word in it, and the table's entries. */
  tableChunk: registerWords + 1,
  tableWord: registerWords + 2,
  devices: registerWords + 3,
  /** The last blocked request: reason (0: none yet), requester, index, address, data, logged, entry, device's entry. */
  reason: registerWords + 4,
  requester: registerWords + 5,
  index: registerWords + 6,
  address: registerWords + 7,
  data: registerWords + 8,
  logged: registerWords + 9,
  entry: registerWords + 10,
  device: registerWords + 14,
  /** The device table entry of the current request, where none are kept. */
  scratch: registerWords + 22,
} as const;

/** Where the kept device table entries start. */
export const deviceBase = registerWords + 32;

/** Words of one device table entry, and how many DeviceIDs there are. */
export const deviceWords = 8;
export const deviceIds = 65536;

/** Memory's chunks are 1 MiB: bits of a word's number within one, and of a byte's. */
export const chunkWordBits = 18;
export const chunkByteBits = 20;

/** Bits of `Word.mode`. */
export const Mode = {
  enabled: 1 << 0,
  ga: 1 << 1,
  guestMode: 1 << 2,
  xt: 1 << 3,
  index2048: 1 << 4,
  cacheTables: 1 << 5,
  cacheDevices: 1 << 6,
  validGates: 1 << 7,
  deviceTableUnbounded: 1 << 8,
  deviceReservedChecked: 1 << 9,
  deviceReservedWide: 1 << 10,
  passZeroed: 1 << 11,
  tableUnbounded: 1 << 12,
  faultsNotLogged: 1 << 13,
  rqEoiAsHint: 1 << 14,
  triggerEdge: 1 << 15,
  smiRefused: 1 << 16,
  unknownRequesterIsIoapic: 1 << 17,
  entryUnchecked: 1 << 18,
} as const;
