import { expect, test } from "vitest";
import { fuzz } from "./fuzz-sources.ts";

test("20,000 damaged inputs end in a result or in one line", { timeout: 600_000 }, async () => {
  expect(await fuzz(20_000, 1)).toEqual([]);
});
