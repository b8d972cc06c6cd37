import type { ByteSource } from "../byte-source.ts";
import { InputError } from "../input-error.ts";
import { dword, qword, textUpToZero } from "./words.ts";

/** Bytes of a block, which is a page of x86-64. */
export const kdumpBlock = 4096;

/** How a page of a dump is compressed: bits of its descriptor's flags. */
export const pageFlag = { zlib: 0x1, lzo: 0x2, snappy: 0x4, zstd: 0x20 } as const;
/** Bit of the header's status: there was no room for all pages. */
const incompleteBit = 0x8;

/** What the headers of a kdump-compressed dump say (struct disk_dump_header and kdump_sub_header of makedumpfile). */
export interface KdumpHeader {
  /** Page numbers up to and without this one have a bit in each bitmap. */
  readonly pages: number;
  /** Where the bits of pages are that the machine has, and those of pages that are in the dump. */
  readonly presentAt: number;
  readonly dumpedAt: number;
  /** Of the page descriptors. */
  readonly descriptorsAt: number;
  readonly incomplete: boolean;
  /** Text of VMCOREINFO. */
  readonly vmcoreinfo?: Uint8Array;
}

const signature = "KDUMP   ";
const headerBytes = 464;
const subHeaderBytes = 104;
/** Pages of 64 TiB. */
const pageLimit = 2 ** 34;
const vmcoreinfoLimit = 1 << 20;

export function isKdump(head: Uint8Array): boolean {
  return textUpToZero(head, 0, Math.min(head.length, 8)) === signature;
}

/** @throws InputError when it is no such dump of x86-64, one part of a split one, or says what cannot be. */
export function readKdumpHeader(source: ByteSource): KdumpHeader {
  const { name, size } = source;
  const wrong = (at: number, message: string): InputError =>
    new InputError(`${name}: offset 0x${at.toString(16)}: ${message}`);
  if (size < kdumpBlock + subHeaderBytes) {
    throw wrong(0, `expected the headers of a kdump-compressed dump, the end is at ${size}`);
  }
  const header = source.read(0, headerBytes);
  if (!isKdump(header)) throw wrong(0, `expected "${signature}"`);
  const version = dword(header, 8);
  // utsname's fields of 65 bytes stand right behind the version; the machine is the fifth. QEMU does not know it.
  const machine = textUpToZero(header, 12 + 4 * 65, 12 + 5 * 65);
  if (!["", "Unknown", "x86_64"].includes(machine)) {
    throw wrong(272, `expected a dump of x86_64, found ${JSON.stringify(machine)}`);
  }
  const block = dword(header, 428);
  if (block !== kdumpBlock) throw wrong(428, `expected blocks of ${kdumpBlock} bytes, found ${block}`);
  const subHeaderAt = kdumpBlock;
  const sub = source.read(subHeaderAt, subHeaderBytes);
  if (version >= 2 && dword(sub, 12) !== 0) {
    const wide = version >= 6;
    const [start, end] = [qword(sub, wide ? 80 : 16), qword(sub, wide ? 88 : 24)];
    throw wrong(
      subHeaderAt + 12,
      `one part of a split dump (pages ${start} to ${end}): put its parts together with \`makedumpfile --reassemble\``,
    );
  }
  const pages = version >= 6 ? qword(sub, 96) : BigInt(dword(header, 440));
  if (pages === 0n || pages > BigInt(pageLimit)) {
    throw wrong(version >= 6 ? subHeaderAt + 96 : 440, `expected 1 to ${pageLimit} pages, found ${pages}`);
  }
  const presentAt = (1 + dword(header, 432)) * kdumpBlock;
  const bitmapBytes = dword(header, 436) * kdumpBlock;
  const descriptorsAt = presentAt + bitmapBytes;
  const needed = Math.ceil(Number(pages) / 8);
  if (descriptorsAt > size) {
    throw wrong(436, `expected bitmaps up to offset 0x${descriptorsAt.toString(16)}, the end is at ${size}`);
  }
  if (needed > bitmapBytes) {
    throw wrong(436, `expected bitmaps of ${needed} bytes for ${pages} pages, found ${bitmapBytes}`);
  }
  // Dumps without a second bitmap have all pages.
  const dumpedAt = needed > bitmapBytes / 2 ? presentAt : presentAt + bitmapBytes / 2;
  const vmcoreinfo = version >= 3 ? noteText(source, sub) : undefined;
  return {
    pages: Number(pages),
    presentAt,
    dumpedAt,
    descriptorsAt,
    incomplete: (dword(header, 424) & incompleteBit) !== 0,
    ...(vmcoreinfo === undefined ? {} : { vmcoreinfo }),
  };
}

/** VMCOREINFO, where the sub header says it is and it is. */
function noteText(source: ByteSource, sub: Uint8Array): Uint8Array | undefined {
  const at = qword(sub, 32);
  const length = qword(sub, 40);
  if (at === 0n || length === 0n || length > BigInt(vmcoreinfoLimit)) return undefined;
  if (at + length > BigInt(source.size)) return undefined;
  const text = source.read(Number(at), Number(length));
  return textUpToZero(text, 0, Math.min(text.length, 10)) === "OSRELEASE=" ? text : undefined;
}
