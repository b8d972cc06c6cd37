import * as irte from "../spec/accessors/irte-remapped.ts";
import * as requestAddress from "../spec/accessors/msi-remappable-address.ts";
import * as requestData from "../spec/accessors/msi-remappable-data.ts";
import { decode, fromWords, hex } from "../spec/codec.ts";
import { irtePosted } from "../spec/vtd/irte.ts";
import type { StepDeclaration } from "./decision.ts";
import { hexByte, printRequester } from "../spec/requester.ts";

/** What the ten steps look at; null where it is not known. */
export interface VtdDecisionFacts {
  readonly remappingEnabled: boolean | null;
  readonly eime: boolean | null;
  readonly compatibilityEnabled: boolean | null;
  /** ECAP.IRREQ and ECAP.EIMER. */
  readonly remappingRequired: boolean | null;
  readonly eimRequired: boolean | null;
  /** int32. */
  readonly address: number;
  readonly data: number;
  /** -1 if unknown. */
  readonly requester: number;
  /** Of the table. */
  readonly entries: number | null;
  /** Null if it is not known where the table lies. */
  readonly entryAddress: bigint | null;
  /** The entry's words, and whether they came from the unit's cache; undefined if none was read. */
  readonly entry: Int32Array | undefined;
  readonly cached: boolean;
  /** What left the unit, as text. */
  readonly result: string;
}

/** Where the ten steps read what they look at. */
export type VtdReading =
  | "status"
  | "capability"
  | "extendedCapability"
  | "tableAddress"
  | "message"
  | "table"
  | "requester"
  | "descriptor";

const remappable = (facts: VtdDecisionFacts): boolean => requestAddress.format(facts.address) === 1;

/** The index that a remappable request asks for. */
export function requestIndex(address: number, data: number): number {
  const subhandle = requestAddress.shv(address) === 1 ? requestData.subhandle(data) : 0;
  return requestAddress.handle(address) + subhandle;
}

/** The ten steps of the decision on a request (VT-d 5.10 §5.1.4), in their order. */
export const vtdSteps: readonly StepDeclaration<VtdDecisionFacts, VtdReading>[] = [
  {
    title: "remapping is on",
    rule: "vtd.ir.remapping-required",
    reads: ["status", "extendedCapability"],
    passes: ["vtd.ir.pass-through"],
    detail: (f) => `GSTS.IRES=${bit(f.remappingEnabled)}, ECAP.IRREQ=${bit(f.remappingRequired)}`,
  },
  {
    title: "extended interrupt mode where it is required",
    rule: "vtd.ir.eim-required",
    reads: ["extendedCapability", "tableAddress"],
    detail: (f) => `ECAP.EIMER=${bit(f.eimRequired)}, IRTA.EIME=${bit(f.eime)}`,
  },
  {
    title: "the request's format",
    rule: "vtd.ir.compatibility-blocked",
    reads: ["message"],
    passes: ["vtd.ir.compatibility-pass", "qemu.vtd.compatibility-passes"],
    detail: (f) =>
      remappable(f)
        ? "address bit 4 is 1: remappable"
        : `address bit 4 is 0: compatibility; EIME=${bit(f.eime)}, CFIS=${bit(f.compatibilityEnabled)}`,
  },
  {
    title: "reserved fields of the request",
    rule: "vtd.ir.request-reserved",
    reads: ["message"],
    detail: (f) =>
      requestAddress.shv(f.address) === 1
        ? `SHV=1, data bits 31:16 are ${hex((f.data >>> 16) & 0xffff)}`
        : "SHV=0: the data is not looked at",
  },
  {
    title: "the index lies in the table",
    rule: "vtd.ir.index-out-of-range",
    reads: ["message", "tableAddress"],
    detail: (f) => {
      const handle = requestAddress.handle(f.address);
      const index = requestIndex(f.address, f.data);
      const sum =
        requestAddress.shv(f.address) === 1 ? ` = handle ${handle} + subhandle ${index - handle}` : "";
      return `index ${index}${sum}, ${f.entries ?? "?"} entries`;
    },
  },
  {
    title: "the entry is read",
    rule: "vtd.ir.table-access",
    reads: ["table"],
    detail: (f) => {
      if (f.cached) return "held in the interrupt-entry cache";
      return f.entryAddress === null ? "128 bits" : `128 bits at ${hex(f.entryAddress)}`;
    },
  },
  {
    title: "the entry is present",
    rule: "vtd.ir.not-present",
    reads: ["table"],
    detail: ({ entry }) => (entry === undefined ? "" : `P=${irte.p(entry, 0)}, FPD=${irte.fpd(entry, 0)}`),
  },
  {
    title: "source-id verification",
    rule: "vtd.ir.sid-mismatch",
    reads: ["table", "requester"],
    exempt: ({ entry, requester }) => {
      if (entry === undefined || irte.svt(entry, 0) === 0) return "does not apply";
      return requester < 0 ? "not checked" : undefined;
    },
    detail: ({ entry, requester }) => (entry === undefined ? "" : sourceDetail(entry, requester)),
  },
  {
    title: "reserved fields of the entry",
    rule: "vtd.ir.entry-reserved",
    reads: ["table", "tableAddress", "capability"],
    blocks: ["vtd.post.descriptor-access", "vtd.post.descriptor-reserved"],
    detail: ({ entry, eime }) => (entry === undefined ? "" : formatDetail(entry, eime)),
  },
  {
    title: "the interrupt is delivered",
    rule: "vtd.ir.remap",
    reads: ["table"],
    detail: (f) => f.result,
  },
];

function formatDetail(entry: Int32Array, eime: boolean | null): string {
  if (irte.im(entry, 0) === 1) {
    const { vv, pda } = decode(irtePosted, fromWords(entry, 0, 128));
    return `IM=1, VV=${hex(vv)}, PDA=${hex(pda)}`;
  }
  return `IM=0, DLM=${irte.dlm(entry, 0)}, DST=${hex(irte.dst(entry, 0) >>> 0)} with EIME=${bit(eime)}`;
}

function sourceDetail(entry: Int32Array, requester: number): string {
  const svt = irte.svt(entry, 0);
  const sid = irte.sid(entry, 0);
  const from = requester < 0 ? "requester unknown" : `requester ${printRequester(requester)}`;
  switch (svt) {
    case 0:
      return "SVT=0: no verification";
    case 1:
      return `${from}; SVT=1 SQ=${irte.sq(entry, 0)} SID=${printRequester(sid)}`;
    case 2:
      return `${from}; SVT=2, buses ${hexByte(sid >>> 8)} to ${hexByte(sid)}`;
    default:
      return `${from}; SVT=3 is reserved`;
  }
}

function bit(value: boolean | null): string {
  if (value === null) return "?";
  return value ? "1" : "0";
}
