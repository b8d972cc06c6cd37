import { readFileSync, readdirSync, writeFileSync } from "node:fs";
import {
  type ConsoleBlock,
  consoleBlocks,
  consoleOutput,
  isCut,
  isRefusal,
  refreshed,
  withOutputs,
} from "../packages/cli/src/testing/console-block.ts";

/**
 * Writes what the commands in the pages print now into their blocks; `npm test` fails where a page shows something else.
 * A block whose command cannot do its work is left as it is.
 */
const root = new URL("../", import.meta.url);
const pages = readdirSync(new URL("docs/", root))
  .filter((name) => name.endsWith(".md"))
  .map((name) => `docs/${name}`);

for (const page of [...pages, "README.md"]) {
  const file = new URL(page, root);
  const text = readFileSync(file, "utf8");
  const blocks = consoleBlocks(text);
  const outputs: (readonly string[])[] = [];
  for (const block of blocks) outputs.push(await outputOf(page, block));
  const fresh = withOutputs(text, blocks, outputs);
  if (fresh !== text) writeFileSync(file, fresh);
}

async function outputOf(page: string, { line, command, shown }: ConsoleBlock): Promise<readonly string[]> {
  const place = `${page}:${line}: ${command}`;
  const printed = await consoleOutput(command);
  if (isRefusal(shown, printed)) {
    console.error(`${place}: left as it is: ${printed.at(-2)}`);
    process.exitCode = 1;
    return shown;
  }
  const lines = refreshed(shown, printed);
  const lost = shown.filter(isCut).length - lines.filter(isCut).length;
  if (lines.join("\n") !== shown.join("\n"))
    console.log(`${place}${lost === 0 ? "" : `: ${lost} of its cuts found no place`}`);
  return lines;
}
