import {
  InputError,
  type InputKind,
  type PastedTable,
  type Recognition,
  decodeText,
  expanded,
  kindBytes,
  kindOf,
  letGo,
  peek,
  readChunks,
  recognise as recogniseText,
  recogniseTable,
  textLimit,
} from "@intremap/core";
import { expanders } from "../sources/decoders.ts";
import { FileSlices } from "../sources/file-slices.ts";
import type { Tell } from "../tasks.ts";

/** What a text or a file is. */
export interface Recognised {
  readonly kind: InputKind;
  /** Of a text or trace. */
  readonly text: Recognition | null;
  /** Of a file that is a firmware table. */
  readonly table: PastedTable | null;
}

/** No firmware table is larger. */
const tableLimit = 1 << 20;

/**
 * Says what was given; of archives and dumps no more than their kind.
 * @throws InputError when the file cannot be read, or is text and too long.
 */
export async function recognise(
  input: { readonly text: string } | { readonly file: File },
  tell: Tell,
): Promise<Recognised> {
  tell("reading");
  if ("text" in input) return ofText(input.text, tell);
  const { file } = input;
  const slices = new FileSlices(file, file.name);
  try {
    const { head, rest } = await peek(expanded(slices.chunks(), file.name, expanders), kindBytes);
    const kind = kindOf(head);
    if (kind === "text" || kind === "trace") {
      return ofText(decodeText(await readChunks(rest, file.name, textLimit)), tell);
    }
    if (kind !== "unknown") {
      await letGo(rest);
      return { kind, text: null, table: null };
    }
    const table = recogniseTable(head);
    if (table === undefined || head.length < kindBytes) {
      await letGo(rest);
      return { kind, text: null, table: table ?? null };
    }
    return { kind, text: null, table: recogniseTable(await readChunks(rest, file.name, tableLimit)) ?? null };
  } finally {
    slices.close();
  }
}

function ofText(text: string, tell: Tell): Recognised {
  if (text.length > textLimit) {
    throw new InputError(`more than ${textLimit / 2 ** 20} MiB of text, which is the most that is read`);
  }
  const found = recogniseText(text, tell);
  return { kind: found.trace ? "trace" : "text", text: found, table: null };
}
