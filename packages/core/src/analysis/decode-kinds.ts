import { dte as deviceEntry } from "../spec/amdvi/dte.ts";
import { irte32, irteGuest, irteRemapped128 } from "../spec/amdvi/irte.ts";
import { ioapicRte, ioapicRteAmd, ioapicRteExtended, ioapicRteRemappable } from "../spec/apic/ioapic.ts";
import { decode, hex, validate } from "../spec/codec.ts";
import {
  descriptorHeader,
  descriptorLayouts,
  descriptorTypes,
  interruptEntryCacheInvalidate,
  wideDescriptorLayouts,
} from "../spec/vtd/descriptors.ts";
import { irtePosted, irteRemapped, postedDescriptor } from "../spec/vtd/irte.ts";
import {
  capability,
  extendedCapability,
  faultRecord,
  interruptFaultInfo,
  tableAddress,
} from "../spec/vtd/registers.ts";
import { faultNameOf, faultReasons } from "../spec/vtd/faults.ts";
import { ruleOf } from "../spec/rules.ts";
import type { Context, Layout } from "../spec/layout.ts";
import { printRequester } from "../spec/requester.ts";
import { readMessage } from "./decode-message.ts";
import type { Shape } from "./decode-shape.ts";
import { parseHex, parseWords } from "./hex-input.ts";
import { unlessReadAs } from "./readings.ts";

interface Kind {
  /** What the kind takes, as help and errors say it. */
  readonly takes: string;
  readonly read: (values: readonly string[], context: Context) => Shape;
}

/** A register or entry of one form. */
function single(takes: string, layout: Layout, notes?: (value: bigint) => string[]): Kind {
  return {
    takes,
    read: (values) => {
      const value = parseWords(values, { word: 64, count: 1, first: "high" }, takes);
      return { mode: null, parts: [{ layout, value }], ...(notes && { notes: notes(value) }) };
    },
  };
}

const pair = { word: 64, count: 2, first: "high" } as const;
const oneValue = "one value of up to 16 hex digits";

/** Which layout an IRTE has: that of its IM bit. */
export function irteLayout(entry: bigint): Layout {
  return decode(irteRemapped, entry).im === 1 ? irtePosted : irteRemapped;
}

const irte: Kind = {
  takes: "HIGH LOW, or one 32-digit value",
  read(values, context) {
    const value = parseWords(values, pair, this.takes);
    const layout = irteLayout(value);
    const { p, fpd, sid } = decode(irteRemapped, value);
    const notes = [`requester ${printRequester(Number(sid))}`];
    // Hardware looks at no field but FPD of an entry that is not present (vtd.ir.not-present).
    if (p === 0) {
      notes.push(`not present: a request for it is blocked (22h)${fpd === 1 ? ", and not recorded" : ""}`);
    }
    return {
      mode: layout === irtePosted ? "posted" : "remapped",
      parts: [{ layout, value }],
      violations: p === 0 ? [] : validate(layout, value, context),
      notes,
    };
  },
};

/** The layout of a 128-bit AMD entry: that of its GuestMode bit. */
export function amdIrteLayout(entry: bigint): Layout {
  return decode(irteRemapped128, entry).guestmode === 1 ? irteGuest : irteRemapped128;
}

const amdIrte: Kind = {
  takes: "HI LO, one 32-digit value, or one 8-digit value",
  read(values, context) {
    const short = values.length === 1 && parseHex(values[0]!, "value").digits <= 8;
    const value = parseWords(values, short ? { word: 32, count: 1, first: "high" } : pair, this.takes);
    const layout = short ? irte32 : amdIrteLayout(value);
    // Other fields of an entry with RemapEn=0 are software's: Linux keeps its marks there.
    const off = decode(irte32, value & 0xffffffffn).remapen === 0;
    return {
      mode: layout === irteGuest ? "guest" : "remapped",
      parts: [{ layout, value }],
      violations: off ? [] : validate(layout, value, context),
      notes: off ? ["RemapEn is 0: a message for it is an I/O page fault"] : [],
    };
  },
};

const dte: Kind = {
  takes: "QWORD[3] QWORD[2] QWORD[1] QWORD[0] as devtbl prints them, or one 64-digit value",
  read(values, context) {
    const value = parseWords(values, { word: 64, count: 4, first: "high" }, this.takes);
    const { iv } = decode(deviceEntry, value);
    return {
      mode: null,
      parts: [{ layout: deviceEntry, value }],
      violations: iv === 0 ? [] : validate(deviceEntry, value, context),
      notes: [interruptControl(value)],
    };
  },
};

/** What a device table entry makes of the device's interrupts. */
export function interruptControl(entry: bigint): string {
  const { iv, intctl, inttablen, inttableptr } = decode(deviceEntry, entry);
  if (iv === 0) return "IV is 0: interrupts pass unchanged";
  if (intctl === 0) return "IntCtl is 00b: fixed and arbitrated interrupts are aborted";
  if (intctl === 1) return "IntCtl is 01b: fixed and arbitrated interrupts pass unchanged";
  return `interrupts are remapped by ${2 ** Number(inttablen)} entries from ${hex(inttableptr)}`;
}

const pid: Kind = {
  takes: "one 128-digit value (most significant digit first), or eight 64-bit values in the order of memory",
  read(values) {
    const value = parseWords(values, { word: 64, count: 8, first: "low" }, this.takes);
    const { pir } = decode(postedDescriptor, value);
    const pending: string[] = [];
    for (let vector = 0; vector < 256; vector++) {
      if ((BigInt(pir) >> BigInt(vector)) & 1n) pending.push(hex(vector));
    }
    return {
      mode: null,
      parts: [{ layout: postedDescriptor, value }],
      notes: [pending.length === 0 ? "no vector is pending" : `pending vectors: ${pending.join(", ")}`],
    };
  },
};

const compatibilityRte = [
  { setting: "EXTDEST=0", layout: ioapicRteExtended, lifts: ["ioapic.rte.reserved"] },
  { setting: "AMDIR=0", layout: ioapicRteAmd, lifts: ["ioapic.rte.delivery-mode"] },
] as const;

const ioapic: Kind = {
  takes: "one 16-digit value, or HIGH LOW of 32 bits each",
  read(values, context) {
    const value = parseRte(values, this.takes);
    if (decode(ioapicRte, value).format === 1) {
      return { mode: "remappable", parts: [{ layout: ioapicRteRemappable, value }] };
    }
    const { dst } = decode(ioapicRteExtended, value);
    const { index } = decode(ioapicRteAmd, value);
    return {
      mode: "compatibility",
      parts: [{ layout: ioapicRte, value }],
      violations: unlessReadAs({ layout: ioapicRte, value }, compatibilityRte, context),
      readings: [
        { as: "AMD-Vi remapping", fields: { index: Number(index) } },
        { as: "extended destination id", fields: { dst: Number(dst) } },
      ],
    };
  },
};

/** One value is the whole entry, with or without its leading zeros. */
function parseRte(values: readonly string[], takes: string): bigint {
  return values.length === 1
    ? parseWords(values, { word: 64, count: 1, first: "high" }, takes)
    : parseWords(values, { word: 32, count: 2, first: "high" }, takes);
}

const modes: Readonly<Record<number, string>> = {
  [descriptorTypes.contextCache]: "context-cache",
  [descriptorTypes.iotlb]: "iotlb",
  [descriptorTypes.interruptEntryCache]: "iec",
  [descriptorTypes.wait]: "wait",
};

const iec: Kind = {
  takes: "qw0 qw1 (qw2 qw3) as the queue prints them, HIGH LOW, or one 32-digit value",
  read(values) {
    const { value, width } = parseDescriptor(values, this.takes);
    const { type } = decode(descriptorHeader, value);
    const layouts = width === 256 ? wideDescriptorLayouts : descriptorLayouts;
    const layout = layouts[Number(type)];
    if (layout === undefined) {
      const violation = {
        rule: "vtd.qi.invalid-type",
        section: ruleOf("vtd.qi.invalid-type").section,
        found: `type = ${hex(type)}`,
      } as const;
      return { mode: null, parts: [{ layout: descriptorHeader, value }], violations: [violation] };
    }
    const shape = { mode: modes[Number(type)]!, parts: [{ layout, value }] };
    return type === descriptorTypes.interruptEntryCache
      ? { ...shape, notes: [droppedEntries(value)] }
      : shape;
  },
};

function droppedEntries(value: bigint): string {
  const { g, im, iidx } = decode(interruptEntryCacheInvalidate, value);
  if (g === 0) return "drops every entry";
  const size = 2 ** Number(im);
  const first = Math.floor(Number(iidx) / size) * size;
  const last = Math.min(first + size - 1, 0xffff);
  return first === last ? `drops entry ${first}` : `drops entries ${first} to ${last}`;
}

function typeOf(descriptor: bigint): number {
  return Number(decode(descriptorHeader, descriptor).type);
}

/** A pair in either order: the queue prints qw0 first, entries are written high half first. */
function parseDescriptor(values: readonly string[], takes: string): { value: bigint; width: 128 | 256 } {
  if (values.length === 4) {
    return { value: parseWords(values, { word: 64, count: 4, first: "low" }, takes), width: 256 };
  }
  if (values.length === 1) {
    const digits = values[0]!.replace(/^0x/i, "").length;
    const count = digits > 32 ? 4 : digits > 16 ? 2 : 1;
    return {
      value: parseWords(values, { word: 64, count, first: "high" }, takes),
      width: count === 4 ? 256 : 128,
    };
  }
  const queued = parseWords(values, { ...pair, first: "low" }, takes);
  const written = parseWords(values, pair, takes);
  const wanted = descriptorTypes.interruptEntryCache;
  const swapped =
    typeOf(queued) !== wanted &&
    (typeOf(written) === wanted ||
      (modes[typeOf(queued)] === undefined && modes[typeOf(written)] !== undefined));
  return { value: swapped ? written : queued, width: 128 };
}

const frcd: Kind = {
  takes: "HIGH LOW, or one 32-digit value",
  read(values) {
    const value = parseWords(values, pair, this.takes);
    const { fr, sid } = decode(faultRecord, value);
    const parts = [{ layout: faultRecord, value }];
    const name = faultNameOf(Number(fr));
    const requester = `requester ${printRequester(Number(sid))}`;
    if (name === undefined) {
      return { mode: "dma", parts, notes: [requester, `reason ${hex(fr)} is not an interrupt request's`] };
    }
    const { rule, indexed } = faultReasons[name];
    const { index } = decode(interruptFaultInfo, value & 0xffffffffffffffffn);
    return {
      mode: "interrupt",
      parts,
      notes: [
        requester,
        `${rule}: ${ruleOf(rule).text}`,
        ...(indexed ? [] : ["the fault index is undefined"]),
      ],
      ...(indexed && {
        derived: [{ bits: "", name: "index", title: "Interrupt index, FI[63:48]", value: Number(index) }],
      }),
    };
  },
};

/** Every kind of value, by the name that the command takes. */
export const decodeKinds = {
  irte,
  "amd-irte": amdIrte,
  dte,
  pid,
  msi: { takes: "ADDRESS DATA", read: readMessage },
  "ioapic-rte": ioapic,
  iec,
  frcd,
  irta: single(oneValue, tableAddress, (value) => {
    const { s, irta } = decode(tableAddress, value);
    return [`${2 ** (Number(s) + 1)} entries from ${hex(irta)}`];
  }),
  cap: single(oneValue, capability),
  ecap: single(oneValue, extendedCapability),
} satisfies Record<string, Kind>;

export type DecodeKind = keyof typeof decodeKinds;
