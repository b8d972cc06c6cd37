import { assert, integer, property, uniqueArray } from "fast-check";
import { describe, expect, test } from "vitest";
import { Memory } from "../memory.ts";
import { Post, PostedDescriptor } from "./descriptor.ts";
import { VectorPage, group } from "./vector-page.ts";

const at = 0x12_3456_7840;
const vector = integer({ min: 0, max: 255 });

function fresh() {
  const memory = new Memory();
  return { memory, descriptor: new PostedDescriptor(memory, at), page: new VectorPage(memory, 0x5000) };
}

function vectorsOf(page: VectorPage, start: number): number[] {
  return Array.from({ length: 256 }, (_, one) => one).filter((one) => page.has(start, one));
}

describe("a posted-interrupt descriptor", () => {
  test("shows its fields", () => {
    const { memory, descriptor } = fresh();
    expect(descriptor.read()).toEqual({ pir: 0n, on: 0, sn: 0, nv: 0, ndst: 0 });
    memory.write64(at + 24, 1n << 63n);
    memory.write64(at + 32, 0x0000_1234_00f2_0003n);
    expect(descriptor.read()).toEqual({ pir: 1n << 255n, on: 1, sn: 1, nv: 0xf2, ndst: 0x1234 });
    expect(descriptor.pending).toBe(true);
  });

  test("keeps ON and PIR when software moves the vCPU, and everything else when ON is cleared", () => {
    const { descriptor } = fresh();
    descriptor.postFromSoftware(0x41);
    descriptor.setNotification(1, 0xf1, 7);
    expect(descriptor.read()).toEqual({ pir: 1n << 0x41n, on: 1, sn: 1, nv: 0xf1, ndst: 7 });
    descriptor.clearOn();
    expect(descriptor.read()).toEqual({ pir: 1n << 0x41n, on: 0, sn: 1, nv: 0xf1, ndst: 7 });
    descriptor.setNotification(0, 0xf2, -1);
    expect(descriptor.read()).toMatchObject({ on: 0, sn: 0, nv: 0xf2, ndst: 0xffffffff });
  });

  test.each([
    // PIR, ON, SN before; what software's post does, what a virtualized IPI does, ON after each
    [0, 0, 0, Post.notify, 1, Post.notify, 1],
    [0, 0, 1, Post.notify, 1, Post.recorded, 0],
    [0, 1, 0, Post.recorded, 1, Post.recorded, 1],
    [0, 1, 1, Post.recorded, 1, Post.recorded, 1],
    [1, 0, 0, Post.merged, 0, Post.notify, 1],
    [1, 0, 1, Post.merged, 0, Post.merged, 0],
    [1, 1, 0, Post.merged, 1, Post.merged, 1],
    [1, 1, 1, Post.merged, 1, Post.merged, 1],
  ] as const)("PIR %i, ON %i, SN %i: software %i (ON %i), IPI %i (ON %i)", (pir, on, sn, ...expected) => {
    const outcomes = (["postFromSoftware", "postFromIpi"] as const).flatMap((post) => {
      const { descriptor } = fresh();
      if (pir === 1) descriptor.testAndSetPir(0x41);
      if (on === 1) descriptor.testAndSetOn();
      descriptor.setNotification(sn, 0xf2, 0);
      const outcome = descriptor[post](0x41);
      expect(descriptor.read()).toMatchObject({ pir: 1n << 0x41n, sn });
      return [outcome, descriptor.on];
    });
    expect(outcomes).toEqual(expected);
  });

  test("tells what a bit was before it was set", () => {
    const { descriptor } = fresh();
    expect([descriptor.testAndSetPir(255), descriptor.testAndSetPir(255)]).toEqual([0, 1]);
    expect([descriptor.testAndSetOn(), descriptor.testAndSetOn()]).toEqual([0, 1]);
  });

  test("gives each vector once, and the highest of them", () => {
    assert(
      property(uniqueArray(vector), (vectors) => {
        const { descriptor, page } = fresh();
        for (const one of vectors) descriptor.testAndSetPir(one);
        expect(descriptor.pending).toBe(vectors.length > 0);
        expect(descriptor.harvest(page)).toBe(Math.max(-1, ...vectors));
        expect(vectorsOf(page, group.irr)).toEqual([...vectors].sort((a, b) => a - b));
        expect([descriptor.pending, descriptor.harvest(page)]).toEqual([false, -1]);
      }),
    );
  });

  test("adds to what IRR holds already", () => {
    const { descriptor, page } = fresh();
    page.set(group.irr, 0x42);
    descriptor.testAndSetPir(0x41);
    expect([descriptor.harvest(page), vectorsOf(page, group.irr)]).toEqual([0x41, [0x41, 0x42]]);
  });

  test("gives software nothing while ON is clear, and clears it otherwise", () => {
    const { descriptor, page } = fresh();
    descriptor.testAndSetPir(0x41);
    expect(descriptor.harvestFromSoftware(page)).toBe(-1);
    descriptor.testAndSetOn();
    expect([descriptor.harvestFromSoftware(page), descriptor.on]).toEqual([0x41, 0]);
  });

  test("lies on a 64-byte boundary", () => {
    expect(() => new PostedDescriptor(new Memory(), 0x1020)).toThrow(/0x1020: a 64-byte boundary/);
  });
});

describe("a page of APIC registers", () => {
  test("keeps vector bits where the xAPIC page has them", () => {
    assert(
      property(vector, (one) => {
        const { memory, page } = fresh();
        page.set(group.irr, one);
        page.set(group.isr, one);
        page.set(group.tmr, one);
        const bit = (1 << (one & 31)) | 0;
        const offset = 16 * (one >> 5);
        expect([0x100, 0x180, 0x200].map((start) => memory.read32(0x5000 + start + offset))).toEqual([
          bit,
          bit,
          bit,
        ]);
        expect(page.highest(group.irr)).toBe(one);
        page.clear(group.irr, one);
        expect([page.highest(group.irr), page.highest(group.isr)]).toEqual([-1, one]);
      }),
    );
  });

  test("reads and writes registers by their offset", () => {
    const { memory, page } = fresh();
    page.write(0x310, 0x07000000);
    expect([page.read(0x310), memory.read32(0x5310)]).toEqual([0x07000000, 0x07000000]);
  });

  test("lies on a 4-KByte boundary", () => {
    expect(() => new VectorPage(new Memory(), 0x1800)).toThrow(/0x1800: a 4-KByte boundary/);
  });
});
