import { hex } from "../spec/codec.ts";

/** JSON with two spaces of indentation; a bigint is `0x…` text. */
export function jsonText(value: object): string {
  return JSON.stringify(
    value,
    (_key, content: unknown) => (typeof content === "bigint" ? hex(content) : content),
    2,
  );
}

/** The one document that a command prints with `--json`: the schema's name first, then the command's own keys. */
export function documentText(command: string, body: object): string {
  return `${jsonText({ schema: `intremap/${command}/1`, ...body })}\n`;
}
