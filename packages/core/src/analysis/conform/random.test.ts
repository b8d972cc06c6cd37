import { expect, test } from "vitest";
import { Random } from "./random.ts";

const words = (seed: number, number: number): number[] => {
  const random = new Random(seed, number);
  return Array.from({ length: 8 }, () => random.word());
};

test("seed and number decide the numbers, near ones too", () => {
  const streams = [0, 1, 2, 2 ** 31, 2 ** 32 - 1].flatMap((seed) =>
    [0, 1, 2, 2 ** 31, 2 ** 32, 2 ** 33].map((number) => [seed, number] as const),
  );
  const seen = new Set(streams.map(([seed, number]) => words(seed, number).join()));
  expect(seen.size).toBe(streams.length);
  for (const [seed, number] of streams) expect(words(seed, number)).toEqual(words(seed, number));
});

test("what is below an end is spread evenly over it", () => {
  const counts = Array.from({ length: 10 }, () => 0);
  for (let number = 0; number < 10_000; number++) counts[new Random(1, number).below(10)]!++;
  for (const count of counts) expect(Math.abs(count - 1000)).toBeLessThan(150);
});

test.each([0, 1, 30, 100])("%d percent is so many in a hundred", (times) => {
  let hits = 0;
  for (let number = 0; number < 10_000; number++) if (new Random(7, number).percent(times)) hits++;
  expect(Math.abs(hits / 100 - times)).toBeLessThan(times % 100 === 0 ? 0.001 : 2);
});
