import { decodeUtf8 } from "../input/decode-text.ts";
import { InputError } from "../input-error.ts";

export const headerBytes = 512;
const newline = 0x0a;

/** What a header says of its entry. */
export interface HeaderFields {
  readonly path: string;
  /** In bytes, of the data behind the header. */
  readonly size: number;
  /** One character: `0` or NUL a file, `1` a hard link, `2` a symbolic link, `5` a folder. */
  readonly type: string;
  /** Of a link. */
  readonly target: string;
  /** Further blocks of a sparse file's map come before its data. */
  readonly moreHeaders: boolean;
  /** The data is not the content. */
  readonly sparse?: boolean;
}

/** Whether a block is the header of an entry: its checksum says so. */
export function isHeader(block: Uint8Array): boolean {
  if (block.length < headerBytes || block[0] === 0) return false;
  const stated = octal(block.subarray(148, 156));
  let unsigned = 0;
  let signed = 0;
  for (let i = 0; i < headerBytes; i++) {
    // The checksum's own field counts as spaces.
    const byte = i >= 148 && i < 156 ? 0x20 : block[i]!;
    unsigned += byte;
    signed += (byte << 24) >> 24;
  }
  return stated === unsigned || stated === signed;
}

/**
 * @param at where the block stands in the archive.
 * @throws InputError when it is no header.
 */
export function readHeader(block: Uint8Array, at: number): HeaderFields {
  if (!isHeader(block))
    throw new InputError(`offset ${at}: expected the header of an entry; the archive is damaged`);
  const type = String.fromCharCode(block[156]!);
  const size = number(block.subarray(124, 136));
  if (size === undefined) throw new InputError(`offset ${at}: expected the size of an entry`);
  const name = text(block.subarray(0, 100));
  const posix = text(block.subarray(257, 263)) === "ustar";
  const prefix = posix ? text(block.subarray(345, 500)) : "";
  return {
    path: prefix === "" ? name : `${prefix}/${name}`,
    size,
    type,
    target: text(block.subarray(157, 257)),
    moreHeaders: type === "S" && block[482] === 1,
  };
}

/**
 * The records of a pax header: `length key=value` and a newline, where the length counts itself.
 * @throws InputError when they are none.
 */
export function readPax(data: Uint8Array, at: number): Partial<HeaderFields> {
  const fields: { path?: string; target?: string; size?: number; sparse?: boolean } = {};
  for (let start = 0; start < data.length;) {
    const space = data.indexOf(0x20, start);
    const length = Number(text(data.subarray(start, space < 0 ? start : space)));
    const last = start + length - 1;
    const record = text(data.subarray(space + 1, last));
    const equals = record.indexOf("=");
    if (space < 0 || data[last] !== newline || equals < 0) {
      throw new InputError(`offset ${at}: expected records of a pax header`);
    }
    start = last + 1;
    const value = record.slice(equals + 1);
    switch (record.slice(0, equals)) {
      case "path":
        fields.path = value;
        break;
      case "linkpath":
        fields.target = value;
        break;
      case "size": {
        const size = Number(value);
        if (!(Number.isSafeInteger(size) && size >= 0)) {
          throw new InputError(`offset ${at}: expected the size of an entry`);
        }
        fields.size = size;
        break;
      }
      default:
        if (record.startsWith("GNU.sparse.")) fields.sparse = true;
    }
  }
  return fields;
}

/** Octal digits, or base 256 behind a set top bit. */
function number(field: Uint8Array): number | undefined {
  if ((field[0]! & 0x80) === 0) return octal(field);
  let value = field[0]! & 0x7f;
  for (const byte of field.subarray(1)) value = value * 256 + byte;
  return Number.isSafeInteger(value) ? value : undefined;
}

function octal(field: Uint8Array): number | undefined {
  const digits = text(field).trim();
  return /^[0-7]*$/.test(digits) ? Number.parseInt(`0${digits}`, 8) : undefined;
}

function text(field: Uint8Array): string {
  const end = field.indexOf(0);
  return decodeUtf8(end < 0 ? field : field.subarray(0, end));
}
