import { signal } from "@preact/signals";
import { hashLimit, hrefOf } from "./route.ts";

/** What was given to the page to be recognised. */
export type Pasted =
  | { readonly kind: "text"; readonly text: string }
  | { readonly kind: "file"; readonly file: File };

/** What was last given: an address holds no file, and no long text. */
export const pasted = signal<Pasted | null>(null);

/** How the address names it. */
export type PastedQuery = Readonly<Record<"text" | "file" | "size", string | undefined>>;

const nothing: PastedQuery = { text: undefined, file: undefined, size: undefined };

export function queryOfPasted(given: Pasted | null): PastedQuery {
  if (given === null) return nothing;
  if (given.kind === "file") return { ...nothing, file: given.file.name, size: `${given.file.size}` };
  const { text } = given;
  if (text === "") return nothing;
  const short = text.length <= hashLimit && hrefOf("paste", { text }).length <= hashLimit;
  return short ? { ...nothing, text } : { ...nothing, size: `${text.length}` };
}

/** What an address names: null where that is not here any more. */
export function pastedFrom(query: Readonly<Record<string, string>>): Pasted | null {
  const { text, file, size } = query;
  if (text !== undefined) return { kind: "text", text };
  const kept = pasted.value;
  const named = queryOfPasted(kept);
  return named.text === undefined && named.file === file && named.size === size ? kept : null;
}
