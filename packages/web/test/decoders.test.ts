import { execFileSync } from "node:child_process";
import zlib from "node:zlib";
import * as fc from "fast-check";
import { type Expanders, expanded, inOnePiece } from "@intremap/core";
import { describe, expect, test } from "vitest";
import { expanders as commandExpanders } from "../../cli/src/sources/expand.ts";
import { codecs, expanders } from "../src/engine/sources/decoders.ts";

async function* pieces(bytes: Uint8Array, size: number): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < bytes.length; at += size) yield bytes.subarray(at, at + size);
}

async function expand(bytes: Uint8Array, size = 65_536, by: Expanders = expanders): Promise<Buffer> {
  const out: Uint8Array[] = [];
  for await (const chunk of expanded(pieces(bytes, size), "a", by)) out.push(chunk);
  return Buffer.concat(out);
}

const text = Buffer.from(
  Array.from({ length: 2000 }, (_, i) => `ioapic_set_irq vector: ${(i * i) % 9973} level: ${i % 2}\n`).join(
    "",
  ),
);
const gzip = zlib.gzipSync(text);
const xz = execFileSync("xz", ["--stdout"], { input: text });
// The whole of "hello\n", as `zstd` writes it.
const zstd = Buffer.from("KLUv/SQGMQAAaGVsbG8KU4i9kQ==", "base64");

describe("the engine's decoders", { timeout: 30_000 }, () => {
  test("expand what was compressed, however it is cut", async () => {
    for (const size of [1, 7, 4096, 65_536]) {
      expect(Buffer.compare(await expand(gzip, size), text), `gzip in pieces of ${size}`).toBe(0);
      expect(Buffer.compare(await expand(xz, size), text), `xz in pieces of ${size}`).toBe(0);
      expect((await expand(zstd, size)).toString()).toBe("hello\n");
    }
  });

  test("expand gzip data of several members, as the command does", async () => {
    const member = fc.uint8Array({ maxLength: 300 });
    await fc.assert(
      fc.asyncProperty(
        fc.array(member, { minLength: 1, maxLength: 6 }),
        fc.integer({ min: 1, max: 80 }),
        async (members, size) => {
          const bytes = Buffer.concat(members.map((one) => zlib.gzipSync(one)));
          expect(await expand(bytes, size)).toEqual(Buffer.concat(members));
        },
      ),
      { numRuns: 60 },
    );
    const many = Buffer.concat(Array.from({ length: 1000 }, () => zlib.gzipSync("line\n")));
    expect((await expand(many)).length).toBe(5000);
  });

  const zeros = new Uint8Array(5000);
  test.each([
    ["a zero", [0], null],
    ["padding", zeros, null],
    ["padding and more", [...zeros.subarray(0, 700), ...Buffer.from("more")], null],
    ["two letters", Buffer.from("xx"), "a: gzip data: something else stands behind its end"],
    ["a text", text.subarray(0, 5000), "a: gzip data: something else stands behind its end"],
    ["half a magic number", [0x1f, 1, 2, 3, 4], "a: gzip data: something else stands behind its end"],
    ["the beginning of a member", gzip.subarray(0, 2), /^a: gzip data: (?!something else)/],
    ["half a member", gzip.subarray(0, 100), /^a: gzip data: (?!something else)/],
    ["a member of another method", [0x1f, 0x8b, 7, 0, 0, 0, 0], /^a: gzip data: (?!something else)/],
  ] as const)("take or refuse %s behind gzip data as the command does", async (_, behind, wrong) => {
    for (const members of [["line\n".repeat(500)], [""], ["line\n", ""], ["", "line\n"]]) {
      const bytes = Buffer.concat([...members.map((one) => zlib.gzipSync(one)), Buffer.from(behind)]);
      const whole = Buffer.concat(members.map((one) => Buffer.from(one)));
      for (const size of [1, 7, 4096, 2 ** 20]) {
        for (const by of [expanders, commandExpanders]) {
          if (wrong === null) expect(Buffer.compare(await expand(bytes, size, by), whole)).toBe(0);
          else await expect(expand(bytes, size, by)).rejects.toThrow(wrong);
        }
      }
    }
  });

  test.each([
    ["gzip", zlib.gzipSync(text.subarray(0, 3000))],
    ["xz", execFileSync("xz", ["--stdout"], { input: text.subarray(0, 3000) })],
    ["zstd", zstd],
  ])("refuse %s data that is cut off anywhere", async (name, bytes) => {
    for (let length = 6; length < bytes.length; length += name === "zstd" ? 1 : 11) {
      await expect(expand(bytes.subarray(0, length)), `${length} bytes`).rejects.toMatchObject({
        name: "InputError",
        message: expect.stringMatching(new RegExp(`^a: ${name} data: `)) as string,
      });
    }
    await expect(expand(bytes.subarray(0, -1))).rejects.toThrow(`a: ${name} data: damaged or cut off`);
  });

  test("take damaged gzip data for whole no more often than the command does", async () => {
    await fc.assert(
      fc.asyncProperty(fc.nat(gzip.length - 11), fc.integer({ min: 1, max: 255 }), async (at, change) => {
        const bytes = Buffer.from(gzip);
        bytes[10 + at] = bytes[10 + at]! ^ change;
        const command = await expand(bytes, 65_536, commandExpanders).catch((error: unknown) => error);
        if (command instanceof Buffer) expect(await expand(bytes)).toEqual(command);
        else await expect(expand(bytes)).rejects.toMatchObject({ name: "InputError" });
      }),
      { numRuns: 80 },
    );
  });

  test("hand zeros on in pieces, and hold few of them", async () => {
    const zeros = zlib.gzipSync(new Uint8Array(2 ** 26));
    let [length, longest] = [0, 0];
    for await (const chunk of expanded(inOnePiece(zeros), "a", expanders)) {
      length += chunk.length;
      longest = Math.max(longest, chunk.length);
    }
    expect(length).toBe(2 ** 26);
    expect(longest).toBeLessThan(2 ** 26);
  });
});

describe("the engine's decoders of pages", { timeout: 30_000 }, () => {
  const page = Buffer.concat([text.subarray(0, 2000), new Uint8Array(2096)]);

  test("expand what was compressed", () => {
    expect(Buffer.from(codecs.zlib(zlib.deflateSync(page), 4096))).toEqual(page);
    expect(Buffer.from(codecs.zstd(Buffer.from("KLUv/SAGMQAAaGVsbG8K", "base64"), 4096)).toString()).toBe(
      "hello\n",
    );
  });

  test("refuse a page that is longer than it may be, damaged or cut off", () => {
    const bytes = zlib.deflateSync(page);
    expect(() => codecs.zlib(bytes, 4095)).toThrow("zlib data: damaged or cut off");
    for (let length = 0; length < bytes.length; length++) {
      expect(() => codecs.zlib(bytes.subarray(0, length), 4096)).toThrow("zlib data: damaged or cut off");
    }
    fc.assert(
      fc.property(fc.nat(bytes.length - 1), fc.integer({ min: 1, max: 255 }), (at, change) => {
        const damaged = Buffer.from(bytes);
        damaged[at] = damaged[at]! ^ change;
        let got: Uint8Array;
        try {
          got = codecs.zlib(damaged, 4096);
        } catch (error) {
          expect(error).toMatchObject({ name: "InputError" });
          return;
        }
        // The level of compression in the header says nothing of the content.
        expect(Buffer.from(got)).toEqual(page);
      }),
      { numRuns: 300 },
    );
  });
});
