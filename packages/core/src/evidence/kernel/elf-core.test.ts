import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { type ByteSource, bytesSource } from "../byte-source.ts";
import { InputError } from "../input-error.ts";
import { elfPhysicalMemory, elfVirtualMemory, isElf, readElfCore, vmcoreinfoNote } from "./elf-core.ts";
import { UnreadableMemory } from "./memory.ts";
import type { MemoryRange } from "./physical-memory.ts";
import { type ElfPart, elfOf } from "./testing/elf-writer.ts";
import { latin1 } from "./testing/sparse-memory.ts";

const parts: ElfPart[] = [
  { virtual: 0xffff_8880_0000_1000n, physical: 0x1000n, bytes: latin1("first page") },
  { virtual: 0xffff_ffff_8100_0000n, physical: 0x100_0000n, bytes: latin1("text"), size: 8n },
  { virtual: 0xffff_ffff_8100_0008n, physical: 0x100_0008n, bytes: latin1("behind") },
];
const notes = [
  { name: "CORE", data: latin1("12345"), type: 1 },
  { name: "VMCOREINFO", data: latin1("OSRELEASE=6.1.0\n") },
];
const file = elfOf(parts, notes);

const text = (bytes: Uint8Array): string => String.fromCharCode(...bytes);

describe("a core's memory", () => {
  const core = readElfCore(bytesSource(file, "core"));
  const physical = elfPhysicalMemory(core);

  test("is found by physical and by virtual address", () => {
    expect(text(physical.read(0x1006n, 4))).toBe("page");
    expect(text(elfVirtualMemory(core).read(0xffff_8880_0000_1000n, 5))).toBe("first");
  });

  test("has zeros where a segment is longer than its bytes, and goes on in the next segment", () => {
    expect(text(physical.read(0x100_0002n, 9))).toBe("xt\0\0\0\0beh");
  });

  test("has the ranges that have bytes in the file, neighbours as one", () => {
    expect(physical.ranges).toEqual([
      { start: 0x1000n, end: 0x100an },
      { start: 0x100_0000n, end: 0x100_0004n },
      { start: 0x100_0008n, end: 0x100_000en },
    ]);
    expect(rangesOf([part(0x10n, "abcd"), part(0x14n, "ef")])).toEqual([{ start: 0x10n, end: 0x16n }]);
  });

  test("has no more of them than the file has bytes, and says that it is cut off", () => {
    const size = elfOf([part(0n, "abcd")]).length;
    const exbibyte = 1n << 60n;
    expect(rangesOf([{ ...part(0n, "abcd"), fileSize: exbibyte, size: exbibyte }])).toEqual([
      { start: 0n, end: 4n },
    ]);
    expect(rangesOf([{ ...part(0n, "abcd"), offset: exbibyte }])).toEqual([]);
    const doubled = { bytes: new Uint8Array(0), offset: 0n, fileSize: BigInt(size), size: BigInt(size) };
    const many = Array.from({ length: 99 }, (_, i) => ({ ...doubled, physical: BigInt(i) << 32n }));
    const total = rangesOf(many).reduce((sum, { start, end }) => sum + (end - start), 0n);
    expect(total).toBe(BigInt(elfOf(many).length));
    const cut = elfPhysicalMemory(readElfCore(bytesSource(file.subarray(0, file.length - 2), "core")));
    expect(cut.incomplete).toBe(
      `its segments go on to offset 0x${file.length.toString(16)}, and the file ends at 0x${(file.length - 2).toString(16)}`,
    );
    expect(physical.incomplete).toBeUndefined();
  });

  test.each([
    [0x0fffn, 1],
    [0x1000n, 11],
    [0x100an, 1],
    [0x100_0000n, 15],
    [0xffff_ffff_ffff_ffffn, 2],
  ])("cannot be read at %s for %d bytes, which no segment has", (address, length) => {
    expect(() => physical.read(address, length)).toThrow(UnreadableMemory);
    expect(() => physical.read(address, length)).toThrow(/^core: \d+ bytes at 0x[0-9a-f]+: in no segment/);
  });

  test("says VMCOREINFO where a note has it", () => {
    expect(text(physical.vmcoreinfo!)).toBe("OSRELEASE=6.1.0\n");
    expect(elfPhysicalMemory(readElfCore(bytesSource(elfOf(parts)))).vmcoreinfo).toBeUndefined();
    expect(vmcoreinfoNote(core)).toEqual(physical.vmcoreinfo);
    expect(core.notes.map(({ name, type }) => [name, type])).toEqual([
      ["CORE", 1],
      ["VMCOREINFO", 0],
    ]);
  });

  test("may have its number of segments in the first section header", () => {
    expect(readElfCore(bytesSource(elfOf(parts, notes, true))).segments).toHaveLength(3);
  });
});

function part(physical: bigint, bytes: string, size?: bigint): ElfPart {
  return { physical, bytes: latin1(bytes), ...(size === undefined ? {} : { size }) };
}

function rangesOf(parts: ElfPart[]): readonly MemoryRange[] {
  return elfPhysicalMemory(readElfCore(bytesSource(elfOf(parts)))).ranges;
}

/** Eight bytes of a core of these segments. */
function read(parts: ElfPart[]): string {
  return text(elfPhysicalMemory(readElfCore(bytesSource(elfOf(parts)))).read(0x10n, 8));
}

function changed(at: number, ...values: number[]): Uint8Array {
  const bytes = file.slice();
  bytes.set(values, at);
  return bytes;
}

test("of segments that overlap each address is read once, the file's bytes before zeros", () => {
  expect(read([part(0x12n, "cdef"), part(0x10n, "abcdefgh")])).toBe("abcdefgh");
  expect(read([part(0x10n, "abcd"), part(0x12n, "cdefgh")])).toBe("abcdefgh");
  expect(read([part(0x10n, "ab", 8n), part(0x14n, "ef")])).toBe("ab\0\0ef\0\0");
  expect(read([part(0x10n, "", 8n), part(0x10n, "a"), part(0x17n, "h")])).toBe("a\0\0\0\0\0\0h");
  expect(read([part(0x10n, "", 4n), part(0x12n, "", 6n)])).toBe("\0".repeat(8));
});

test("positions past 2^53 reach the source as they are, as in /proc/kcore", () => {
  const far = 0x7f_ffff_ffff_f123n;
  const core = elfOf([{ virtual: 0xff11_0000_0000_0000n, bytes: new Uint8Array(8), offset: far - 4n }]);
  const asked: (number | bigint)[] = [];
  const source: ByteSource = {
    name: "kcore",
    size: 0,
    read: (offset, length) => {
      if (Number(offset) < core.length) return core.subarray(Number(offset), Number(offset) + length);
      asked.push(offset);
      return new Uint8Array(length);
    },
  };
  elfVirtualMemory(readElfCore(source)).read(0xff11_0000_0000_0004n, 3);
  expect(asked).toEqual([far]);
});

describe("what is no core, or ends before it, is said in one line", () => {
  test.each([
    ["nothing", new Uint8Array(0), /^core: offset 0x0: expected 64 bytes/],
    ["another file", latin1("x".repeat(64)), /^core: offset 0x0: expected an ELF file$/],
    [
      "32 bits",
      changed(4, 1),
      /expected a 64-bit little-endian core of x86-64 .* found class 1, data 1, type 4/,
    ],
    ["a program", changed(16, 2), /found class 2, data 1, type 2, machine 62/],
    ["headers of another size", changed(54, 32), /expected program headers of 56 bytes, found 32/],
    ["headers behind the end", changed(37, 1), /^core: offset 0x10000000040: expected 224 bytes/],
    ["notes behind the end", changed(64 + 35, 1), /expected \d+ bytes/],
    ["notes without end", changed(64 + 38, 1), /expected at most 67108864 bytes of notes/],
  ])("%s", (_, bytes, message) => {
    expect(() => readElfCore(bytesSource(bytes, "core"))).toThrow(InputError);
    expect(() => readElfCore(bytesSource(bytes, "core"))).toThrow(message);
  });

  test("more segments than are believed", () => {
    const bytes = elfOf(parts, [], true);
    bytes.set([0xff, 0xff, 0xff, 0x7f], 64 + 44);
    expect(() => readElfCore(bytesSource(bytes))).toThrow(
      /expected at most 1048576 segments, found 2147483647/,
    );
  });

  test("memory behind the end of the file", () => {
    const memory = elfPhysicalMemory(readElfCore(bytesSource(file.subarray(0, file.length - 3), "core")));
    expect(text(memory.read(0x100_0008n, 3))).toBe("beh");
    expect(() => memory.read(0x100_0008n, 6)).toThrow(/^core: 6 bytes at 0x1000008: the core ends before it/);
  });

  test("whatever bytes are changed", () => {
    fc.assert(
      fc.property(
        fc.array(fc.tuple(fc.nat(63 + 56 * 4), fc.integer({ min: 0, max: 255 })), { maxLength: 4 }),
        fc.bigInt({ min: 0n, max: (1n << 64n) - 1n }),
        (changes, address) => {
          const bytes = file.slice();
          for (const [at, value] of changes) bytes[at] = value;
          try {
            const memory = elfPhysicalMemory(readElfCore(bytesSource(bytes)));
            for (const at of [address, 0x1000n, 0x100_0000n]) memory.read(at, 32);
          } catch (error) {
            expect(error).toBeInstanceOf(InputError);
          }
        },
      ),
      { numRuns: 500 },
    );
  });
});

test("an ELF file is known by its first bytes", () => {
  expect(isElf(file)).toBe(true);
  expect(isElf(file.subarray(0, 3))).toBe(false);
  expect(isElf(latin1("KDUMP   "))).toBe(false);
});
