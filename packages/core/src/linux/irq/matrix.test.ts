import { assert, constantFrom, integer, array, oneof, property, record } from "fast-check";
import { describe, expect, test } from "vitest";
import { errno } from "../errno.ts";
import { IrqMatrix } from "./matrix.ts";

/** Vectors 20h to 2fh of two CPUs, 25h the system's. */
function small(): IrqMatrix {
  return new IrqMatrix(0x20, 0x30, [0x25, 0x80], 2);
}

describe("the vector matrix", () => {
  test("counts only the system vectors that lie in its range", () => {
    expect(small().available).toBe(2 * 15);
  });

  test("gives the lowest vector of the CPU that has most left, the first of equals", () => {
    const matrix = small();
    const given = Array.from({ length: 4 }, () => matrix.allocate([0, 1], false));
    expect(given).toEqual([
      { vector: 0x20, cpu: 0 },
      { vector: 0x20, cpu: 1 },
      { vector: 0x21, cpu: 0 },
      { vector: 0x21, cpu: 1 },
    ]);
  });

  test("steps over system vectors, and reuses what was freed", () => {
    const matrix = small();
    for (let i = 0; i < 5; i++) matrix.allocate([0], false);
    expect(matrix.allocate([0], false)).toEqual({ vector: 0x26, cpu: 0 });
    matrix.free(0, 0x22);
    expect(matrix.allocate([0], false)).toEqual({ vector: 0x22, cpu: 0 });
  });

  test("has no vector for nobody, nor more than there are", () => {
    const matrix = small();
    expect(matrix.allocate([], false)).toBe(-errno.EINVAL);
    for (let i = 0; i < 15; i++) expect(matrix.allocate([1], false)).toMatchObject({ cpu: 1 });
    expect(matrix.allocate([1], false)).toBe(-errno.ENOSPC);
    expect(matrix.of(1)).toMatchObject({ available: 0 });
    expect(matrix.of(1).vectors).not.toContain(0x25);
    expect(matrix.of(0)).toEqual({ available: 15, vectors: [] });
  });

  test("refuses to free a vector that is not taken", () => {
    expect(() => small().free(0, 0x20)).toThrow("CPU 0: vector 32 is not allocated");
  });

  test("keeps reservations apart from vectors, until one is turned into the other", () => {
    const matrix = small();
    matrix.reserve();
    matrix.reserve();
    matrix.removeReserved();
    expect([matrix.reserved, matrix.available, matrix.allocated]).toEqual([1, 30, 0]);
    matrix.allocate([0], true);
    expect([matrix.reserved, matrix.available, matrix.allocated]).toEqual([0, 29, 1]);
  });

  test("never gives a vector twice, and has everything back in the end", () => {
    const step = oneof(
      record({ kind: constantFrom("allocate" as const), cpus: array(integer({ min: 0, max: 1 })) }),
      record({ kind: constantFrom("free" as const), pick: integer({ min: 0, max: 40 }) }),
    );
    assert(
      property(array(step, { maxLength: 80 }), (steps) => {
        const matrix = small();
        const held: { vector: number; cpu: number }[] = [];
        for (const one of steps) {
          if (one.kind === "allocate") {
            const place = matrix.allocate(one.cpus, false);
            if (typeof place !== "number") held.push(place);
          } else {
            for (const { cpu, vector } of held.splice(one.pick, 1)) matrix.free(cpu, vector);
          }
          expect(new Set(held.map(({ cpu, vector }) => cpu * 256 + vector)).size).toBe(held.length);
          expect(matrix.allocated).toBe(held.length);
          expect(matrix.available).toBe(30 - held.length);
        }
      }),
    );
  });
});
