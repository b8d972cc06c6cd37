import { expect, test } from "vitest";
import { ScratchMemory } from "./scratch-memory.ts";

const written = (memory: ScratchMemory, addresses: readonly number[]): number[] =>
  addresses.map((at) => memory.read32(at));

test("forgets every way of writing, and keeps its chunks where they are", () => {
  const memory = new ScratchMemory();
  const addresses = [0x10_0000, 0x10_0004, 0x1f_fffc, 0x20_0000, 0xff_ffff_f000, 0x30_0000];
  const chunk = memory.writableChunk(3);
  for (let round = 1; round < 4; round++) {
    memory.write32(0x10_0000, round);
    memory.writeWords(0x10_0004, Int32Array.of(round));
    memory.writeBytes(0x1f_fffc, Uint8Array.of(round, 0, 0, 0));
    memory.write64(0xff_ffff_f000, BigInt(round));
    memory.write32(0x20_0000, round);
    memory.writableChunk(3)[0] = round;
    expect(written(memory, addresses)).toEqual(addresses.map(() => round));
    memory.forget();
    expect(written(memory, addresses)).toEqual(addresses.map(() => 0));
  }
  expect(memory.chunk(3)).toBe(chunk);
});

test("forgets more than it keeps account of", () => {
  const memory = new ScratchMemory();
  const many = new Int32Array(70_000).fill(7);
  memory.writeWords(0x10_0000, many);
  memory.write32(0x50_0000, 7);
  memory.forget();
  for (let i = 0; i < many.length; i++) if (memory.read32(0x10_0000 + 4 * i) !== 0) expect.fail(`word ${i}`);
  expect(memory.read32(0x50_0000)).toBe(0);
});
