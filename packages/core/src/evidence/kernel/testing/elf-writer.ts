import { latin1 } from "./sparse-memory.ts";

/** A loadable segment: where it lies, and what of it is in the file. */
export interface ElfPart {
  readonly virtual?: bigint;
  readonly physical?: bigint;
  readonly bytes: Uint8Array;
  /** In memory; that of `bytes` unless told. */
  readonly size?: bigint;
  /** Where the header says that its bytes are; where they are unless told. */
  readonly offset?: bigint;
  /** How many of them the header says are in the file; those that are there unless told. */
  readonly fileSize?: bigint;
}

export interface ElfNotePart {
  readonly name: string;
  readonly data: Uint8Array;
  readonly type?: number;
}

/** An ELF core of x86-64. @param extended puts the number of segments into the first section header. */
export function elfOf(
  parts: readonly ElfPart[],
  notes: readonly ElfNotePart[] = [],
  extended = false,
): Uint8Array {
  const noteBytes = Buffer.concat(notes.map(noteOf));
  const count = parts.length + 1;
  const headers = 64 + (extended ? 64 : 0);
  const first = headers + 56 * count;
  const size = first + noteBytes.length + parts.reduce((sum, { bytes }) => sum + bytes.length, 0);
  const file = Buffer.alloc(size);
  file.write("\x7fELF\x02\x01\x01", 0, "latin1");
  file.writeUInt16LE(4, 16);
  file.writeUInt16LE(62, 18);
  file.writeBigUInt64LE(BigInt(headers), 32);
  file.writeUInt16LE(56, 54);
  file.writeUInt16LE(extended ? 0xffff : count, 56);
  if (extended) {
    file.writeBigUInt64LE(64n, 40);
    file.writeUInt32LE(count, 64 + 44);
  }
  let at = first;
  for (const [i, part] of [{ bytes: noteBytes }, ...parts].entries() as Iterable<[number, ElfPart]>) {
    const header = headers + 56 * i;
    file.writeUInt32LE(i === 0 ? 4 : 1, header);
    file.writeBigUInt64LE(part.offset ?? BigInt(at), header + 8);
    file.writeBigUInt64LE(part.virtual ?? 0n, header + 16);
    file.writeBigUInt64LE(part.physical ?? 0n, header + 24);
    file.writeBigUInt64LE(part.fileSize ?? BigInt(part.bytes.length), header + 32);
    file.writeBigUInt64LE(part.size ?? BigInt(part.bytes.length), header + 40);
    file.set(part.bytes, at);
    at += part.bytes.length;
  }
  return new Uint8Array(file);
}

function noteOf({ name, data, type = 0 }: ElfNotePart): Uint8Array {
  const note = Buffer.alloc(12 + pad(name.length + 1) + pad(data.length));
  note.writeUInt32LE(name.length + 1, 0);
  note.writeUInt32LE(data.length, 4);
  note.writeUInt32LE(type, 8);
  note.set(latin1(name), 12);
  note.set(data, 12 + pad(name.length + 1));
  return note;
}

function pad(length: number): number {
  return Math.ceil(length / 4) * 4;
}
