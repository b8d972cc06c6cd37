import { vtdSpec } from "@intremap/core";
import { describe, expect, test } from "vitest";
import { Moves } from "./moves.ts";
import { Touched } from "./touched.ts";
import { VtdQueue } from "./vtd-queue.ts";

const iqa = vtdSpec.registers.IQA.offset;
const iqt = vtdSpec.registers.IQT.offset;
const base = 0x30_0000;
const status = 0x60_0000;

const iec = [0x4, 0, 0, 0];
const wait = [0x25, 7, status, 0];
const interrupt = [0x15, 0, 0, 0];
const both = [0x35, 0, status, 0];

/** A queue on which descriptors were submitted, and where its tail is set to in the end. */
function submitted(...descriptors: readonly (readonly number[])[]): { queue: VtdQueue; tails: number[] } {
  const queue = new VtdQueue(new Touched());
  queue.wrote(iqa, 64, BigInt(base));
  queue.enable();
  for (const [i, one] of descriptors.entries()) {
    queue.stored(base + 16 * i, one);
    queue.wrote(iqt, 64, BigInt(16 * (i + 1)));
  }
  const tails: number[] = [];
  queue.drain(new Moves(), (tail) => tails.push(tail));
  return { queue, tails };
}

describe("a queue", () => {
  test("that went on is drained by one wait behind its tail", () => {
    expect(submitted(iec, wait, interrupt).tails).toEqual([0x40]);
  });

  test.each([
    ["a type of its own", [0xe, 0, 0, 0]],
    ["reserved bits", [0x24, 0, 0, 0]],
    ["a wait for nothing", [0x5, 0, 0, 0]],
    ["a status write to no memory", [0x25, 0, 0, 1]],
    ["nothing at all", []],
  ])("that may have stopped at %s is drained from end to end", (_, descriptor) => {
    expect(submitted(iec, descriptor).tails).toEqual([0xff0, 0]);
  });

  test("whose tail is out of it is drained from end to end", () => {
    const { queue } = submitted(iec);
    queue.wrote(iqt, 64, 0x1000n);
    const tails: number[] = [];
    queue.drain(new Moves(), (tail) => tails.push(tail));
    expect(tails).toEqual([0xff0, 0]);
  });

  test("ends QEMU at a wait that both writes and interrupts, once that is queued", () => {
    expect(submitted(iec, wait).queue.fatal).toBe(false);
    expect(submitted(iec, both).queue.fatal).toBe(true);
    const queue = new VtdQueue(new Touched());
    queue.stored(base, both);
    expect(queue.fatal).toBe(false);
  });

  test("that never was on is not used", () => {
    const queue = new VtdQueue(new Touched());
    queue.wrote(iqa, 64, BigInt(base));
    queue.wrote(iqt, 64, 0x10n);
    expect(queue.used).toBe(false);
  });
});
