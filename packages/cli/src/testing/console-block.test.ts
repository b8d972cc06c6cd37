import { expect, test } from "vitest";
import {
  consoleBlocks,
  consoleOutput,
  differenceOf,
  isRefusal,
  refreshed,
  withOutputs,
} from "./console-block.ts";

const lines = (text: string): string[] => text.split(" ").filter((word) => word !== "");

const page = `# Title

\`\`\`console
$ npx intremap one
a
\`\`\`

\`\`\`ts
not this
\`\`\`

\`\`\`console
$ npx intremap two
\`\`\`
`;

test("blocks are found with their commands, lines and places", () => {
  const [one, two] = consoleBlocks(page) as [never, never];
  expect(one).toMatchObject({ line: 4, command: "npx intremap one", shown: ["a"] });
  expect(two).toMatchObject({ line: 13, command: "npx intremap two", shown: [] });
  expect(withOutputs(page, [one, two], [["b", "c"], ["d"]])).toBe(
    page.replace("one\na", "one\nb\nc").replace("two\n", "two\nd\n"),
  );
  expect(withOutputs(page, [one, two], [["a"], []])).toBe(page);
});

test("a block without a command is refused", () => {
  expect(() => consoleBlocks("text\n\n```console\na\n```\n")).toThrow("line 3");
  expect(() => consoleBlocks("```console\n$ npx intremap x\na\n")).toThrow("line 1");
});

test("a command's words, quotes and head are understood, and its status is shown", async () => {
  expect(await consoleOutput("npx intremap --version | head -1")).toEqual([expect.stringMatching(/^\d/)]);
  const decoded = await consoleOutput(`npx intremap decode 'msi' "fee00018" 0`);
  expect(decoded[0]).toMatch(/^MSI address/);
  expect(await consoleOutput("npx intremap decode msi fee00018 0 | head -2")).toEqual(decoded.slice(0, 2));
  expect(await consoleOutput("npx intremap bogus")).toEqual([
    expect.stringMatching(/^intremap: /),
    "(exit status 2)",
  ]);
});

test("what else a shell can do is refused", async () => {
  for (const rest of ["a | wc", "a > file", "a; b", "$HOME", "a\\ b", "'a", '"$a"', "a && b", "* a"]) {
    await expect(consoleOutput(`npx intremap ${rest}`), rest).rejects.toThrow("only words");
  }
  await expect(consoleOutput("cat file")).rejects.toThrow("expected npx intremap");
});

test.each([
  ["a b c", "a b c", true],
  ["a … c", "a b c", true],
  ["a … d", "a b c d", true],
  ["… c", "a b c", true],
  ["a …", "a b c", true],
  ["a … c … e", "a b c d e", true],
  ["a … c d … f", "a c x c d e f", true],
  ["a … b … d", "a x b c b c d", true],
  ["a b", "a b c", false],
  ["a b c", "a b", false],
  ["a … c", "a c", false],
  ["a …", "a", false],
  ["… c", "c", false],
  ["a … x", "a b c", false],
  ["b … c", "a b c", false],
  ["a … x … d", "a b c d", false],
  ["a … c d", "a c d", false],
])('"%s" against "%s": the same is %s', (shown, printed, same) => {
  expect(differenceOf(lines(shown), lines(printed)) === null).toBe(same);
});

test("a difference names the line that is shown and the one that is printed", () => {
  expect(differenceOf(lines("a … c d"), lines("a b c e"))).toBe("shown:   d\nprinted: e");
  expect(differenceOf(lines("a … c d … z"), lines("a b c e z"))).toBe("shown:   d\nprinted: e");
  expect(differenceOf(lines("a b"), lines("a"))).toBe("shown:   b\nprinted: nothing more");
});

test.each([
  ["a … d", "a b c d", "a … d", "nothing changed"],
  ["a … d e", "a b c d f", "a … d f", "a line behind the cut changed"],
  ["x a … d", "y a b c d", "y a … d", "a line before the cut changed"],
  ["a … d", "x b c d", "x b c d", "the line before the cut went"],
  ["a … d", "a b c x", "a b c x", "the line behind the cut went"],
  ["a … d", "a d", "a d", "nothing is left to cut"],
  ["a …", "a b c", "a …", "a cut at the end stays"],
  ["b …", "a b c", "a b …", "a cut at the end stays where its line is"],
  ["… c d", "a b c e", "… c e", "a cut at the beginning stays"],
  ["a … c d … f", "a b c x e f", "a … c x e f", "one cut of two goes"],
  ["a … c … e f", "a b c d e g", "a … c … e g", "both cuts stay"],
  ["a x … b y … e", "a x b z x b y c e q", "a x … b y … e q", "the place that agrees most is taken"],
  ["a b", "c d", "c d", "everything is new"],
])('"%s" after "%s" was printed is "%s": %s', (shown, printed, wanted) => {
  const result = refreshed(lines(shown), lines(printed));
  expect(result.join(" ")).toBe(wanted);
  expect(differenceOf(result, lines(printed))).toBeNull();
});

test("a cut stays where its lines are printed with other numbers and in other columns", () => {
  const shown = ["58 VM exits", "…", "cycles    1,200", "…"];
  const printed = ["59 VM exits", "0 VM entries", "x", "cycles  17", "y"];
  expect(refreshed(shown, printed)).toEqual(["59 VM exits", "…", "cycles  17", "…"]);
});

test("the same line comes before one with other numbers", () => {
  const printed = ["57 VM exits", "x", "58 VM exits", "y", "cycles  17"];
  expect(refreshed(["58 VM exits", "…", "cycles 1"], printed)).toEqual([
    "57 VM exits",
    "x",
    "58 VM exits",
    "…",
    "cycles  17",
  ]);
});

test("a command that fails now and did not before is told from one that is meant to", async () => {
  const printed = await consoleOutput("npx intremap run no-such-scenario");
  expect(isRefusal(["a", "b"], printed)).toBe(true);
  expect(isRefusal(printed, printed)).toBe(false);
  expect(isRefusal(["a"], ["a", "(exit status 1)"])).toBe(false);
});
