import * as fc from "fast-check";
import { afterEach, describe, expect, test, vi } from "vitest";
import { FileSlices } from "../src/engine/sources/file-slices.ts";

/** Bytes that say where they lie, modulo 251. */
const pattern = Uint8Array.from({ length: 700_000 }, (_, i) => i % 251);

/** A file whose bytes are made when they are read. */
class MadeFile {
  readonly size: number;
  readonly reads: [from: number, to: number][] = [];

  constructor(size: number) {
    this.size = size;
  }

  slice(from: number, to: number): { file: MadeFile; from: number; to: number } {
    return { file: this, from, to };
  }
}

let failure: Error | undefined;

vi.stubGlobal(
  "FileReaderSync",
  class {
    readAsArrayBuffer({ file, from, to }: ReturnType<MadeFile["slice"]>): ArrayBuffer {
      if (failure !== undefined) throw failure;
      file.reads.push([from, to]);
      return pattern.slice(from % 251, (from % 251) + to - from).buffer;
    }
  },
);
afterEach(() => (failure = undefined));

function opened(size: number): { file: MadeFile; slices: FileSlices } {
  const file = new MadeFile(size);
  return { file, slices: new FileSlices(file as unknown as Blob, "core") };
}

describe("a file that is read by position", { timeout: 30_000 }, () => {
  test("gives what lies there, whatever was read before", () => {
    const size = 3_000_000;
    const { slices } = opened(size);
    fc.assert(
      fc.property(fc.nat(size), fc.nat(600_000), (offset, span) => {
        const length = Math.min(span, size - offset);
        const bytes = slices.read(BigInt(offset), length);
        expect(bytes.length).toBe(length);
        for (let i = 0; i < length; i += 4099) expect(bytes[i]).toBe((offset + i) % 251);
        if (length > 0) expect(bytes[length - 1]).toBe((offset + length - 1) % 251);
      }),
      { numRuns: 100 },
    );
  });

  test("is read in pieces, each once, and no more of it than is asked for", () => {
    const { file, slices } = opened(100 * 2 ** 30);
    for (let i = 0; i < 1000; i++) slices.read(2 ** 36 + i * 8, 8);
    expect(file.reads).toEqual([[2 ** 36, 2 ** 36 + 2 ** 18]]);
  });

  test("lets pieces go that were not used for long", () => {
    const { file, slices } = opened(2 ** 30);
    const piece = 2 ** 18;
    for (let i = 0; i <= 512; i++) {
      slices.read(i * piece, 1);
      slices.read(0, 1);
    }
    expect(file.reads).toHaveLength(513);
    slices.read(piece, 1);
    expect(file.reads).toHaveLength(514);
  });

  test("ends in one line behind its end, and when it has gone", () => {
    const { slices } = opened(100);
    expect(() => slices.read(90, 11)).toThrow("core: offset 0x5a: expected 11 bytes, the end is after 10");
    expect(() => slices.read(-1, 1)).toThrow("core: offset 0x-1: expected 1 bytes");
    failure = Object.assign(new Error("x"), { name: "NotReadableError" });
    expect(() => slices.read(0, 1)).toThrow("core: it cannot be read, or has changed since it was chosen");
  });

  test("comes whole from its beginning, and is held in no more than pieces", async () => {
    const { slices } = opened(700_001);
    let length = 0;
    for await (const chunk of slices.chunks()) {
      expect(chunk[0]).toBe(length % 251);
      length += chunk.length;
      expect(chunk.length).toBeLessThanOrEqual(2 ** 18);
    }
    expect(length).toBe(700_001);
  });
});
