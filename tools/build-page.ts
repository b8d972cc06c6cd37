import { cpSync } from "node:fs";
import { resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { build } from "vite";

const web = fileURLToPath(new URL("../packages/web/", import.meta.url));

/** Builds the page and its engine into a folder, which works from any path: for its users, whoever asks. */
export async function buildPage(folder: string): Promise<void> {
  process.env["NODE_ENV"] = "production";
  for (const configFile of ["vite.config.ts", "engine.config.ts"]) {
    await build({
      root: web,
      configFile: `${web}${configFile}`,
      logLevel: "warn",
      build: { outDir: folder, emptyOutDir: configFile === "vite.config.ts" },
    });
  }
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const [folder, ...copies] = process.argv.slice(2).map((path) => resolve(path));
  await buildPage(folder!);
  for (const copy of copies) cpSync(folder!, copy, { recursive: true });
}
