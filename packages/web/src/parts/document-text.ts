import { hex } from "@intremap/core";

/** The document that a command prints with `--json`. */
export function documentText(command: string, body: object): string {
  return `${JSON.stringify({ schema: `intremap/${command}/1`, ...body }, plain, 2)}\n`;
}

function plain(_key: string, value: unknown): unknown {
  return typeof value === "bigint" ? hex(value) : value;
}
