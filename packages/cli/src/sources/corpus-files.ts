import { existsSync, readFileSync, readdirSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import type { CorpusFile } from "@intremap/core";

const extension = ".json";

/** Where the corpus that comes with the command lies: beside the bundle, or in the repository. */
function corpusFolder(): string {
  const here = dirname(fileURLToPath(import.meta.url));
  const shipped = join(here, "cases");
  return existsSync(shipped) ? shipped : join(here, "../../../../cases");
}

/** The files of the conformance corpus, by folder and name. */
export function corpusFiles(): CorpusFile[] {
  const root = corpusFolder();
  return readdirSync(root, { withFileTypes: true })
    .filter((entry) => entry.isDirectory())
    .flatMap(({ name }) => readdirSync(join(root, name)).map((file) => `${name}/${file}`))
    .filter((path) => path.endsWith(extension))
    .sort()
    .map((path) => ({ name: path, content: readFileSync(join(root, path), "utf8") }));
}
