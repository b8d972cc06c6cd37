import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, afterEach, describe, expect, test } from "vitest";
import { browserObstacle, openBrowser } from "./open-browser.ts";

test.each([
  ["linux", { DISPLAY: ":0" }, 1000, null],
  ["linux", { WAYLAND_DISPLAY: "wayland-0" }, 1000, null],
  ["linux", {}, 1000, "there is no display"],
  ["linux", { DISPLAY: ":0" }, 0, "no browser is started as root"],
  ["darwin", {}, 501, null],
  ["win32", {}, undefined, null],
] as const)("on %s with %j, user %s: %s", (platform, env, uid, obstacle) => {
  expect(browserObstacle(platform, env, uid)).toBe(obstacle);
});

describe.skipIf(process.platform === "win32")("the browser is started by the desktop's own command", () => {
  const folder = mkdtempSync(join(tmpdir(), "intremap-browser-"));
  const path = process.env["PATH"];
  afterEach(() => (process.env["PATH"] = path));
  afterAll(() => rmSync(folder, { recursive: true }));

  test("with the address alone", async () => {
    const seen = join(folder, "seen");
    writeFileSync(
      join(folder, "xdg-open"),
      `#!/bin/sh\nprintf '%s ' "$@" > ${seen}.new; mv ${seen}.new ${seen}\n`,
      {
        mode: 0o755,
      },
    );
    process.env["PATH"] = `${folder}:${path}`;
    let failures = 0;
    openBrowser("http://127.0.0.1:1/open/x", () => failures++, "linux");
    await expect.poll(() => existsSync(seen)).toBe(true);
    expect({ said: readFileSync(seen, "utf8"), failures }).toEqual({
      said: "http://127.0.0.1:1/open/x ",
      failures: 0,
    });
  });

  test("and its failure, or its absence, is told", async () => {
    writeFileSync(join(folder, "xdg-open"), "#!/bin/sh\nexit 3\n", { mode: 0o755 });
    process.env["PATH"] = `${folder}:${path}`;
    await new Promise<void>((told) => openBrowser("x", told, "linux"));
    process.env["PATH"] = join(folder, "nothing");
    await new Promise<void>((told) => openBrowser("x", told, "linux"));
  });
});
