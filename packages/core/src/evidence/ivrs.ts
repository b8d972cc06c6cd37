import {
  entryBytes,
  entryLayouts,
  entryType,
  ivhdAcpiEntry,
  ivhdLayouts,
  ivmd,
  ivmdTypes,
  ivrsBlock,
  ivrsHeader,
  ivrsHeaderBytes,
} from "../spec/acpi/ivrs.ts";
import { type Value, hex } from "../spec/codec.ts";
import { type AcpiHeader, AcpiTableReader, type TableFinding, addressOf } from "./acpi-table.ts";
import { latin1 } from "./byte-source.ts";

/** What a device entry of an IVHD block says of interrupts and of the devices it speaks of. */
export interface IvhdEntry {
  readonly offset: number;
  readonly type: number;
  /** The first DeviceID that the entry speaks of; 0 where it speaks of all or of none. */
  readonly deviceId: number;
  readonly initPass: boolean;
  readonly eintPass: boolean;
  readonly nmiPass: boolean;
  readonly sysMgt: number;
  readonly lint0Pass: boolean;
  readonly lint1Pass: boolean;
  /** Alias and special entries: the DeviceID that requests carry. */
  readonly source?: number;
  /** Special entries: IOAPIC id or HPET number. */
  readonly handle?: number;
  /** Special entries: 1 IOAPIC, 2 HPET. */
  readonly variety?: number;
  /** Extended entries. */
  readonly atsDisabled?: boolean;
  /** ACPI entries. */
  readonly hardwareId?: string;
  readonly compatibleId?: string;
  /** ACPI entries: an integer or text; absent where there is none. */
  readonly uniqueId?: bigint | string;
}

export interface IvhdBlock {
  readonly kind: "IVHD";
  readonly offset: number;
  readonly length: number;
  readonly type: number;
  /** DeviceID of the IOMMU itself. */
  readonly deviceId: number;
  readonly capabilityOffset: number;
  readonly base: bigint;
  readonly segment: number;
  /** Images of the extended feature registers, types 11h and 40h. */
  readonly efr?: bigint;
  readonly efr2?: bigint;
  readonly entries: readonly IvhdEntry[];
}

export interface IvmdBlock {
  readonly kind: "IVMD";
  readonly offset: number;
  readonly length: number;
  readonly type: number;
  readonly unity: boolean;
  readonly readable: boolean;
  readonly writable: boolean;
  readonly exclusion: boolean;
  readonly deviceId: number;
  /** The last DeviceID, where the block is of type 22h. */
  readonly lastDeviceId: number;
  readonly start: bigint;
  readonly bytes: bigint;
}

export type IvrsBlock =
  | IvhdBlock
  | IvmdBlock
  | { readonly kind: "unknown"; readonly offset: number; readonly length: number; readonly type: number };

export interface IvrsTable {
  readonly header: AcpiHeader;
  readonly efrSupported: boolean;
  /** In bits. */
  readonly physicalAddressSize: number;
  readonly virtualAddressSize: number;
  readonly blocks: readonly IvrsBlock[];
  readonly findings: readonly TableFinding[];
}

/**
 * Reads an IVRS table. What is wrong with it becomes findings; blocks up to the first one whose length cannot be
 * followed are read.
 * @throws InputError when the bytes end within the table's header or are no IVRS table.
 */
export function readIvrs(bytes: Uint8Array): IvrsTable {
  const reader = new AcpiTableReader(bytes, "IVRS", ivrsHeader);
  const { values } = reader;
  const blocks = reader.walk(ivrsHeaderBytes, (offset) => readBlock(reader, offset));
  if (!blocks.some(({ kind }) => kind === "IVHD")) {
    reader.report("acpi.ivrs.unit-missing", ivrsHeaderBytes, "there is no IVHD block");
  }
  return {
    header: reader.header,
    efrSupported: values.efrsup === 1,
    physicalAddressSize: Number(values.pasize),
    virtualAddressSize: Number(values.vasize),
    blocks,
    findings: reader.findings,
  };
}

/** Rule `acpi.ivrs.highest-type`: of the blocks that describe one IOMMU, those that count. */
export function effectiveUnits(table: IvrsTable): IvhdBlock[] {
  const blocks = table.blocks.filter((block) => block.kind === "IVHD");
  return blocks.filter(
    ({ type, segment, deviceId }) =>
      !blocks.some((other) => other.segment === segment && other.deviceId === deviceId && other.type > type),
  );
}

const blockBytes = ivrsBlock.width / 8;

function readBlock(reader: AcpiTableReader, offset: number): IvrsBlock | undefined {
  if (offset + blockBytes > reader.end) {
    reader.report(
      "acpi.ivrs.block-length",
      offset,
      `${reader.end - offset} bytes are left, a header takes 4`,
    );
    return undefined;
  }
  const { type, length } = reader.decode(ivrsBlock, offset) as Record<"type" | "length", number>;
  const isMemory = Object.values<number>(ivmdTypes).includes(type);
  const fixed = isMemory ? ivmd : ivhdLayouts[type];
  const least = fixed === undefined ? blockBytes : fixed.width / 8;
  if (length < least || offset + length > reader.end) {
    const room = `expected ${least} to ${reader.end - offset}`;
    reader.report("acpi.ivrs.block-length", offset, `block of type ${hex(type)}: length ${length}, ${room}`);
    return length < blockBytes || offset + length > reader.end
      ? undefined
      : { kind: "unknown", type, offset, length };
  }
  if (fixed === undefined) {
    reader.report("acpi.ivrs.block-unknown", offset, `block of type ${hex(type)} is skipped`);
    return { kind: "unknown", type, offset, length };
  }
  const fields: Fields = reader.decode(fixed, offset);
  if (isMemory) return memoryBlock(reader, fields, offset, length, type);
  const base = addressOf(fields["base"]!);
  if (base === 0n || base % 0x4000n !== 0n)
    reader.report("acpi.ivrs.unit-base", offset + 8, `base is ${hex(base)}`);
  return {
    kind: "IVHD",
    offset,
    length,
    type,
    deviceId: Number(fields["deviceid"]),
    capabilityOffset: Number(fields["capoffset"]),
    base,
    segment: Number(fields["segment"]),
    ...(fields["efr"] === undefined
      ? {}
      : { efr: addressOf(fields["efr"]), efr2: addressOf(fields["efr2"]!) }),
    entries: readEntries(reader, type, offset + least, offset + length),
  };
}

type Fields = Readonly<Record<string, Value>>;

function memoryBlock(
  reader: AcpiTableReader,
  fields: Fields,
  offset: number,
  length: number,
  type: number,
): IvmdBlock {
  const flag = (name: string): boolean => fields[name] === 1;
  const deviceId = Number(fields["deviceid"]);
  const lastDeviceId = type === ivmdTypes.range ? Number(fields["aux"]) : deviceId;
  if (flag("unity") && flag("exclusion")) {
    reader.report("acpi.ivrs.memory", offset + 1, "the range is both unity-mapped and excluded");
  }
  if (lastDeviceId < deviceId) {
    reader.report("acpi.ivrs.memory", offset + 4, `devices ${hex(deviceId)} to ${hex(lastDeviceId)}`);
  }
  return {
    kind: "IVMD",
    offset,
    length,
    type,
    unity: flag("unity"),
    readable: flag("ir"),
    writable: flag("iw"),
    exclusion: flag("exclusion"),
    deviceId,
    lastDeviceId,
    start: addressOf(fields["start"]!),
    bytes: addressOf(fields["size"]!),
  };
}

const rangeStarts: ReadonlySet<number> = new Set([
  entryType.rangeStart,
  entryType.aliasRangeStart,
  entryType.extendedRangeStart,
]);

function readEntries(reader: AcpiTableReader, blockType: number, from: number, end: number): IvhdEntry[] {
  const entries: IvhdEntry[] = [];
  let open: IvhdEntry | undefined;
  for (let offset = from; offset < end;) {
    const type = reader.bytes[offset]!;
    const length = lengthAt(reader, type, offset, end);
    if (length === undefined || offset + length > end) {
      const room = end - offset;
      reader.report(
        "acpi.ivrs.entry-length",
        offset,
        `entry of type ${hex(type)} does not end in the ${room} bytes left`,
      );
      break;
    }
    const known = entryLayouts[type];
    if (known !== undefined) {
      const entry = entryOf(reader, type, reader.decode(known, offset), offset);
      checkEntry(reader, entry, blockType);
      open = checkRange(reader, entry, open);
      entries.push(entry);
    } else if (type !== entryType.pad4 && type !== entryType.pad8) {
      reader.report("acpi.ivrs.entry-unknown", offset, `entry of type ${hex(type)} is skipped`);
    }
    offset += length;
  }
  if (open !== undefined) reader.report("acpi.ivrs.range", open.offset, "no range end follows this start");
  return entries;
}

/** Bytes of the entry at an offset; undefined where that cannot be told. */
function lengthAt(reader: AcpiTableReader, type: number, offset: number, end: number): number | undefined {
  const fixed = ivhdAcpiEntry.width / 8;
  if (type !== entryType.acpi || offset + fixed > end) return entryBytes(type);
  return fixed + reader.bytes[offset + fixed - 1]!;
}

function entryOf(reader: AcpiTableReader, type: number, fields: Fields, offset: number): IvhdEntry {
  const flag = (name: string): boolean => fields[name] === 1;
  const { source, handle, variety, atsdisabled } = fields;
  const common = {
    offset,
    type,
    deviceId: Number(fields["deviceid"]),
    initPass: flag("initpass"),
    eintPass: flag("eintpass"),
    nmiPass: flag("nmipass"),
    sysMgt: Number(fields["sysmgt"]),
    lint0Pass: flag("lint0pass"),
    lint1Pass: flag("lint1pass"),
    ...(source === undefined ? {} : { source: Number(source) }),
    ...(handle === undefined ? {} : { handle: Number(handle), variety: Number(variety) }),
    ...(atsdisabled === undefined ? {} : { atsDisabled: atsdisabled === 1 }),
  };
  if (type !== entryType.acpi) return common;
  const { bytes } = reader;
  const uid = bytes.subarray(offset + 22, offset + 22 + Number(fields["uidlength"]));
  return {
    ...common,
    hardwareId: latin1(bytes.subarray(offset + 4, offset + 12)),
    compatibleId: latin1(bytes.subarray(offset + 12, offset + 20)),
    ...uniqueId(Number(fields["uidformat"]), uid),
  };
}

function uniqueId(format: number, uid: Uint8Array): { uniqueId?: bigint | string } {
  if (format === 1) return { uniqueId: uid.reduceRight((value, byte) => (value << 8n) | BigInt(byte), 0n) };
  return format === 2 ? { uniqueId: latin1(uid) } : {};
}

function checkEntry(reader: AcpiTableReader, entry: IvhdEntry, blockType: number): void {
  const { type, offset, variety } = entry;
  if (type === entryType.special && variety !== 1 && variety !== 2) {
    reader.report("acpi.ivrs.variety", offset, `special device of variety ${variety}`);
  }
  if (type === entryType.acpi && blockType !== 0x40) {
    reader.report("acpi.ivrs.entry-acpi", offset, `ACPI device in a block of type ${hex(blockType)}`);
  }
}

/** Follows ranges from start to end; the start that is open after this entry. */
function checkRange(
  reader: AcpiTableReader,
  entry: IvhdEntry,
  open: IvhdEntry | undefined,
): IvhdEntry | undefined {
  const isEnd = entry.type === entryType.rangeEnd;
  if (isEnd && open === undefined)
    reader.report("acpi.ivrs.range", entry.offset, "no range start precedes this end");
  else if (!isEnd && open !== undefined) {
    reader.report("acpi.ivrs.range", open.offset, "no range end follows this start");
  } else if (isEnd && open !== undefined && entry.deviceId < open.deviceId) {
    reader.report("acpi.ivrs.range", open.offset, `devices ${hex(open.deviceId)} to ${hex(entry.deviceId)}`);
  }
  return rangeStarts.has(entry.type) ? entry : undefined;
}
