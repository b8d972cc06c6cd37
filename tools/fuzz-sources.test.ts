import { expect, test } from "vitest";
import { fuzz } from "./fuzz-sources.ts";

test("50,000 damaged inputs end in a result or in one line", { timeout: 600_000 }, async () => {
  expect(await fuzz(50_000, 1)).toEqual([]);
});
