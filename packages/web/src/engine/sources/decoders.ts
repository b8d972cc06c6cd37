import {
  type Chunks,
  type Expanders,
  InputError,
  type PageCodecs,
  expandZstd,
  expandZstdPage,
  refusable,
} from "@intremap/core";
import { unzlibSync } from "fflate";
import { Decompress, decompress } from "fzstd";
import { XzReadableStream } from "xz-decompress";
import { gunzip } from "./gunzip.ts";

/** Decoders in JavaScript and WebAssembly: browsers have none of their own that take what the command takes. */
export const expanders: Expanders = {
  gzip: gunzip,
  xz: (chunks) => piecesOf(new XzReadableStream(streamOf(chunks))),
  zstd: (chunks) => expandZstd(chunks, Decompress),
};

export const codecs: PageCodecs = {
  zlib: (bytes, size) => refusable("zlib", () => unzlib(bytes, size)),
  zstd: (bytes, size) => refusable("zstd", () => expandZstdPage(bytes, size, decompress)),
};

/** Browsers that make a stream of an iterator, or the other way round, are not all of them. */
function streamOf(chunks: Chunks): ReadableStream<Uint8Array> {
  const iterator = chunks[Symbol.asyncIterator]();
  return new ReadableStream({
    async pull(controller) {
      const { done, value } = await iterator.next();
      if (done === true) controller.close();
      else controller.enqueue(value);
    },
    async cancel() {
      await iterator.return?.();
    },
  });
}

async function* piecesOf(stream: ReadableStream<Uint8Array>): Chunks {
  const reader = stream.getReader();
  try {
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return;
      yield value;
    }
  } finally {
    await reader.cancel().catch(() => {});
  }
}

/** The decoder writes nothing behind the end of what it is given, and does not look at the sum. */
function unzlib(bytes: Uint8Array, size: number): Uint8Array {
  const page = unzlibSync(bytes, { out: new Uint8Array(size + 1) });
  if (
    page.length > size ||
    adler32(page) !== new DataView(bytes.buffer, bytes.byteOffset).getUint32(bytes.length - 4)
  )
    throw new InputError("zlib data: damaged or cut off");
  return page;
}

/** RFC 1950 section 8.2; a page is short enough for sums that are reduced at the end. */
function adler32(bytes: Uint8Array): number {
  let [a, b] = [1, 0];
  for (let i = 0; i < bytes.length; i++) {
    a += bytes[i]!;
    b += a;
  }
  return ((b % 65521) * 65536 + (a % 65521)) >>> 0;
}
