import { execFileSync, spawnSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { Workload } from "./workload.mjs";

const hasCompiler = spawnSync("gcc", ["--version"]).status === 0;
const folder = mkdtempSync(join(tmpdir(), "intremap-yardstick-"));
const yardstick = join(folder, "yardstick");

describe.skipIf(!hasCompiler)("the yardstick in C (wants gcc)", () => {
  beforeAll(() => {
    const source = fileURLToPath(new URL("yardstick.c", import.meta.url));
    execFileSync("gcc", ["-O2", "-Wall", "-Wextra", "-Werror", "-o", yardstick, source]);
  });
  afterAll(() => rmSync(folder, { recursive: true, force: true }));

  test.each(
    (["plain", "mixed", "full"] as const).flatMap((name) =>
      [2, 256, 65_536].map((entries) => ({ name, entries })),
    ),
  )("ends in the model's checksum: $name, $entries entries", ({ name, entries }) => {
    const workload = new Workload(name, entries);
    workload.run(3);
    const [, checksum] = execFileSync(yardstick, [name, String(entries), "3"], { encoding: "utf8" })
      .trim()
      .split(" ");
    expect(workload.checksum).toBe(checksum);
  });
});
