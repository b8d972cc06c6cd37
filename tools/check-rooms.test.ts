import { expect, test } from "vitest";
import { breachesIn } from "./check-rooms.ts";

test.each([
  ["packages/core/src/hardware/vtd/unit.ts", "../../spec/codec.ts", true],
  ["packages/core/src/hardware/vtd/unit.ts", "./state.ts", true],
  ["packages/core/src/spec/codec.ts", "../hardware/memory.ts", false],
  ["packages/core/src/hardware/memory.ts", "../analysis/replay.ts", false],
  ["packages/core/src/evidence/dmesg.ts", "../index.ts", false],
  ["packages/core/src/analysis/replay.ts", "node:fs", false],
  ["packages/core/src/analysis/replay.test.ts", "node:fs", true],
  ["packages/core/src/analysis/replay.ts", "@intremap/core", false],
  ["packages/core/src/index.ts", "./analysis/replay.ts", true],
  ["packages/cli/src/main.ts", "@intremap/core", true],
  ["packages/cli/src/main.ts", "commander", true],
])("%s may import %s: %s", (file, specifier, allowed) => {
  for (const text of [`import { x } from "${specifier}";`, `await import("${specifier}")`]) {
    expect(breachesIn(file, text)).toHaveLength(allowed ? 0 : 1);
  }
});
