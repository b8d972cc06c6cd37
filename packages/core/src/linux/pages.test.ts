import * as fc from "fast-check";
import { expect, test } from "vitest";
import { Memory } from "../hardware/memory.ts";
import { PageAllocator, pageBytes } from "./pages.ts";

const from = 0x10_0000;
const to = from + 64 * pageBytes;

test("blocks are aligned to their size, zero, in their range, and never overlap", () => {
  const step = fc.oneof(
    { weight: 2, arbitrary: fc.integer({ min: 1, max: 9 * pageBytes }) },
    fc.integer({ min: -20, max: -1 }),
  );
  fc.assert(
    fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
      const memory = new Memory();
      const pages = new PageAllocator(memory, from, to);
      const held = new Map<number, number>();
      for (const bytes of steps) {
        if (bytes < 0) {
          const start = [...held.keys()][-bytes % Math.max(held.size, 1)];
          if (start === undefined) continue;
          pages.free(start);
          held.delete(start);
          continue;
        }
        const start = pages.allocate(bytes);
        if (start < 0) continue;
        const size = 2 ** Math.ceil(Math.log2(Math.max(bytes, pageBytes)));
        expect(start % size).toBe(0);
        expect(start).toBeGreaterThanOrEqual(from);
        expect(start + size).toBeLessThanOrEqual(to);
        for (const [other, length] of held)
          expect(start + size <= other || other + length <= start).toBe(true);
        for (let at = start; at < start + size; at += 512) {
          expect(memory.read32(at)).toBe(0);
          memory.write32(at, -1);
        }
        held.set(start, size);
      }
      expect(pages.allocations).toBe(held.size);
    }),
  );
});

test("what is freed is given out again, and -1 says that nothing is left", () => {
  const pages = new PageAllocator(new Memory(), from, to);
  const all = Array.from({ length: 64 }, () => pages.allocate(1));
  expect(new Set(all).size).toBe(64);
  expect(pages.allocate(1)).toBe(-1);
  pages.free(all[17]!);
  expect(pages.allocate(pageBytes)).toBe(all[17]);
  expect(() => pages.free(from - pageBytes)).toThrow("pages: nothing is allocated at 0xff000");
});
