import * as dte from "../spec/accessors/amdvi-dte.ts";
import * as ga from "../spec/accessors/amdvi-irte-remapped.ts";
import * as legacy from "../spec/accessors/amdvi-irte-32.ts";
import { hex } from "../spec/codec.ts";
import { deliveryModes } from "../spec/msi/message.ts";
import type { StepDeclaration } from "./decision.ts";

/** What the steps look at. */
export interface AmdviDecisionFacts {
  readonly enabled: boolean;
  readonly ga: boolean;
  /** Control.NumIntRemapMode: 2048 interrupts a device. */
  readonly wideIndex: boolean;
  /** The eight words of the device's entry, as the trace lets it be told. */
  readonly device: Int32Array;
  /** int32. */
  readonly address: number;
  readonly data: number;
  readonly index: number;
  readonly entryAddress: bigint;
  /** The entry's words, and whether they came from the unit's cache; undefined if none was read. */
  readonly entry: Int32Array | undefined;
  readonly cached: boolean;
  /** What left the unit, as text. */
  readonly result: string;
}

/** The steps of the decision on a request (AMD-Vi 3.11 §2.2.5), in their order. */
export const amdviSteps: readonly StepDeclaration<AmdviDecisionFacts>[] = [
  {
    title: "remapping is on",
    rule: "amdvi.ir.disabled",
    passes: ["amdvi.ir.disabled"],
    blocks: ["amdvi.ir.malformed-request"],
    detail: (f) => `Control.IommuEn=${bit(f.enabled)}`,
  },
  {
    title: "the device has an entry",
    rule: "amdvi.dte.out-of-range",
    blocks: ["amdvi.ir.requester-unknown", "amdvi.dte.access", "qemu.amdvi.dte-reserved"],
    exempt: () => "not checked",
    detail: () => "the trace gives 8 bits of the DeviceID, and not the device table",
  },
  {
    title: "the device's interrupts are mapped",
    rule: "amdvi.ir.map-invalid",
    passes: ["amdvi.ir.map-invalid", "amdvi.dte.valid-gates"],
    detail: (f) => `DTE.V=${dte.v(f.device, 0)} IV=${dte.iv(f.device, 0)}`,
  },
  {
    title: "the message's type",
    rule: "amdvi.ir.type-filtered",
    blocks: ["qemu.amdvi.smi-refused", "amdvi.ir.type-reserved", "amdvi.ir.type-logical"],
    passes: ["amdvi.ir.type-passes", "amdvi.ir.smi-passes"],
    detail: (f) => {
      const type = (f.data >>> 8) & 7;
      if (f.wideIndex) return "2048 interrupts a device: data bits 10:8 belong to the index";
      return `data bits 10:8 are ${type}: ${deliveryModes[type as keyof typeof deliveryModes] ?? "reserved"}`;
    },
  },
  {
    title: "what the device's entry says of interrupts",
    rule: "amdvi.ir.intctl-abort",
    blocks: ["amdvi.dte.intctl-reserved"],
    passes: ["amdvi.ir.intctl-pass", "qemu.amdvi.pass-zeroed"],
    detail: (f) => `DTE.IntCtl=${dte.intctl(f.device, 0)}`,
  },
  {
    title: "the index lies in the table",
    rule: "amdvi.ir.index-out-of-range",
    blocks: ["amdvi.dte.inttablen"],
    exempt: () => "not checked",
    detail: (f) => `index ${f.index}; the trace does not give IntTabLen`,
  },
  {
    title: "the entry is read",
    rule: "amdvi.ir.table-access",
    detail: (f) =>
      f.cached ? "kept by the unit" : `${f.ga ? 128 : 32} bits at ${hex(f.entryAddress)} (GAEn=${bit(f.ga)})`,
  },
  {
    title: "the entry is enabled",
    rule: "amdvi.ir.not-enabled",
    detail: ({ entry }) => (entry === undefined ? "" : `RemapEn=${legacy.remapen(entry[0]!)}`),
  },
  {
    title: "guest mode and reserved fields of the entry",
    rule: "amdvi.irte.reserved",
    blocks: [
      "amdvi.irte.guest-mode",
      "amdvi.irte.int-type",
      "amdvi.irte.xapic-destination",
      "amdvi.ga.page-access",
    ],
    detail: ({ entry, ga: wide }) => {
      if (entry === undefined) return "";
      const word = entry[0]!;
      const type = wide ? ga.inttype(entry, 0) : legacy.inttype(word);
      return `GuestMode=${legacy.guestmode(word)}, IntType=${type}`;
    },
  },
  {
    title: "the interrupt is delivered",
    rule: "amdvi.ir.remap",
    detail: (f) => f.result,
  },
];

function bit(value: boolean): string {
  return value ? "1" : "0";
}
