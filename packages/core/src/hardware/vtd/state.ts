/**
 * The state of one unit: an `Int32Array` whose first 4 KiB are the register page as software sees it, followed by
 * what the unit has latched from it, the evidence of the last blocked request, and the interrupt-entry cache.
 */

/** Words of the register page: a register stands at its MMIO offset, divided by four. */
export const registerWords = 1024;

export const Word = {
  /** `Mode` bits: all that the decision asks of the unit's configuration. */
  mode: registerWords,
  /** Number of entries that the table's size and the host address width allow. */
  entries: registerWords + 1,
  /** The chunk of memory in which the table starts, and the word in it. */
  tableChunk: registerWords + 2,
  tableWord: registerWords + 3,
  /** IRTA as latched by SIRTP. */
  latchedLow: registerWords + 4,
  latchedHigh: registerWords + 5,
  /** The record that takes the next fault. */
  faultIndex: registerWords + 6,
  /** One past the highest index that the entry cache may hold. */
  cacheTop: registerWords + 7,
  /** Translation table mode as latched by SRTP. */
  tableMode: registerWords + 8,
  /** The request being decided on: address, data, requester. */
  request: registerWords + 9,
  /** The last blocked request: the same three, reason (0: none yet), index, whether it was recorded, entry. */
  blocked: registerWords + 12,
  reason: registerWords + 15,
  index: registerWords + 16,
  recorded: registerWords + 17,
  entry: registerWords + 18,
} as const;

/** Where the interrupt-entry cache starts, if the profile has one: `Slot` words of every index, then every IRTE as fetched. */
export const cacheBase = registerWords + 32;
const cacheEntries = 65536;

/** Words of one slot, and of one IRTE, as a shift. */
const slotShift = 2;
const cachedIrtes = cacheBase + (cacheEntries << slotShift);
export const cacheEnd = cachedIrtes + (cacheEntries << slotShift);

/** Where the slot of an index starts. */
export const slotOf = (index: number): number => cacheBase + (index << slotShift);

/** Where the cached IRTE of an index starts. */
export const irteOf = (index: number): number => cachedIrtes + (index << slotShift);

/** The words of a slot: what was found out about an entry when it was fetched. All zero, it holds nothing. */
export const Slot = {
  /** The vector and the attributes where the IRTE has them (its bits 23:2), `Tag` bits in place of its reserved ones. */
  prepared: 0,
  /** 15:0 SID; 31:16 the bits of it in which the requester must agree. */
  source: 1,
  /** Where a remapped entry sends; bits 31:0 of a posted entry's descriptor address. */
  target: 2,
  /** Bits 63:32 of a posted entry's descriptor address. */
  targetHigh: 3,
} as const;

/** Tags of a cached entry, in bits that are reserved in the IRTE itself. */
export const Tag = {
  held: 1 << 31,
  /** Reserved bits or values were found in the entry. */
  badFormat: 1 << 30,
  /** Present and well-formed: what is left to check for a request is its source id. */
  lawful: 1 << 29,
  /** Of a lawful entry: IM=1. */
  posted: 1 << 28,
  /** Of a posted entry: URG=1. */
  urgent: 1 << 26,
  /** Of a lawful entry: SVT=10b, so that the requester's bus is to lie in a range. */
  ranged: 1 << 27,
} as const;

/** Bits of `Word.mode`. */
export const Mode = {
  /** Remapping is on, in the mode that it may need, and nobody observes: an entry of a common kind decides at once. */
  swift: 1 << 30,
  ires: 1 << 0,
  eime: 1 << 1,
  cfis: 1 << 2,
  eimRequired: 1 << 3,
  remappingRequired: 1 << 4,
  posting: 1 << 5,
  cache: 1 << 6,
  compatibilityPasses: 1 << 7,
  busRangeSwapped: 1 << 8,
  formatBeforeSource: 1 << 9,
  requestAfterEntry: 1 << 10,
  indexWraps: 1 << 11,
  indexUnbounded: 1 << 12,
  destinationMasked: 1 << 13,
  formatUnchecked: 1 << 14,
  postingIgnored: 1 << 15,
  faultsNotRecorded: 1 << 16,
  unknownSourcePasses: 1 << 17,
  svtReservedAsMismatch: 1 << 18,
} as const;
