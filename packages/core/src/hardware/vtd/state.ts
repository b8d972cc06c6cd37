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
  /** The last blocked request: reason (0: none yet), requester, index, address, data, entry, flags. */
  reason: registerWords + 9,
  requester: registerWords + 10,
  index: registerWords + 11,
  address: registerWords + 12,
  data: registerWords + 13,
  entry: registerWords + 14,
  recorded: registerWords + 18,
} as const;

/** Where the interrupt-entry cache starts, if the profile has one. */
export const cacheBase = registerWords + 32;

/** Words of one cached entry: a tag, the four words of the IRTE, padding to half a cache line. */
export const cacheStride = 8;
export const cacheEntries = 65536;

/** Bits of the tag: the entry is held; its format was found bad when it was fetched. */
export const Tag = { held: 1, badFormat: 2 } as const;

/** Bits of `Word.mode`. */
export const Mode = {
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
