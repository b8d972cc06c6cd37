import { hex } from "../../spec/codec.ts";
import type { ByteSource } from "../byte-source.ts";
import { InputError } from "../input-error.ts";
import type { AddressSpace } from "./memory.ts";
import type { PhysicalMemory } from "./physical-memory.ts";
import { SegmentMap } from "./segment-map.ts";
import { dword, qword, textUpToZero, word } from "./words.ts";

/** A loadable segment. */
export interface ElfSegment {
  /** Of its bytes in the file; in /proc/kcore past 2^53. */
  readonly offset: bigint;
  readonly virtual: bigint;
  readonly physical: bigint;
  readonly fileSize: bigint;
  /** What lies past `fileSize` reads as zeros. */
  readonly memorySize: bigint;
}

export interface ElfNote {
  readonly name: string;
  readonly type: number;
  readonly data: Uint8Array;
}

/** An ELF core of x86-64: of kdump, of QEMU's dump-guest-memory, or /proc/kcore. */
export interface ElfCore {
  readonly source: ByteSource;
  readonly segments: readonly ElfSegment[];
  readonly notes: readonly ElfNote[];
}

const headerBytes = 64;
const programHeaderBytes = 56;
const sectionHeaderBytes = 64;
/** e_phnum when the number is in sh_info of the first section header. */
const countElsewhere = 0xffff;
const segmentLimit = 1 << 20;
const noteBytesLimit = 64 << 20;
const noteLimit = 1 << 16;
const load = 1;
const note = 4;

/** Whether bytes begin as an ELF file does. */
export function isElf(head: Uint8Array): boolean {
  return head.length >= 4 && dword(head, 0) === 0x464c457f;
}

/** @throws InputError when it is no 64-bit little-endian core of x86-64, or cannot be read so far. */
export function readElfCore(source: ByteSource): ElfCore {
  const { name } = source;
  const header = source.read(0, headerBytes);
  if (!isElf(header)) throw new InputError(`${name}: offset 0x0: expected an ELF file`);
  if (header[4] !== 2 || header[5] !== 1 || word(header, 16) !== 4 || word(header, 18) !== 62) {
    throw new InputError(
      `${name}: offset 0x4: expected a 64-bit little-endian core of x86-64 (class 2, data 1, type 4, machine 62), ` +
        `found class ${header[4]}, data ${header[5]}, type ${word(header, 16)}, machine ${word(header, 18)}`,
    );
  }
  if (word(header, 54) !== programHeaderBytes) {
    throw new InputError(
      `${name}: offset 0x36: expected program headers of ${programHeaderBytes} bytes, found ${word(header, 54)}`,
    );
  }
  let count = word(header, 56);
  if (count === countElsewhere) {
    count = dword(source.read(qword(header, 40), sectionHeaderBytes), 44);
  }
  if (count > segmentLimit) {
    throw new InputError(`${name}: offset 0x38: expected at most ${segmentLimit} segments, found ${count}`);
  }
  const table = source.read(qword(header, 32), count * programHeaderBytes);
  const segments: ElfSegment[] = [];
  const notes: ElfNote[] = [];
  let noteBytes = 0;
  for (let at = 0; at < table.length; at += programHeaderBytes) {
    const type = dword(table, at);
    const segment = {
      offset: qword(table, at + 8),
      virtual: qword(table, at + 16),
      physical: qword(table, at + 24),
      fileSize: qword(table, at + 32),
      memorySize: qword(table, at + 40),
    };
    if (type === load) segments.push(segment);
    if (type === note) {
      noteBytes += Number(segment.fileSize);
      if (noteBytes > noteBytesLimit) {
        throw new InputError(
          `${name}: expected at most ${noteBytesLimit} bytes of notes, found ${noteBytes}`,
        );
      }
      for (const read of readNotes(source.read(segment.offset, Number(segment.fileSize)))) {
        if (notes.length < noteLimit) notes.push(read);
      }
    }
  }
  return { source, segments, notes };
}

/** Notes one behind the other, name and description padded to 4 bytes, up to the first that does not fit. */
export function* readNotes(bytes: Uint8Array): Generator<ElfNote> {
  for (let at = 0; at + 12 <= bytes.length;) {
    const nameSize = dword(bytes, at);
    const size = dword(bytes, at + 4);
    const data = at + 12 + padded(nameSize);
    if (data + size > bytes.length) return;
    yield {
      name: textUpToZero(bytes, at + 12, at + 12 + nameSize),
      type: dword(bytes, at + 8),
      data: bytes.subarray(data, data + size),
    };
    at = data + padded(size);
  }
}

function padded(size: number): number {
  return Math.ceil(size / 4) * 4;
}

/** The core by physical address, as kdump and QEMU fill it in. */
export function elfPhysicalMemory(core: ElfCore): PhysicalMemory {
  const map = new SegmentMap(core.source, core.segments, ({ physical }) => physical);
  const said = vmcoreinfoNote(core);
  const { name, size } = core.source;
  const end = core.segments.reduce((last, { offset, fileSize }) => {
    const segmentEnd = fileSize === 0n ? 0n : offset + fileSize;
    return segmentEnd > last ? segmentEnd : last;
  }, 0n);
  return {
    name,
    ranges: map.ranges,
    read: (address, length) => map.read(address, length),
    ...(said === undefined ? {} : { vmcoreinfo: said }),
    ...(end <= BigInt(size)
      ? {}
      : { incomplete: `its segments go on to offset ${hex(end)}, and the file ends at ${hex(size)}` }),
  };
}

/** The core by virtual address, as /proc/kcore fills it in. */
export function elfVirtualMemory(core: ElfCore): AddressSpace {
  const map = new SegmentMap(core.source, core.segments, ({ virtual }) => virtual);
  return { name: core.source.name, read: (address, length) => map.read(address, length) };
}

/** The text of VMCOREINFO in the notes; undefined when there is none. */
export function vmcoreinfoNote(core: ElfCore): Uint8Array | undefined {
  return core.notes.find(({ name, data }) => name === "VMCOREINFO" && data.length > 0)?.data;
}
