import type { HostFiles } from "@intremap/core";

/**
 * The files of a captured machine, to be edited in memory. Every edit that finds nothing to do is an error: a fault that
 * is not made proves nothing.
 */
export class HostEdit implements HostFiles {
  readonly name: string;
  readonly #files: HostFiles;
  /** Files as they are now; null for one that is gone. */
  readonly edited = new Map<string, Uint8Array | null>();

  constructor(files: HostFiles) {
    this.name = files.name;
    this.#files = files;
  }

  read(path: string, limit?: number): Uint8Array | undefined {
    const edited = this.edited.get(path);
    return edited === undefined ? this.#files.read(path, limit) : (edited ?? undefined);
  }

  list(path: string): readonly string[] {
    const names = this.#files.list(path);
    const gone = (name: string): boolean => this.edited.get(path === "" ? name : `${path}/${name}`) === null;
    const made = [...this.edited].flatMap(([file, bytes]) => {
      const below = path === "" ? file : file.startsWith(`${path}/`) ? file.slice(path.length + 1) : "/";
      return bytes === null || below.includes("/") || names.includes(below) ? [] : [below];
    });
    return [...names.filter((name) => !gone(name)), ...made].sort();
  }

  link(path: string): string | undefined {
    return this.edited.get(path) === null ? undefined : this.#files.link(path);
  }

  /** Changes bytes of a file in place, or replaces it by what is returned. @throws RangeError when nothing changes. */
  bytes(path: string, change: (bytes: Uint8Array) => Uint8Array | void): void {
    const before = this.read(path);
    if (before === undefined) throw new RangeError(`${path}: no such file`);
    const copy = Uint8Array.from(before);
    const after = change(copy) ?? copy;
    if (Buffer.compare(before, after) === 0) throw new RangeError(`${path}: nothing changed`);
    this.edited.set(path, after);
  }

  /** Replaces text that stands in a file. @throws RangeError when it does not. */
  text(path: string, pattern: string | RegExp, by: string): void {
    this.bytes(path, (bytes) =>
      Buffer.from(Buffer.from(bytes).toString("latin1").replace(pattern, by), "latin1"),
    );
  }

  /** Adds a line at the end of a file. */
  append(path: string, line: string): void {
    this.bytes(path, (bytes) => Buffer.concat([bytes, Buffer.from(`${line}\n`, "latin1")]));
  }

  /** Adds a file. @throws RangeError when it is there. */
  create(path: string, bytes: Uint8Array): void {
    if (this.read(path) !== undefined) throw new RangeError(`${path}: it is there already`);
    this.edited.set(path, bytes);
  }

  remove(path: string): void {
    if (this.read(path) === undefined) throw new RangeError(`${path}: no such file`);
    this.edited.set(path, null);
  }

  /** Sets little-endian bits of a file: `width` of them from bit `low` of the value at a byte offset. */
  bits(path: string, offset: number, low: number, width: number, value: number | bigint): void {
    this.bytes(path, (bytes) => {
      const end = Math.ceil((low + width) / 8);
      let word = 0n;
      for (let i = end - 1; i >= 0; i--) word = (word << 8n) | BigInt(bytes[offset + i]!);
      const mask = ((1n << BigInt(width)) - 1n) << BigInt(low);
      word = (word & ~mask) | ((BigInt(value) << BigInt(low)) & mask);
      for (let i = 0; i < end; i++) bytes[offset + i] = Number((word >> BigInt(8 * i)) & 0xffn);
    });
  }

  /** Changes an ACPI table and makes its length and checksum right again. */
  acpi(table: string, change: (bytes: Uint8Array) => Uint8Array | void): void {
    this.bytes(`acpi/${table}`, (bytes) => {
      const after = change(bytes) ?? bytes;
      new DataView(after.buffer, after.byteOffset).setUint32(4, after.length, true);
      after[9] = 0;
      after[9] = -after.reduce((sum, byte) => sum + byte, 0) & 0xff;
      return after;
    });
  }
}

/** Bytes without `count` of them at an offset. */
export function without(bytes: Uint8Array, offset: number, count: number): Uint8Array {
  return Buffer.concat([bytes.subarray(0, offset), bytes.subarray(offset + count)]);
}

/** Bytes with others put in at an offset. */
export function inserted(bytes: Uint8Array, offset: number, more: readonly number[]): Uint8Array {
  return Buffer.concat([bytes.subarray(0, offset), Uint8Array.from(more), bytes.subarray(offset)]);
}

/** Adds to a little-endian length of 16 bits. */
export function lengthen(bytes: Uint8Array, offset: number, by: number): void {
  const view = new DataView(bytes.buffer, bytes.byteOffset);
  view.setUint16(offset, view.getUint16(offset, true) + by, true);
}
