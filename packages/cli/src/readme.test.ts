import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { expect, test, vi } from "vitest";
import { run } from "./program.ts";
import { testIo } from "./testing/test-io.ts";

const root = new URL("../../../", import.meta.url);
const readme = readFileSync(new URL("README.md", root), "utf8");

/** The first fenced block of a language. */
function block(language: string): string {
  return new RegExp(`^\`\`\`${language}\n(.*?)^\`\`\``, "ms").exec(readme)![1]!;
}

test("the README shows what the main job prints", async () => {
  const trace = fileURLToPath(new URL("captures/qemu-7.2-intel-boot.log.xz", root));
  const io = testIo("", { NO_COLOR: "1" });
  expect(await run(["replay", trace, "--follow"], io)).toBe(0);
  expect(block("")).toBe(io.out());
});

test("the README's program is the example, and prints what its comments say", async () => {
  expect(block("ts")).toBe(readFileSync(new URL("examples/blocked.ts", root), "utf8"));
  const log = vi.spyOn(console, "log").mockImplementation(() => {});
  await import(new URL("examples/blocked.ts", root).href);
  expect(log.mock.calls).toEqual([
    [expect.objectContaining({ name: "sidMismatch", reason: 0x26, index: 5 })],
  ]);
  log.mockRestore();
});
