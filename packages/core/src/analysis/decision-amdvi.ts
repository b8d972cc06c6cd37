import * as dte from "../spec/accessors/amdvi-dte.ts";
import * as ga from "../spec/accessors/amdvi-irte-remapped.ts";
import * as legacy from "../spec/accessors/amdvi-irte-32.ts";
import { hex } from "../spec/codec.ts";
import { deliveryModes } from "../spec/msi/message.ts";
import { printRequester } from "../spec/requester.ts";
import type { StepDeclaration } from "./decision.ts";

/** What the steps look at; null where it is not known. */
export interface AmdviDecisionFacts {
  readonly enabled: boolean | null;
  /** The DeviceID, -1 for none, and how many entries the device table has. */
  readonly deviceTable: { readonly deviceId: number; readonly entries: number | null } | null;
  readonly ga: boolean | null;
  /** 2048 interrupts a device: the type's bits of the request belong to its index. */
  readonly wideIndex: boolean;
  /** The eight words of the device's entry, as far as they are known. */
  readonly device: Int32Array;
  /** DTE.IntTabLen. */
  readonly tableLength: number | null;
  /** int32. */
  readonly address: number;
  readonly data: number;
  readonly index: number;
  /** Null if it is not known where the table lies. */
  readonly entryAddress: bigint | null;
  /** The entry's words, and whether they came from the unit's cache; undefined if none was read. */
  readonly entry: Int32Array | undefined;
  readonly cached: boolean;
  /** What left the unit, as text. */
  readonly result: string;
}

/** Where the steps read what they look at. */
export type AmdviReading =
  | "control"
  | "deviceTable"
  | "device"
  | "message"
  | "table"
  | "requester"
  | "features"
  | "page";

/** The steps of the decision on a request (AMD-Vi 3.11 §2.2.5), in their order. */
export const amdviSteps: readonly StepDeclaration<AmdviDecisionFacts, AmdviReading>[] = [
  {
    title: "remapping is on",
    rule: "amdvi.ir.disabled",
    reads: ["control"],
    passes: ["amdvi.ir.disabled"],
    blocks: ["amdvi.ir.malformed-request"],
    detail: (f) => `Control.IommuEn=${bit(f.enabled)}`,
  },
  {
    title: "the device has an entry",
    rule: "amdvi.dte.out-of-range",
    reads: ["requester", "deviceTable"],
    blocks: ["amdvi.ir.requester-unknown", "amdvi.dte.access", "qemu.amdvi.dte-reserved"],
    exempt: ({ deviceTable }) => (deviceTable === null ? "not checked" : undefined),
    detail: ({ deviceTable }) => {
      if (deviceTable === null) return "the trace gives 8 bits of the DeviceID, and not the device table";
      const { deviceId, entries } = deviceTable;
      if (deviceId < 0) return "requester unknown: no DeviceID";
      return `DeviceID ${printRequester(deviceId)}${entries === null ? "" : `, ${entries} entries`}`;
    },
  },
  {
    title: "the device's interrupts are mapped",
    rule: "amdvi.ir.map-invalid",
    reads: ["device"],
    passes: ["amdvi.ir.map-invalid", "amdvi.dte.valid-gates"],
    detail: (f) => `DTE.V=${dte.v(f.device, 0)} IV=${dte.iv(f.device, 0)}`,
  },
  {
    title: "the message's type",
    rule: "amdvi.ir.type-filtered",
    reads: ["message", "control"],
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
    reads: ["device"],
    blocks: ["amdvi.dte.intctl-reserved"],
    passes: ["amdvi.ir.intctl-pass", "qemu.amdvi.pass-zeroed"],
    detail: (f) => `DTE.IntCtl=${dte.intctl(f.device, 0)}`,
  },
  {
    title: "the index lies in the table",
    rule: "amdvi.ir.index-out-of-range",
    reads: ["message", "device"],
    blocks: ["amdvi.dte.inttablen"],
    exempt: ({ tableLength }) => (tableLength === null ? "not checked" : undefined),
    detail: (f) =>
      f.tableLength === null
        ? `index ${f.index}; the trace does not give IntTabLen`
        : `index ${f.index}, IntTabLen=${f.tableLength}: ${2 ** f.tableLength} entries`,
  },
  {
    title: "the entry is read",
    rule: "amdvi.ir.table-access",
    reads: ["table"],
    detail: (f) =>
      f.cached
        ? "kept by the unit"
        : `${f.ga === false ? 32 : 128} bits${f.entryAddress === null ? "" : ` at ${hex(f.entryAddress)}`} (GAEn=${bit(f.ga)})`,
  },
  {
    title: "the entry is enabled",
    rule: "amdvi.ir.not-enabled",
    reads: ["table"],
    detail: ({ entry }) => (entry === undefined ? "" : `RemapEn=${legacy.remapen(entry[0]!)}`),
  },
  {
    title: "guest mode and reserved fields of the entry",
    rule: "amdvi.irte.reserved",
    reads: ["table", "control"],
    blocks: [
      "amdvi.irte.guest-mode",
      "amdvi.irte.int-type",
      "amdvi.irte.xapic-destination",
      "amdvi.ga.page-access",
    ],
    detail: ({ entry, ga: wide }) => {
      if (entry === undefined) return "";
      const word = entry[0]!;
      if (wide === false) return `GuestMode=${legacy.guestmode(word)}, IntType=${legacy.inttype(word)}`;
      // Where a remapped entry has its type, one in guest mode has GALogIntr.
      return ga.guestmode(entry, 0) === 1 ? "GuestMode=1" : `GuestMode=0, IntType=${ga.inttype(entry, 0)}`;
    },
  },
  {
    title: "the interrupt is delivered",
    rule: "amdvi.ir.remap",
    reads: ["table"],
    detail: (f) => f.result,
  },
];

function bit(value: boolean | null): string {
  if (value === null) return "?";
  return value ? "1" : "0";
}
