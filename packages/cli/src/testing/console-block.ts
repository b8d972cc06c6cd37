import { exitStatus } from "../io.ts";
import { run } from "../program.ts";
import { testIo } from "./test-io.ts";

/** One fenced `console` block of a page: a command, and what it prints. */
export interface ConsoleBlock {
  /** The line of the command in the page, from 1. */
  readonly line: number;
  readonly command: string;
  /** What the page says that it prints; a line `…` stands for one or more lines left out. */
  readonly shown: readonly string[];
  /** Where the lines behind the command begin and end in the page. */
  readonly from: number;
  readonly to: number;
}

const fences = /^```console\n\$ ([^\n]*)\n(.*?)^```$/gms;
const opening = /^```console$/gm;
const prompt = "npx intremap ";

/** The blocks of a page. @throws when one of them does not begin with a command. */
export function consoleBlocks(page: string): ConsoleBlock[] {
  const blocks = [...page.matchAll(fences)].map((match) => {
    const [, command, shown] = match as unknown as [string, string, string];
    const from = match.index + match[0].indexOf("\n$ ") + command.length + "\n$ \n".length;
    return { line: lineAt(page, from) - 1, command, shown: linesOf(shown), from, to: from + shown.length };
  });
  for (const { index } of page.matchAll(opening)) {
    if (blocks.some(({ line }) => line === lineAt(page, index) + 1)) continue;
    throw new Error(`line ${lineAt(page, index)}: a console block begins with "$ ${prompt}…" and is closed`);
  }
  return blocks;
}

/** What a command prints, line by line, as a terminal shows it. The exit status is a last line unless it is 0. */
export async function consoleOutput(command: string): Promise<string[]> {
  const { args, head } = parsed(command);
  const io = testIo("", { NO_COLOR: "1" });
  const status = await run(args, io);
  // Behind a pipe the status is that of head.
  if (head !== null) return [...linesOf(io.out()).slice(0, head), ...linesOf(io.err())];
  const end = status === exitStatus.clean ? [] : [statusLine(status)];
  return [...linesOf(io.out()), ...linesOf(io.err()), ...end];
}

const words = /\s*(?:'([^']*)'|"([^"$`\\]*)"|([\w./:,=@%+-]+)|(.))(?=\s|$)/gsy;
const pipe = /\s*\|\s*head -(\d+)$/;

function parsed(command: string): { args: string[]; head: number | null } {
  if (!command.startsWith(prompt)) throw new Error(`"${command}": expected ${prompt}…`);
  const head = pipe.exec(command);
  const text = command.slice(prompt.length, head?.index).trim();
  const args: string[] = [];
  let end = 0;
  for (const match of text.matchAll(words)) {
    const [, single, double, bare] = match;
    const word = single ?? double ?? bare;
    if (word === undefined) break;
    args.push(word);
    end = match.index + match[0].length;
  }
  if (end < text.length) {
    throw new Error(`"${command}": of a shell only words, quotes and "| head -N" are understood here`);
  }
  return { args, head: head === null ? null : Number(head[1]) };
}

/** The first difference between what a page shows and what was printed, or null. */
export function differenceOf(shown: readonly string[], printed: readonly string[]): string | null {
  const parts = partsOf(shown);
  let at = 0;
  for (const [i, part] of parts.entries()) {
    const last = i === parts.length - 1;
    const start =
      i === 0 ? 0 : last ? Math.max(at + 1, printed.length - part.length) : find(part, printed, at + 1);
    const from = start < 0 ? nearest(part, printed, at + 1) : start;
    for (let k = 0; k < part.length; k++) {
      if (printed[from + k] === part[k]) continue;
      return `shown:   ${part[k]}\nprinted: ${printed[from + k] ?? "nothing more"}`;
    }
    at = from + part.length;
    if (i > 0 && last && at > printed.length) return "shown:   …\nprinted: no line that could be left out";
  }
  return at < printed.length ? `shown:   nothing more\nprinted: ${printed[at]!}` : null;
}

/**
 * What a page shows, brought up to date: cuts stay where the lines before and behind them are still printed, perhaps with
 * other numbers and in other columns; everything else is written out.
 */
export function refreshed(shown: readonly string[], printed: readonly string[]): string[] {
  if (differenceOf(shown, printed) === null) return [...shown];
  const parts = partsOf(shown);
  const cuts = shown.filter(isCut);
  const lines: string[] = [];
  let at = 0;
  for (const [i, cut] of cuts.entries()) {
    const before = parts[i]!.length === 0 ? at : behind(parts[i]!, printed, at);
    const after = parts[i + 1]!.length === 0 ? printed.length : nearest(parts[i + 1]!, printed, before + 1);
    const [first] = parts[i + 1]!;
    if (before < 0 || after <= before || (first !== undefined && likeness(printed[after], first) === 0))
      continue;
    lines.push(...printed.slice(at, before), cut);
    at = after;
  }
  return [...lines, ...printed.slice(at)];
}

/** Page with the lines of each block as `outputs` has them, in the order of the blocks. */
export function withOutputs(
  page: string,
  blocks: readonly ConsoleBlock[],
  outputs: readonly (readonly string[])[],
): string {
  let result = "";
  let at = 0;
  for (const [i, { from, to }] of blocks.entries()) {
    result += page.slice(at, from) + outputs[i]!.map((line) => `${line}\n`).join("");
    at = to;
  }
  return result + page.slice(at);
}

/** The runs of lines between cuts; one more than there are cuts. */
function partsOf(shown: readonly string[]): string[][] {
  const parts: string[][] = [[]];
  for (const line of shown) {
    if (isCut(line)) parts.push([]);
    else parts.at(-1)!.push(line);
  }
  return parts;
}

function statusLine(status: number): string {
  return `(exit status ${status})`;
}

/** A command that a page shows at work could not do it now. */
export function isRefusal(shown: readonly string[], printed: readonly string[]): boolean {
  const line = statusLine(exitStatus.unusable);
  return printed.at(-1) === line && shown.at(-1) !== line;
}

export function isCut(line: string): boolean {
  return line.trim() === "…";
}

/** Where a run of lines is printed first, from some line on; -1 where it is not. */
function find(part: readonly string[], printed: readonly string[], from: number): number {
  for (let at = from; at + part.length <= printed.length; at++) {
    if (part.every((line, i) => printed[at + i] === line)) return at;
  }
  return -1;
}

/** Where most of the first lines of a run are printed, from some line on. */
function nearest(part: readonly string[], printed: readonly string[], from: number): number {
  let best = { at: from, like: 0 };
  for (let at = from; at < printed.length; at++) {
    const like = agreement(part.length, (i) => likeness(printed[at + i], part[i]));
    if (like > best.like) best = { at, like };
  }
  return best.at;
}

/** The line behind the place where most of the last lines of a run are printed, from some line on; -1 for none. */
function behind(part: readonly string[], printed: readonly string[], from: number): number {
  let best = { at: -1, like: 0 };
  for (let at = from + 1; at <= printed.length; at++) {
    const most = Math.min(part.length, at - from);
    const like = agreement(most, (i) => likeness(printed[at - i - 1], part.at(-1 - i)));
    if (like > best.like) best = { at, like };
  }
  return best.at;
}

/** How well lines agree, one after another until two do not at all. */
function agreement(lines: number, likenessOf: (line: number) => number): number {
  let sum = 0;
  for (let i = 0; i < lines; i++) {
    const like = likenessOf(i);
    if (like === 0) break;
    sum += like;
  }
  return sum;
}

/** 2 for the same line, 1 for one that differs in numbers and blanks alone. */
function likeness(left: string | undefined, right: string | undefined): 0 | 1 | 2 {
  if (left === undefined || right === undefined) return 0;
  if (left === right) return 2;
  return plain(left) === plain(right) ? 1 : 0;
}

function plain(line: string): string {
  return line
    .trim()
    .replaceAll(/\s+/g, " ")
    .replaceAll(/\d[\d,.]*/g, "0");
}

function linesOf(text: string): string[] {
  const lines = text.split("\n");
  if (lines.at(-1) === "") lines.pop();
  return lines;
}

function lineAt(page: string, offset: number): number {
  return page.slice(0, offset).split("\n").length;
}
