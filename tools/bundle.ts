import { fileURLToPath } from "node:url";
import { rolldown } from "rolldown";

/**
 * Bundles entry files with everything that they import: `bundle.ts ENTRY… OUTPUT`. An output that ends in `/` is a folder,
 * in which commands that are loaded when they are called stand beside the entry, and so do other entries: they are run
 * by threads.
 */
const root = fileURLToPath(new URL("..", import.meta.url));
const entries = process.argv.slice(2);
const output = entries.pop()!;
const bundle = await rolldown({
  input: entries,
  cwd: root,
  platform: "node",
  resolve: { conditionNames: ["intremap-src", "node", "import"] },
});
await bundle.write(
  output.endsWith("/")
    ? {
        dir: output,
        entryFileNames: ({ name }) => (name === "main" ? "intremap.js" : `${name}.js`),
        cleanDir: true,
      }
    : { file: output, codeSplitting: false },
);
