import { execFileSync } from "node:child_process";
import { cpSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { pageNames } from "../page/page-files.ts";

const root = fileURLToPath(new URL("../../../../", import.meta.url));
const entries = ["main.ts", "verify-worker.ts", "conform-worker.ts"].map((name) =>
  join(root, "packages/cli/src", name),
);

let command: string | undefined;

/**
 * The command as it is packed, for tests that start it: from its source it would be translated anew each time. Beside it
 * lies a page whose files say their names.
 */
export function packedCommand(): string {
  if (command !== undefined) return command;
  const folder = mkdtempSync(join(tmpdir(), "intremap-packed-"));
  process.on("exit", () => rmSync(folder, { recursive: true, force: true }));
  const dist = join(folder, "dist");
  const bundle = ["--import", "tsx", join(root, "tools/bundle.ts"), ...entries, `${dist}/`];
  execFileSync(process.execPath, bundle, { cwd: root, stdio: "ignore" });
  mkdirSync(join(dist, "web"));
  for (const name of pageNames) writeFileSync(join(dist, "web", name), `this is ${name}`);
  for (const name of ["scenarios", "cases"]) cpSync(join(root, name), join(dist, name), { recursive: true });
  for (const name of ["bin", "package.json"]) {
    cpSync(join(root, "packages/cli", name), join(folder, name), { recursive: true });
  }
  return (command = join(folder, "bin/intremap.js"));
}
