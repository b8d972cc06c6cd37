import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { CpuCache } from "./cpu-cache.ts";
import { Memory } from "./memory.ts";

const anywhere = fc.integer({ min: 0, max: 2 ** 50 - 1 }).map((word) => word * 4);

describe("memory", () => {
  test("is zero until it is written, and keeps words, quadwords and bytes anywhere in 52 bits", () => {
    fc.assert(
      fc.property(anywhere, fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }), (address, value) => {
        const memory = new Memory();
        const at = Math.min(address, 2 ** 52 - 8);
        expect(memory.read64(at)).toBe(0n);
        memory.write64(at, value);
        expect(memory.read64(at)).toBe(value);
        expect([...memory.readBytes(at, 8)]).toEqual(
          Array.from({ length: 8 }, (_, i) => Number((value >> BigInt(8 * i)) & 0xffn)),
        );
      }),
    );
  });

  test("takes bytes at any alignment without touching their neighbours", () => {
    fc.assert(
      fc.property(fc.nat(40), fc.uint8Array({ maxLength: 20 }), (offset, bytes) => {
        const memory = new Memory();
        const address = 0xf_fff0 + offset;
        const all = new Uint8Array(80).fill(0xa5);
        memory.writeBytes(0xf_fff0, all);
        memory.writeBytes(address, bytes);
        all.set(bytes, offset);
        expect(memory.readBytes(0xf_fff0, 80)).toEqual(all);
      }),
    );
  });

  test("tells chunks apart that share a way, the highest one included", () => {
    const memory = new Memory();
    const numbers = [-1, 63, 127, 63 + 64 * 7, 0, 64];
    numbers.forEach((number, i) => (memory.writableChunk(number)[9] = i + 1));
    expect(numbers.map((number) => memory.chunk(number)[9])).toEqual([1, 2, 3, 4, 5, 6]);
    expect(memory.read32(2 ** 52 - 2 ** 20 + 36)).toBe(1);
  });

  test("refuses to grow past its limit", () => {
    const memory = new Memory({ limitMiB: 2 });
    memory.write32(0, 1);
    memory.write32(2 ** 20, 1);
    expect(() => memory.write32(2 ** 21, 1)).toThrow("memory: more than 2 MiB would be written to");
    expect(memory.read32(2 ** 21)).toBe(0);
  });

  test("is unreadable where an error was injected, and outside the address space", () => {
    const memory = new Memory();
    memory.injectError(0x1000, 16);
    expect([0xff0, 0xffc, 0x1000, 0x100f, 0x1010].map((at) => memory.readable(at, 4))).toEqual([
      true,
      true,
      false,
      false,
      true,
    ]);
    expect(memory.readable(0xffd, 4)).toBe(false);
    expect(memory.readable(2 ** 52 - 4, 8)).toBe(false);
    expect(memory.readable(-4, 8)).toBe(false);
    memory.heal();
    expect(memory.readable(0x1000, 16)).toBe(true);
    expect(memory.poisoned).toBe(false);
  });
});

describe("the CPU's cache", () => {
  test("holds written lines back until they are flushed", () => {
    const memory = new Memory();
    const cache = new CpuCache(memory);
    memory.write32(0x1004, 7);
    cache.write32(0x1000, 1);
    cache.write32(0x1044, 2);
    expect([cache.read32(0x1000), cache.read32(0x1004), cache.read32(0x2000)]).toEqual([1, 7, 0]);
    expect([memory.read32(0x1000), memory.read32(0x1044)]).toEqual([0, 0]);
    cache.flush(0x103c, 8);
    expect([memory.read32(0x1000), memory.read32(0x1004), memory.read32(0x1044)]).toEqual([1, 7, 2]);
    cache.flush(0, 4096);
  });

  test("writes a line back once: what a device writes later stays", () => {
    const memory = new Memory();
    const cache = new CpuCache(memory);
    cache.write32(0x1000, 1);
    cache.flush(0x1000, 4);
    memory.write32(0x1000, 9);
    cache.write32(0x3000, 1);
    cache.flush(0x1000, 4);
    expect(cache.read32(0x1000)).toBe(9);
  });
});
