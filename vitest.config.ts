import { defineConfig } from "vitest/config";

export default defineConfig({
  resolve: { conditions: ["intremap-src", "node", "import", "default"] },
  ssr: { resolve: { conditions: ["intremap-src", "node", "import", "default"] } },
  test: {
    include: [
      "packages/*/src/**/*.test.ts",
      "packages/web/test/*.test.ts",
      "tools/*.test.ts",
      "bench/*.test.ts",
    ],
    pool: "threads",
    isolate: false,
    // Many tests wait for a program or a browser: one worker would leave a processor idle.
    maxWorkers: "100%",
    testTimeout: 20_000,
    // A page that shares the machine with another worker's tests shows in its own time what it was asked for.
    expect: { poll: { timeout: 15_000 } },
    reporters: ["default", "./tools/closing-line.ts"],
    coverage: {
      provider: "v8",
      include: ["packages/core/src/spec/**/*.ts", "packages/core/src/hardware/**/*.ts"],
      exclude: ["**/*.test.ts", "**/index.ts"],
      reporter: ["text-summary", ["text", { skipFull: true }]],
      thresholds: { lines: 100 },
    },
  },
});
