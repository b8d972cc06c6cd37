import { type Matcher, fromHex, requesterOf, requesterPattern } from "./log-line.ts";

/** A VT-d entry: a row of debugfs `ir_translation_struct`, or a bare pair HIGH LOW. */
export interface VtdEntry {
  readonly kind: "vtd-entry";
  readonly line: number;
  /** 128 bits. */
  readonly entry: bigint;
  /** What else the row says; null for a bare pair. */
  readonly row: {
    readonly index: number;
    readonly requester: string;
    /** Destination of a remapped entry, or PDA high and low of a posted one. */
    readonly destination: readonly number[];
    readonly vector: number;
  } | null;
}

/** A row of AMD debugfs `irqtbl`. */
export interface AmdviEntry {
  readonly kind: "amdvi-entry";
  readonly line: number;
  readonly index: number;
  readonly entry: bigint;
  /** In bits: 32 while GAEn is 0, else 128. */
  readonly width: 32 | 128;
}

/** `DeviceId 0000:01:00.0`: the device whose rows follow. */
export interface AmdviTable {
  readonly kind: "amdvi-table";
  readonly line: number;
  readonly requester: string;
}

/** A row of AMD debugfs `devtbl`. */
export interface AmdviDeviceEntry {
  readonly kind: "amdvi-device-entry";
  readonly line: number;
  readonly requester: string | null;
  /** 256 bits. */
  readonly entry: bigint;
}

/** `Capabilities: [68] MSI: Enable+ Count=1/1`. */
export interface MsiCapability {
  readonly kind: "msi-capability";
  readonly line: number;
  readonly enabled: boolean;
  /** Vectors in use. */
  readonly count: number;
}

/** An address and its data, from lspci, from a dump of MSI control, or a bare pair. */
export interface MsiMessage {
  readonly kind: "msi-message";
  readonly line: number;
  readonly address: bigint;
  readonly data: bigint;
}

/** One of the three lines in which debugfs `irq/irqs` prints a message. */
export interface MsiPart {
  readonly kind: "msi-part";
  readonly line: number;
  readonly part: "address_hi" | "address_lo" | "msg_data";
  readonly value: bigint;
}

/** A line that lspci prints beside the ones above and that holds no message. */
export interface LspciDetail {
  readonly kind: "lspci-detail";
  readonly line: number;
}

export type PastedRecord =
  | VtdEntry
  | AmdviEntry
  | AmdviTable
  | AmdviDeviceEntry
  | MsiCapability
  | MsiMessage
  | MsiPart
  | LspciDetail;

const h16 = "[0-9a-fA-F]{16}";
const h8 = "[0-9a-fA-F]{8}";

export const pastedMatchers: readonly Matcher<PastedRecord>[] = [
  {
    probe: ":",
    pattern: new RegExp(
      `(?:^|\\s)(\\d{1,5})\\s{1,12}${requesterPattern} (${h8})(?: (${h8}))?\\s{1,4}([0-9a-fA-F]{2})\\s{1,12}(${h16})\\s{1,24}(${h16})\\b`,
      "g",
    ),
    read: (match, line) => ({
      kind: "vtd-entry",
      line: line.number,
      entry: (fromHex(match[8]!) << 64n) | fromHex(match[9]!),
      row: {
        index: Number(match[1]),
        requester: requesterOf(match[2], match[3]!, match[4]!),
        destination: [match[5], match[6]]
          .filter((word) => word !== undefined)
          .map((word) => Number.parseInt(word, 16)),
        vector: Number.parseInt(match[7]!, 16),
      },
    }),
  },
  {
    probe: "",
    pattern: new RegExp(`^\\s{0,16}(?:0x)?(${h16})[\\s:,]{1,8}(?:0x)?(${h16})\\s{0,16}$`, "g"),
    read: (match, line) => ({
      kind: "vtd-entry",
      line: line.number,
      entry: (fromHex(match[1]!) << 64n) | fromHex(match[2]!),
      row: null,
    }),
  },
  {
    probe: "IRT[",
    pattern: new RegExp(`IRT\\[(\\d{1,4})\\] (?:(${h16}) ?(${h16})|(${h8}))\\s{0,16}$`, "g"),
    read: ([, index, high, low, short], line) => ({
      kind: "amdvi-entry",
      line: line.number,
      index: Number(index),
      ...(short === undefined
        ? { entry: (fromHex(high!) << 64n) | fromHex(low!), width: 128 as const }
        : { entry: fromHex(short), width: 32 as const }),
    }),
  },
  {
    probe: "DeviceId ",
    pattern: new RegExp(`DeviceId ${requesterPattern}`, "g"),
    read: ([, segment, busDevice, fn], line) => ({
      kind: "amdvi-table",
      line: line.number,
      requester: requesterOf(segment, busDevice!, fn!),
    }),
  },
  {
    probe: " iommu",
    pattern: new RegExp(`${requesterPattern} (${h16}) (${h16}) (${h16}) (${h16}) iommu\\d`, "g"),
    read: (match, line) => ({
      kind: "amdvi-device-entry",
      line: line.number,
      requester: requesterOf(match[1], match[2]!, match[3]!),
      entry: fromHex(match.slice(4, 8).join("")),
    }),
  },
  {
    probe: "MSI: Enable",
    pattern: /\bMSI: Enable([+-])(?: Count=(\d{1,3})\/\d{1,3})?/g,
    read: ([, enabled, count = "1"], line) => ({
      kind: "msi-capability",
      line: line.number,
      enabled: enabled === "+",
      count: Number(count),
    }),
  },
  {
    // lspci before 3.0.
    probe: "Message Signalled Interrupts:",
    pattern: /Message Signalled Interrupts: [\w+-]{1,16} Queue=(\d)\/\d Enable([+-])/g,
    read: ([, queue, enabled], line) => ({
      kind: "msi-capability",
      line: line.number,
      enabled: enabled === "+",
      count: 1 << Math.min(Number(queue), 5),
    }),
  },
  {
    probe: "Address: ",
    pattern: /\bAddress: (?:0x)?([0-9a-fA-F]{8,16})\s{1,8}Data: (?:0x)?([0-9a-fA-F]{1,8})\b/g,
    read: readMessage,
  },
  {
    probe: "address=0x",
    pattern: /msi control=0x[0-9a-fA-F]{1,4}, address=0x([0-9a-fA-F]{1,16}), data=0x([0-9a-fA-F]{1,8})\b/g,
    read: readMessage,
  },
  {
    probe: "",
    pattern:
      /^\s{0,16}(?:0x)?0{0,8}([fF][eE]{2}[0-9a-fA-F]{5})[\s:,/]{1,8}(?:0x)?([0-9a-fA-F]{1,8})\s{0,16}$/g,
    read: readMessage,
  },
  {
    probe: ": ",
    pattern: /\b(address_hi|address_lo|msg_data): {1,8}0x([0-9a-f]{8})\b/g,
    read: ([, part, digits], line) => ({
      kind: "msi-part",
      line: line.number,
      part: part as MsiPart["part"],
      value: fromHex(digits!),
    }),
  },
  {
    probe: ": ",
    pattern: /\bMSI-X: Enable[+-]|Vector table: BAR=|PBA: BAR=|Masking: [0-9a-f]{8}/g,
    read: (_, line) => ({ kind: "lspci-detail", line: line.number }),
  },
];

function readMessage(match: RegExpExecArray, line: { readonly number: number }): MsiMessage {
  return {
    kind: "msi-message",
    line: line.number,
    address: fromHex(match[1]!),
    data: fromHex(match[2]!),
  };
}
