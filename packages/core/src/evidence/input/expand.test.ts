import { describe, expect, test } from "vitest";
import { InputError } from "../input-error.ts";
import { type Chunks, peek, readChunks } from "./chunks.ts";
import { type Expanders, expanded } from "./expand.ts";

async function* pieces(...all: readonly (readonly number[])[]): AsyncGenerator<Uint8Array> {
  for (const bytes of all) yield Uint8Array.from(bytes);
}

function failing(error: unknown): (chunks: Chunks) => Chunks {
  return async function* fail() {
    yield Uint8Array.of(1);
    throw error;
  };
}

/** Decoders that hand on what comes behind the magic number. */
const expanders: Expanders = {
  async *gzip(chunks) {
    for await (const chunk of chunks) yield chunk.subarray(2);
  },
  xz: failing(new Error("xz error code 7")),
  zstd: failing(new InputError("zstd data: a window of 256 MiB")),
};

async function read(chunks: Chunks, limit = 100): Promise<number[]> {
  return [...(await readChunks(expanded(chunks, "a.log", expanders), "a.log", limit))];
}

describe("an input", () => {
  test("is what it is where nothing says that it is compressed, however short", async () => {
    expect(await read(pieces([1, 2], [], [3, 4, 5, 6, 7]))).toEqual([1, 2, 3, 4, 5, 6, 7]);
    expect(await read(pieces([0x1f]))).toEqual([0x1f]);
    expect(await read(pieces())).toEqual([]);
  });

  test("is expanded by its first bytes, though they come one by one", async () => {
    expect(await read(pieces([0x1f], [0x8b], [8], [9]))).toEqual([8, 9]);
  });

  test.each([
    ["a decoder's reason", [0x28, 0xb5, 0x2f, 0xfd, 0, 0], "a.log: zstd data: a window of 256 MiB"],
    ["no number of the decoder's", [0xfd, 0x37, 0x7a, 0x58, 0x5a, 0], "a.log: xz data: damaged or cut off"],
    ["what to do with bzip2", [0x42, 0x5a, 0x68], "a.log: bzip2 data: decompress it first, with `bzip2 -dc`"],
  ])("that cannot be expanded ends in one line, with %s", async (_, bytes, message) => {
    await expect(read(pieces(bytes))).rejects.toThrow(new InputError(message));
  });

  test("that cannot be read ends in one line that names it", async () => {
    await expect(read(failing(new Error("no such file"))(pieces()))).rejects.toThrow(
      new InputError("a.log: no such file"),
    );
  });

  test("that is longer than asked for is not read further", async () => {
    let given = 0;
    async function* endless(): AsyncGenerator<Uint8Array> {
      for (;;) {
        given++;
        yield new Uint8Array(10);
      }
    }
    await expect(read(endless(), 25)).rejects.toThrow(
      "a.log: more than 25 bytes, which is the most that is read",
    );
    expect(given).toBe(3);
  });
});

test("what was looked at is still there, and an input that is not wanted is let go", async () => {
  let ended = false;
  async function* source(): AsyncGenerator<Uint8Array> {
    try {
      yield* pieces([1], [2, 3], [4]);
    } finally {
      ended = true;
    }
  }
  const { head, rest } = await peek(source(), 2);
  expect([...head]).toEqual([1, 2, 3]);
  expect([...(await readChunks(rest, "a", 10))]).toEqual([1, 2, 3, 4]);
  ended = false;
  const begun = await peek(source(), 1);
  await begun.rest[Symbol.asyncIterator]().return?.();
  expect(ended).toBe(true);
});
