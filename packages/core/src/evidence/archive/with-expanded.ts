import type { HostFiles } from "../host/files.ts";
import { inOnePiece, readChunks } from "../input/chunks.ts";
import { type Expanders, expanded } from "../input/expand.ts";
import { InputError } from "../input-error.ts";
import { defaultLimit, tooLarge } from "./archive-files.ts";

const compressed = /^.+\.bin\.xz$/;
const expandedBytes = 16 * 2 ** 20;
const most = 64;

/** Adds `X.bin` where there is an `X.bin.xz` at the top: tables that were captured beside a machine's files. */
export async function withExpanded(files: HostFiles, expanders: Expanders): Promise<HostFiles> {
  const names = files.list("");
  const contents = new Map<string, Uint8Array | InputError>();
  for (const packed of names.filter((name) => compressed.test(name)).slice(0, most)) {
    const name = packed.slice(0, -".xz".length);
    if (!names.includes(name)) contents.set(name, await expand(files, packed, expanders));
  }
  if (contents.size === 0) return files;
  return {
    name: files.name,
    read: (path, limit = defaultLimit) => {
      const content = contents.get(path);
      if (content === undefined) return files.read(path, limit);
      if (content instanceof InputError) throw content;
      if (content.length > limit) throw tooLarge(files.name, path, limit);
      return content;
    },
    list: (path) => (path === "" ? [...names, ...contents.keys()].sort() : files.list(path)),
    link: (path) => files.link(path),
  };
}

async function expand(
  files: HostFiles,
  name: string,
  expanders: Expanders,
): Promise<Uint8Array | InputError> {
  try {
    const bytes = files.read(name);
    if (bytes === undefined) throw new InputError(`${files.name}: ${name}: no such file`);
    const where = `${files.name}: ${name}`;
    return await readChunks(expanded(inOnePiece(bytes), where, expanders), where, expandedBytes);
  } catch (error) {
    if (error instanceof InputError) return error;
    throw error;
  }
}
