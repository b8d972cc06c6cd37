import { existsSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { InputError } from "@intremap/core";

/** Everything that the page consists of. */
export const pageNames = ["index.html", "app.css", "app.js", "engine.js"] as const;

export type PageFiles = Readonly<Record<(typeof pageNames)[number], string>>;

/** Where the page lies: beside the bundle, or in the repository. */
function pageFolder(): string {
  const here = dirname(fileURLToPath(import.meta.url));
  const shipped = join(here, "web");
  return existsSync(shipped) ? shipped : join(here, "../../../web/dist");
}

/** @throws InputError when it was not built. */
export function readPage(folder: string = pageFolder()): PageFiles {
  const files = pageNames.map((name) => {
    const path = join(folder, name);
    if (!existsSync(path)) throw new InputError(`${path} is not there: "npm run build" makes the page`);
    return [name, readFileSync(path, "utf8")] as const;
  });
  return Object.fromEntries(files) as unknown as PageFiles;
}
