import { execFileSync } from "node:child_process";
import { fileURLToPath } from "node:url";
import zlib from "node:zlib";
import { beforeAll, describe, expect, test } from "vitest";
import { bytesSource } from "../byte-source.ts";
import { HostDraft } from "../host/draft.ts";
import type { HostState } from "../host/state.ts";
import type { PageCodecs } from "./kdump-core.ts";
import { openCoreKernel } from "./open-kernel.ts";
import { openPhysicalMemory } from "./open-physical.ts";
import type { PhysicalMemory } from "./physical-memory.ts";
import { flattenedOf, kdumpOf } from "./testing/kdump-writer.ts";
import { walkKernel } from "./walk.ts";

const capture = fileURLToPath(new URL("../../../../../captures/intel61-hold.core.xz", import.meta.url));
const codecs: PageCodecs = {
  zlib: (bytes, size) => zlib.inflateSync(bytes, { maxOutputLength: size }),
  zstd: () => {
    throw new Error("no page here is stored so");
  },
};

/** How a page of 4096 bytes is stored in each way; what does not compress is written as it is. */
const ways: readonly (readonly [name: string, flags: number, store: (page: Uint8Array) => Uint8Array])[] = [
  ["as they are", 0, (page) => page],
  ["by zlib", 1, (page) => zlib.deflateSync(page, { level: 1 })],
];

let elf: Uint8Array;
let memory: PhysicalMemory;
let pages: ReadonlyMap<number, Uint8Array>;

beforeAll(() => {
  elf = execFileSync("xz", ["--decompress", "--stdout", capture], { maxBuffer: 2 ** 28 });
  memory = openPhysicalMemory(bytesSource(elf), codecs);
  const found = new Map<number, Uint8Array>();
  for (const { start, end } of memory.ranges) {
    for (let at = start; at < end; at += 4096n) found.set(Number(at / 4096n), memory.read(at, 4096));
  }
  pages = found;
});

function walked(dump: Uint8Array): HostState {
  const draft = new HostDraft("dump");
  walkKernel(openCoreKernel(openPhysicalMemory(bytesSource(dump, "dump"), codecs)), draft);
  return draft.finish();
}

function kdump(flags: number, store: (page: Uint8Array) => Uint8Array): Uint8Array {
  const stored = [...pages].map(([number, page]) => {
    const bytes = store(page);
    // A page that does not become smaller is stored as it is.
    const fits = bytes.length <= 4096;
    return [number, { flags: fits ? flags : 0, bytes: fits ? bytes : page }] as const;
  });
  return kdumpOf({ pages: new Map(stored), end: 0x8_0000 });
}

describe("the captured kernel", () => {
  test.each(ways)(
    "is the same host out of a kdump-compressed dump with its pages %s",
    (_name, flags, store) => {
      expect(walked(kdump(flags, store))).toEqual(walked(elf));
    },
  );

  test("is the same host out of the flattened format, of an ELF core and of a kdump-compressed dump", () => {
    for (const dump of [elf, kdump(1, (page) => zlib.deflateSync(page, { level: 1 }))]) {
      const writes = [];
      for (let at = 0; at < dump.length; at += 16_384) {
        writes.push({ offset: BigInt(at), bytes: dump.subarray(at, at + 16_384) });
      }
      expect(walked(flattenedOf(writes.reverse()))).toEqual(walked(elf));
    }
  });

  test("says why pages are missing when its dump is cut off", () => {
    const flat = flattenedOf([{ offset: 0n, bytes: elf }]);
    const cut = openPhysicalMemory(bytesSource(flat.subarray(0, flat.length - 5000)), codecs);
    expect(cut.incomplete).toContain("the file is cut off at 0x");
    expect(cut.ranges.slice(0, -1)).toEqual(memory.ranges.slice(0, -1));
    expect(cut.ranges.at(-1)!.end).toBeLessThan(memory.ranges.at(-1)!.end);
  });
});
