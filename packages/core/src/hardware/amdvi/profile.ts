import { encode } from "../../spec/codec.ts";
import { extendedFeature, extendedFeature2 } from "../../spec/amdvi/registers.ts";
import type { RuleId } from "../../spec/rules.ts";

/** What a unit does against the specification, by name, and the rule that describes it. */
export const amdviDeviations = {
  enableIgnored: "qemu.amdvi.enable-ignored",
  deviceTableUnbounded: "qemu.amdvi.device-table-unbounded",
  deviceReservedChecked: "qemu.amdvi.dte-reserved",
  deviceReservedWide: "qemu.amdvi.dte-reserved-wide",
  passZeroed: "qemu.amdvi.pass-zeroed",
  tableUnbounded: "qemu.amdvi.table-unbounded",
  faultsNotLogged: "qemu.amdvi.faults-not-logged",
  rqEoiAsHint: "qemu.amdvi.rqeoi-as-hint",
  triggerEdge: "qemu.amdvi.trigger-edge",
  smiRefused: "qemu.amdvi.smi-refused",
  unknownRequesterIsIoapic: "qemu.amdvi.unknown-requester",
  entryUnchecked: "qemu.amdvi.entry-unchecked",
  guestModeRefused: "qemu.amdvi.guest-mode-refused",
  typeFromData: "qemu.amdvi.type-from-data",
  xtByCapability: "qemu.amdvi.xt-by-capability",
  commandsContinue: "qemu.amdvi.commands-continue",
  completionInterruptAlways: "qemu.amdvi.completion-interrupt",
  eventLogDead: "qemu.amdvi.event-log-dead",
  statusKept: "qemu.amdvi.status-kept",
} as const satisfies Record<string, RuleId>;

export type AmdviDeviation = keyof typeof amdviDeviations;

/** One AMD-Vi unit: what it can do, and what it does where the specification leaves a choice. */
export interface AmdviProfile {
  readonly name: string;
  /** EFR, the extended features, 64 bits. */
  readonly efr: bigint;
  /** EFR2, the extended features 2, 64 bits. */
  readonly efr2: bigint;
  /** Entries of interrupt tables are kept until they are invalidated (amdvi.cache.interrupt-table). */
  readonly cacheTables: boolean;
  /** Device table entries are kept until they are invalidated (amdvi.cache.device-table). */
  readonly cacheDevices: boolean;
  /** V=0 in a device's entry lets interrupts pass whatever IV says (amdvi.dte.valid-gates, not settled). */
  readonly validGatesInterrupts: boolean;
  readonly deviations: readonly AmdviDeviation[];
}

/** The letter of the specification: guest mode, x2APIC, 2048 interrupts a device, everything cached. */
export const amdviStrict: AmdviProfile = {
  name: "amdvi-strict",
  efr: encode(extendedFeature, {
    prefsup: 1,
    pprsup: 1,
    xtsup: 1,
    nxsup: 1,
    gtsup: 1,
    iasup: 1,
    gasup: 1,
    gamsup: 1,
  }),
  efr2: encode(extendedFeature2, { numintremapsup: 1 }),
  cacheTables: true,
  cacheDevices: true,
  validGatesInterrupts: false,
  deviations: [],
};

/** QEMU 11.1 with `amd-iommu,intremap=on`. */
export const amdviQemu111: AmdviProfile = {
  name: "amdvi-qemu-11.1",
  efr: encode(extendedFeature, {
    prefsup: 1,
    pprsup: 1,
    gtsup: 1,
    iasup: 1,
    gasup: 1,
    hesup: 1,
    hats: 2,
    gats: 2,
  }),
  efr2: 0n,
  cacheTables: false,
  cacheDevices: false,
  validGatesInterrupts: false,
  deviations: [
    "enableIgnored",
    "deviceTableUnbounded",
    "deviceReservedChecked",
    "passZeroed",
    "tableUnbounded",
    "faultsNotLogged",
    "rqEoiAsHint",
    "triggerEdge",
    "smiRefused",
    "unknownRequesterIsIoapic",
    "entryUnchecked",
    "guestModeRefused",
    "typeFromData",
    "xtByCapability",
    "commandsContinue",
    "completionInterruptAlways",
  ],
};

/** QEMU 10.0.2, which still counts more bits of the device table entry as reserved. */
export const amdviQemu100: AmdviProfile = {
  ...amdviQemu111,
  name: "amdvi-qemu-10.0",
  deviations: [...amdviQemu111.deviations, "eventLogDead", "statusKept", "deviceReservedWide"],
};

/** QEMU 7.2.22: it has no x2APIC mode, and its stable branch has the mended masks of the device table entry. */
export const amdviQemu72: AmdviProfile = {
  ...amdviQemu111,
  name: "amdvi-qemu-7.2",
  deviations: [...amdviQemu111.deviations, "eventLogDead", "statusKept"],
};

export const amdviProfiles: readonly AmdviProfile[] = [amdviStrict, amdviQemu111, amdviQemu100, amdviQemu72];
