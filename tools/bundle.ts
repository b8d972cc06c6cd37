import { fileURLToPath } from "node:url";
import { rolldown } from "rolldown";

/**
 * Bundles an entry file with everything that it imports: `bundle.ts ENTRY OUTPUT`. An output that ends in `/` is a folder,
 * in which commands that are loaded when they are called stand beside the entry.
 */
const root = fileURLToPath(new URL("..", import.meta.url));
const [entry, output] = process.argv.slice(2) as [string, string];
const bundle = await rolldown({
  input: entry,
  cwd: root,
  platform: "node",
  resolve: { conditionNames: ["intremap-src", "node", "import"] },
});
await bundle.write(
  output.endsWith("/")
    ? { dir: output, entryFileNames: "intremap.js", cleanDir: true }
    : { file: output, codeSplitting: false },
);
