import { execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import { cpSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { unpackHost } from "@intremap/core";
import { expect, test } from "vitest";
import { capturePath } from "../testing/captured-host.ts";
import { pageNames } from "./page-files.ts";

const root = fileURLToPath(new URL("../../../../", import.meta.url));

/** The command as it is packed, with a page that says its files' names. */
function packed(folder: string): string {
  const dist = join(folder, "dist");
  const entry = join(root, "packages/cli/src/main.ts");
  execFileSync(process.execPath, ["--import", "tsx", join(root, "tools/bundle.ts"), entry, `${dist}/`], {
    cwd: root,
    stdio: "ignore",
  });
  mkdirSync(join(dist, "web"));
  for (const name of pageNames) writeFileSync(join(dist, "web", name), `this is ${name}`);
  for (const name of ["bin", "package.json"]) {
    cpSync(join(root, "packages/cli", name), join(folder, name), { recursive: true });
  }
  return join(folder, "bin/intremap.js");
}

test(
  "the packed command serves the page that lies beside it until it is interrupted from the keyboard",
  { timeout: 60_000 },
  async () => {
    const folder = mkdtempSync(join(tmpdir(), "intremap-packed-"));
    try {
      const command = packed(folder);
      const child = spawn(process.execPath, [
        command,
        "serve",
        "--no-open",
        "--from",
        capturePath("intel61-hold"),
      ]);
      let said = "";
      child.stderr.on("data", (text) => (said += String(text)));
      const [line] = (await once(child.stdout, "data")) as [Buffer];
      const address = line.toString().trim();
      expect(await (await fetch(`${address}engine.js`)).text()).toBe("this is engine.js");
      expect(unpackHost(await (await fetch(`${address}host`)).text()).processors).toHaveLength(4);
      child.kill("SIGINT");
      const [status] = (await once(child, "close")) as [number];
      expect({ status, said }).toEqual({ status: 130, said: "" });
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }
  },
);
