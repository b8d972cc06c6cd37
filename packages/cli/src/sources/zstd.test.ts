import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { expandInScript } from "./zstd.ts";

const damaged = "zstd data: damaged or cut off";

async function* pieces(bytes: Uint8Array, size: number): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < bytes.length; at += size) yield bytes.subarray(at, at + size);
}

async function expand(bytes: Uint8Array, size = 65_536): Promise<Buffer> {
  const out: Uint8Array[] = [];
  for await (const chunk of expandInScript(pieces(bytes, size))) out.push(chunk);
  return Buffer.concat(out);
}

const magic = [0x28, 0xb5, 0x2f, 0xfd];

/** A frame whose blocks are not compressed, with a window of 1 KiB. */
function rawFrame(blocks: readonly Uint8Array[]): Uint8Array {
  const bytes: number[] = [...magic, 0, 0];
  blocks.forEach((block, i) => {
    const header = (block.length << 3) | (i === blocks.length - 1 ? 1 : 0);
    bytes.push(header & 0xff, (header >> 8) & 0xff, header >> 16, ...block);
  });
  return Uint8Array.from(bytes);
}

const block = fc.uint8Array({ minLength: 1, maxLength: 300 });
const frame = fc.array(block, { minLength: 1, maxLength: 4 });

// 3000 lines, as `zstd -19` writes them.
const lines = Array.from(
  { length: 3000 },
  (_, i) => `ioapic_set_irq vector: ${i % 24} level: ${i % 2}\n`,
).join("");
const compressed = Buffer.from(
  "KLUv/aRGlQEAJQMAwkMNEaA9sJu/hPd/7xb+RXjod3ME3tzbppAhgjezKWSI4M0MVg/7+UxXD2xS/dQHF5IfkVoutRUaqCD6+n8GwDNaOBBOBET4" +
    "FSK+1/b/DAWSQdNsoS29EjJgqRZ9mEJBV3EtBfwbwGg=",
  "base64",
);

describe("zstd data, expanded without Node's help", () => {
  test("is what went in, however it is cut", async () => {
    for (const size of [1, 3, 14, 4096]) expect((await expand(compressed, size)).toString()).toBe(lines);
  });

  test("may be several frames, and is what went in", async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(frame, { minLength: 1, maxLength: 5 }),
        fc.integer({ min: 1, max: 2000 }),
        async (frames, size) => {
          const bytes = Buffer.concat(frames.map(rawFrame));
          expect(await expand(bytes, size)).toEqual(Buffer.concat(frames.flat()));
        },
      ),
      { numRuns: 40 },
    );
  });

  test("may be thousands of frames", async () => {
    const one = rawFrame([Buffer.from("line\n")]);
    const out = await expand(Buffer.concat(Array.from({ length: 20_000 }, () => one)));
    expect(out.length).toBe(100_000);
  });

  test("cut off anywhere is refused", async () => {
    for (let length = 4; length < compressed.length; length++) {
      await expect(expand(compressed.subarray(0, length))).rejects.toThrow(damaged);
    }
  });

  test("with a block of a type that there is not is refused", async () => {
    const bytes = rawFrame([Buffer.from("a"), Buffer.from("b")]);
    bytes[6] = bytes[6]! | 6;
    await expect(expand(bytes)).rejects.toThrow(damaged);
  });

  test.each([
    ["a window byte", [...magic, 0, 0xb0], 4096],
    ["the size of one segment", [...magic, 0xa0, 0, 0, 0, 0x10], 256],
    ["a size of 8 bytes behind a dictionary's id", [...magic, 0xe1, 7, 0, 0, 0, 0, 1], 4096],
  ])("that wants too large a window, by %s, is refused before it is granted", async (_what, bytes, size) => {
    const wanted =
      size === 4096 ? /zstd data: a window of \d+ MiB, which is more than the 128 MiB/ : /256 MiB/;
    const before = process.memoryUsage().arrayBuffers;
    await expect(expand(Uint8Array.from([...bytes, ...Array<number>(20).fill(0)]))).rejects.toThrow(wanted);
    expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(1 << 24);
  });
});
