import { readFileSync, readdirSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { consoleBlocks, consoleOutput, differenceOf } from "./testing/console-block.ts";

const root = new URL("../../../", import.meta.url);
const pages = readdirSync(new URL("docs/", root))
  .filter((name) => name.endsWith(".md"))
  .map((name) => `docs/${name}`)
  .concat("README.md");

const patience = 60_000;

describe.each(pages)("%s", (page) => {
  const blocks = consoleBlocks(readFileSync(new URL(page, root), "utf8"));
  for (const { line, command, shown } of blocks) {
    test(
      `line ${line}: ${command}`,
      async () => {
        const difference = differenceOf(shown, await consoleOutput(command));
        expect(
          difference,
          `${page}:${line}: "npm run docs" writes what is printed now\n${difference}`,
        ).toBeNull();
      },
      patience,
    );
  }

  test("every block is one that can be run", () => {
    expect(blocks.every(({ command }) => command.startsWith("npx intremap "))).toBe(true);
  });
});

test("the page about remapping and posting shows what it says", () => {
  const page = readFileSync(new URL("docs/remapping-and-posting.md", root), "utf8");
  expect(consoleBlocks(page).length).toBeGreaterThan(12);
});
