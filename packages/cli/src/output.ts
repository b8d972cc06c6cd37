import { styleText } from "node:util";
import { documentText } from "@intremap/core";
import type { Io, Sink } from "./io.ts";

/** Writes the one document that `--json` prints. */
export function writeJson(io: Io, command: string, body: object): void {
  io.stdout.write(documentText(command, body));
}

export type Style = "bold" | "dim" | "red" | "yellow" | "green" | "cyan";

export type Paint = (style: Style, text: string) => string;

/** Colours for a stream: NO_COLOR turns them off, FORCE_COLOR on, otherwise a terminal decides. */
export function paintFor(stream: Sink, env: Io["env"]): Paint {
  const forced = env["FORCE_COLOR"];
  const on = env["NO_COLOR"]
    ? false
    : forced !== undefined
      ? forced !== "0" && forced !== "false"
      : stream.isTTY === true && env["TERM"] !== "dumb";
  return on ? (style, text) => styleText(style, text, { validateStream: false }) : (_, text) => text;
}

/** Rows under a header, columns two spaces apart; the last column is not padded. Cells are one line of plain text. */
export function table(header: readonly string[], rows: readonly (readonly string[])[], paint: Paint): string {
  const widths = header.map((title, column) => {
    let width = title.length;
    for (const row of rows) width = Math.max(width, row[column]!.length);
    return width;
  });
  const print = (cells: readonly string[]): string =>
    cells.map((cell, column) => (column < cells.length - 1 ? cell.padEnd(widths[column]!) : cell)).join("  ");
  return [paint("bold", print(header)), ...rows.map(print)].map((line) => `${line.trimEnd()}\n`).join("");
}

/** Breaks text at spaces so that no line is longer than `width`, every line but the first indented. */
export function wrap(text: string, indent: string, width = 100): string {
  const lines: string[] = [];
  let line = "";
  for (const word of text.split(" ")) {
    if (line !== "" && indent.length + line.length + 1 + word.length > width) {
      lines.push(line);
      line = word;
    } else line = line === "" ? word : `${line} ${word}`;
  }
  lines.push(line);
  return lines.join(`\n${indent}`);
}

/** What each vendor's remapping unit is called. */
export const unitNames = { intel: "VT-d", amd: "AMD-Vi" } as const;

/** A number with its thousands apart. */
export function count(number: number): string {
  return number.toLocaleString("en");
}
