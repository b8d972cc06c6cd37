import { encode } from "../../spec/codec.ts";
import type { RuleId } from "../../spec/rules.ts";
import { capability, extendedCapability } from "../../spec/vtd/registers.ts";

/** What a unit does against the specification, by name, and the rule that describes it. */
export const vtdDeviations = {
  compatibilityPasses: "qemu.vtd.compatibility-passes",
  busRangeSwapped: "qemu.vtd.bus-range-swapped",
  formatBeforeSource: "qemu.vtd.format-before-source",
  requestAfterEntry: "qemu.vtd.request-after-entry",
  indexWraps: "qemu.vtd.index-wraps",
  indexUnbounded: "qemu.vtd.index-unbounded",
  destinationMasked: "qemu.vtd.destination-masked",
  formatUnchecked: "qemu.vtd.format-unchecked",
  postingIgnored: "qemu.vtd.posting-ignored",
  faultsNotRecorded: "qemu.vtd.faults-not-recorded",
  unknownSourcePasses: "qemu.vtd.unknown-source-passes",
  svtReservedAsMismatch: "qemu.vtd.svt-reserved-26h",
  cfiIgnored: "qemu.vtd.cfi-ignored",
  emptyWaitRefused: "qemu.vtd.wait-empty",
  descriptorWidthIgnored: "qemu.vtd.descriptor-width-ignored",
  queueErrorUntold: "qemu.vtd.queue-error-untold",
  queueResumesAtTail: "qemu.vtd.queue-resumes-at-tail",
  extendedModeTaken: "qemu.vtd.eime-taken",
  invalidationUnchecked: "qemu.vtd.iec-unchecked",
  eventUpperIgnored: "qemu.vtd.event-upper-ignored",
  eventPendingKept: "qemu.vtd.event-pending-kept",
} as const satisfies Record<string, RuleId>;

export type VtdDeviation = keyof typeof vtdDeviations;

/**
 * How a unit keeps entries: `none` reads the table for each request, `entry` keeps each present entry it has used,
 * `line` fetches 64 bytes and keeps the three neighbours too, present or not.
 */
export type EntryCacheKind = "none" | "entry" | "line";

/** One VT-d unit: what it can do, and what it does where the specification leaves a choice. */
export interface VtdProfile {
  readonly name: string;
  /** VER. */
  readonly version: number;
  /** CAP. */
  readonly capability: bigint;
  /** ECAP. */
  readonly extendedCapability: bigint;
  /** Host address width in bits, as DMAR reports it. */
  readonly hostAddressWidth: number;
  readonly entryCache: EntryCacheKind;
  /** Not-present and faulty entries are kept too, as CAP.CM=1 permits. */
  readonly cachesNotPresent: boolean;
  /** A fault whose source id stands in a pending record is dropped, as the specification permits. */
  readonly compressesFaults: boolean;
  readonly deviations: readonly VtdDeviation[];
}

const strictCapability = {
  nd: 6,
  sagaw: 6,
  mgaw: 47,
  fro: 0x22,
  sslps: 3,
  psi: 1,
  nfr: 7,
  mamv: 18,
  dwd: 1,
  drd: 1,
  pi: 1,
} as const;

const strictExtendedCapability = {
  c: 1,
  qi: 1,
  ir: 1,
  eim: 1,
  pt: 1,
  iro: 0x50,
  mhmv: 15,
  smts: 1,
} as const;

/** The letter of the specification: nothing is forgiven, nothing permitted is done for the driver's convenience. */
export const vtdStrict: VtdProfile = {
  name: "vtd-strict",
  version: 0x60,
  capability: encode(capability, strictCapability),
  extendedCapability: encode(extendedCapability, strictExtendedCapability),
  hostAddressWidth: 52,
  entryCache: "entry",
  cachesNotPresent: false,
  compressesFaults: false,
  deviations: [],
};

/** A laptop that faulted with 22h after a missing invalidation though CAP.CM was 0 (rule vtd.iec.line-fetch). */
export const vtdLineCache: VtdProfile = { ...vtdStrict, name: "vtd-line-cache", entryCache: "line" };

/** A unit that asks for invalidation on every change, as virtual units do. */
export const vtdCachingMode: VtdProfile = {
  ...vtdStrict,
  name: "vtd-caching-mode",
  capability: encode(capability, { ...strictCapability, cm: 1 }),
  cachesNotPresent: true,
};

/** A unit that reads its tables behind the CPU's cache. */
export const vtdNonCoherent: VtdProfile = {
  ...vtdStrict,
  name: "vtd-non-coherent",
  extendedCapability: encode(extendedCapability, { ...strictExtendedCapability, c: 0 }),
};

const qemuDeviations: readonly VtdDeviation[] = [
  "compatibilityPasses",
  "busRangeSwapped",
  "formatBeforeSource",
  "requestAfterEntry",
  "indexWraps",
  "destinationMasked",
  "formatUnchecked",
  "postingIgnored",
  "unknownSourcePasses",
  "svtReservedAsMismatch",
  "cfiIgnored",
  "emptyWaitRefused",
  "descriptorWidthIgnored",
  "queueErrorUntold",
  "queueResumesAtTail",
  "eventUpperIgnored",
  "eventPendingKept",
];

/** QEMU 11.1 with `intel-iommu,eim=on`; CAP and ECAP as read from it. */
export const vtdQemu111: VtdProfile = {
  name: "vtd-qemu-11.1",
  version: 0x10,
  capability: 0x80d2_008c_222f_0606n,
  extendedCapability: 0xf0_0f5an,
  hostAddressWidth: 52,
  entryCache: "none",
  cachesNotPresent: false,
  compressesFaults: true,
  deviations: qemuDeviations,
};

/** QEMU 10.0.2 with `intel-iommu,eim=on`; CAP and ECAP as read from it. */
export const vtdQemu100: VtdProfile = {
  ...vtdQemu111,
  name: "vtd-qemu-10.0",
  capability: 0xd2_008c_222f_0606n,
};

/** QEMU 7.2.22 under TCG: no x2APIC, no interrupt faults recorded; CAP and ECAP as read from it. */
export const vtdQemu72: VtdProfile = {
  ...vtdQemu111,
  name: "vtd-qemu-7.2",
  capability: 0xd2_008c_2226_0206n,
  extendedCapability: 0xf0_0f4an,
  deviations: [...qemuDeviations, "extendedModeTaken", "invalidationUnchecked", "faultsNotRecorded"],
};

export const vtdProfiles: readonly VtdProfile[] = [
  vtdStrict,
  vtdLineCache,
  vtdCachingMode,
  vtdNonCoherent,
  vtdQemu111,
  vtdQemu100,
  vtdQemu72,
];
