import { expect, test } from "vitest";
import { Moves } from "./moves.ts";
import { driverMemory } from "./places.ts";
import type { Qtest } from "./qtest.ts";

const start = 0xe00a_402c;
const { instructions, data, zeros, zeroBytes, results } = driverMemory;

/** Runs a program on a machine that has memory only, as the controller would. */
async function run(moves: Moves, memory: Map<number, number>): Promise<{ result: Buffer; longest: number }> {
  let longest = 0;
  const word = (at: number): number => {
    let value = 0;
    for (let i = 0; i < 4; i++) value += (memory.get(at + i) ?? 0) * 256 ** i;
    return value;
  };
  const fake: Pick<Qtest, "exchange"> = {
    exchange: (commands) => {
      const values: string[] = [];
      for (const command of commands) {
        const [name, at, length, text] = command.split(" ") as [string, string, string, string];
        if (name === "b64write") {
          Buffer.from(text, "base64").forEach((byte, i) => memory.set(Number(at) + i, byte));
        } else if (name === "b64read") {
          const bytes = Array.from({ length: Number(length) }, (_, i) => memory.get(Number(at) + i) ?? 0);
          values.push(Buffer.from(bytes).toString("base64"));
        } else {
          expect([name, Number(at)]).toEqual(["writel", start]);
          let steps = 0;
          for (let pc = Number(length); word(pc) !== 0x9808_0000; pc += 12, steps++) {
            expect(word(pc) >>> 24).toBe(0xc0);
            const [bytes, from, to] = [word(pc) & 0xff_ffff, word(pc + 4), word(pc + 8)];
            const copy = Array.from({ length: bytes }, (_, i) => memory.get(from + i) ?? 0);
            copy.forEach((byte, i) => memory.set(to + i, byte));
          }
          longest = Math.max(longest, steps);
        }
      }
      return Promise.resolve(values);
    },
  };
  return { result: await moves.run(fake as Qtest, start), longest };
}

test("accesses are made in their order, and results stand where they were promised", async () => {
  const moves = new Moves();
  const memory = new Map<number, number>();
  moves.put([0x1122_3344, -1], 0x1000);
  moves.put64(0x8877_6655_4433_2211n, 0x1010);
  const first = moves.fetch(4, 0x1000);
  moves.put([7], 0x1000);
  const second = moves.fetch(16, 0x1008);
  const third = moves.fetch(4, 0x1000);
  moves.zero(4, 0x1004);
  const { result } = await run(moves, memory);
  expect(result.readUInt32LE(first)).toBe(0x1122_3344);
  expect(result.readBigUInt64LE(second + 8)).toBe(0x8877_6655_4433_2211n);
  expect(result.readUInt32LE(third)).toBe(7);
  expect(memory.get(0x1004)).toBe(0);
});

test("a long program is cut, as a controller gives up after 100 instructions", async () => {
  const moves = new Moves();
  const memory = new Map<number, number>();
  const count = 1000;
  for (let i = 0; i < count; i++) moves.put([i], 0x10_0000 + 4 * i);
  expect(moves.full).toBe(true);
  const { longest } = await run(moves, memory);
  expect(longest).toBeLessThan(100);
  for (let i = 0; i < count; i++) expect(memory.get(0x10_0000 + 4 * i)).toBe(i & 0xff);
  expect(moves.full).toBe(false);
});

test("much data finds room, and much memory is zeroed piece by piece", async () => {
  const moves = new Moves();
  const words = Array.from({ length: 100_000 }, (_, i) => i);
  moves.put(words, 0x20_0000);
  moves.zero(2 * zeroBytes + 12, 0x20_0000);
  moves.fetch(8, 0x20_0000 + 2 * zeroBytes + 8);
  const memory = new Map<number, number>([[zeros, 0]]);
  const { result } = await run(moves, memory);
  expect(result.readUInt32LE(0)).toBe(0);
  expect(result.readUInt32LE(4)).toBe((2 * zeroBytes + 12) / 4);
  expect([instructions, data, results].every((at) => at > 0x3000_0000)).toBe(true);
});
