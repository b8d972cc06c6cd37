import {
  type HostFiles,
  type HostPlatform,
  InputError,
  type SparseLimits,
  type TarLimits,
  isWanted,
  keptFiles,
  openHost as open,
  openHostFiles,
  inOnePiece,
  rootNames,
  textLimit,
} from "@intremap/core";
import type { HostInput } from "../host-input.ts";
import { keepHost } from "../kept-host.ts";
import { codecs, expanders } from "../sources/decoders.ts";
import { FileSlices } from "../sources/file-slices.ts";
import type { Tell } from "../tasks.ts";

/** A page has less memory than a command, and somebody who waits for it. */
const sparse: SparseLimits = { kept: 2 ** 30, length: 4 * 2 ** 30 };
const archive: TarLimits = {
  entries: 500_000,
  walked: 2 * 2 ** 30,
  keptEntries: 1 << 18,
  kept: 128 * 2 ** 20,
  file: 64 * 2 ** 20,
};
const mostFiles = 1 << 18;

/**
 * Opens a host and keeps it for the tasks that ask about it; what was open before is let go.
 * Nothing of it leaves the page.
 * @throws InputError when it cannot be read, or says nothing of a host.
 */
export async function openHost(input: HostInput, tell: Tell): Promise<{ readonly source: string }> {
  keepHost(null);
  const platform: HostPlatform = {
    expanders,
    codecs,
    progress: (text) => tell(text()),
    sparse,
    archive,
  };
  const { name } = input;
  if ("text" in input) {
    if (input.text.length > textLimit) {
      throw new InputError(`${name}: more than ${textLimit / 2 ** 20} MiB, which is the most that is read`);
    }
    const bytes = new TextEncoder().encode(input.text);
    return keepHost(await open({ name, chunks: () => inOnePiece(bytes) }, name, platform));
  }
  const { files } = input;
  const [only] = files;
  if (files.length === 1 && only!.path === only!.file.name) {
    const file = new FileSlices(only!.file, name);
    return keepHost(await open({ name, chunks: () => file.chunks(), open: () => file }, name, platform));
  }
  return keepHost(await openHostFiles(folderOf(input, files), name, platform));
}

/** A picked folder stands in its files' paths by its name; a browser shows no links. */
function folderOf({ name }: HostInput, files: readonly { path: string; file: File }[]): HostFiles {
  if (files.length > mostFiles) throw new InputError(`${name}: more than ${mostFiles} files`);
  const prefix = `${name}/`;
  const inside = files.every(({ path }) => path.startsWith(prefix)) ? prefix.length : 0;
  const kept = files
    .map(({ path, file }) => ({ path: path.slice(inside), file }))
    .filter(({ path }) => isWanted(path))
    .map(({ path, file }) => {
      const slices = new FileSlices(file, `${name}: ${path}`);
      return { path, content: { length: file.size, read: () => slices.read(0, file.size) } };
    });
  return keptFiles(kept, name, rootNames);
}
