import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import zlib from "node:zlib";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { bootPath } from "../testing/captured-boot.ts";
import { traceChunks } from "./trace-file.ts";

let folder: string;

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "intremap-"));
});

afterAll(() => rmSync(folder, { recursive: true }));

async function* stdin(...chunks: (string | Uint8Array)[]): AsyncGenerator<string | Uint8Array> {
  yield* chunks;
}

async function readAll(path: string, ...input: (string | Uint8Array)[]): Promise<string> {
  const chunks: Uint8Array[] = [];
  for await (const chunk of traceChunks(path, stdin(...input))) chunks.push(chunk);
  return Buffer.concat(chunks).toString("latin1");
}

function file(name: string, content: Uint8Array): string {
  const path = join(folder, name);
  writeFileSync(path, content);
  return path;
}

const text = Array.from({ length: 5000 }, (_, i) => `ioapic_set_irq vector: ${i} level: ${i % 2}\n`).join("");
const zipped = zlib.gzipSync(text);
// The whole of "hello\n", as `xz` writes it.
const xz = Buffer.from(
  "/Td6WFoAAATm1rRGAgAhARYAAAB0L+WjAQAFaGVsbG8KAAAApWCX8ZT2/eAAAR4GwS+kHR+2830BAAAAAARZWg==",
  "base64",
);

// The same, as `zstd` writes it.
const zstd = Buffer.from("KLUv/SQGMQAAaGVsbG8KU4i9kQ==", "base64");

function bytewise(bytes: Uint8Array): Uint8Array[] {
  return Array.from(bytes, (_, at) => bytes.subarray(at, at + 1));
}

describe("a trace file", () => {
  test("is read as it is, and from standard input whatever its pieces", async () => {
    expect(await readAll(file("plain.log", Buffer.from(text)))).toBe(text);
    expect(await readAll("-", "a", "", "bc\n", Buffer.from("defghi\n"))).toBe("abc\ndefghi\n");
    expect(await readAll("-")).toBe("");
  });

  test("is expanded when its first bytes are those of gzip", async () => {
    expect(await readAll(file("trace.gz", zipped))).toBe(text);
    expect(await readAll("-", zipped.subarray(0, 1), zipped.subarray(1, 3), zipped.subarray(3))).toBe(text);
  });

  test("is expanded when its first bytes are those of xz", async () => {
    let length = 0;
    for await (const chunk of traceChunks(bootPath("intel"), stdin())) length += chunk.length;
    expect(length).toBe(3_577_989);
    expect(await readAll("-", xz)).toBe("hello\n");
  });

  test("is expanded when its first bytes are those of zstd", async () => {
    expect(await readAll("-", zstd)).toBe("hello\n");
    expect(await readAll("-", ...bytewise(zstd))).toBe("hello\n");
  });

  test.each([
    ["cut off gzip data", zipped.subarray(0, 500), "standard input: gzip data: unexpected end of file"],
    [
      "damaged gzip data",
      Buffer.concat([zipped.subarray(0, 100), Buffer.alloc(50)]),
      "standard input: gzip data: ",
    ],
    ["cut off xz data", xz.subarray(0, 40), "standard input: xz data: damaged or cut off"],
    [
      "damaged xz data",
      Buffer.concat([xz.subarray(0, 20), Buffer.alloc(60, 0x55)]),
      "standard input: xz data: damaged or cut off",
    ],
    ["cut off zstd data", zstd.subarray(0, 15), "standard input: zstd data: "],
    ["zstd data cut off within its header", zstd.subarray(0, 6), "standard input: zstd data: "],
    [
      "damaged zstd data",
      Buffer.concat([zstd.subarray(0, 6), Buffer.alloc(60, 0xff)]),
      "standard input: zstd data: ",
    ],
    ["bzip2 data", Buffer.from("BZh91AY&SY"), "standard input: bzip2 data: decompress it first"],
  ])("of %s ends in one clear error", async (_what, bytes, message) => {
    await expect(readAll("-", bytes)).rejects.toThrow(message);
    await expect(readAll("-", bytes)).rejects.toMatchObject({ name: "InputError" });
  });

  test("that is not there, or is a directory, ends in one clear error", async () => {
    await expect(readAll(join(folder, "none.log"))).rejects.toThrow("none.log: no such file");
    await expect(readAll(folder)).rejects.toThrow(`${folder}: is a directory`);
  });

  test("is let go when its reader stops", async () => {
    let ended = false;
    async function* endless(): AsyncGenerator<Uint8Array> {
      try {
        for (;;) yield Buffer.from("ioapic_set_irq vector: 0 level: 0\n");
      } finally {
        ended = true;
      }
    }
    for await (const chunk of traceChunks("-", endless())) {
      if (chunk.length > 0) break;
    }
    expect(ended).toBe(true);
  });
});
