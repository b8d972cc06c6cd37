import {
  type HostFiles,
  type HostPlatform,
  type HostState,
  InputError,
  type SparseLimits,
  type TarLimits,
  decodeText,
  expanded,
  inOnePiece,
  isWanted,
  keptFiles,
  kindBytes,
  kindOf,
  letGo,
  openHost as open,
  openHostFiles,
  peek,
  readChunks,
  rootNames,
  textLimit,
  tooMuch,
} from "@intremap/core";
import type { HostInput, PathFile } from "../host-input.ts";
import { keepHost, letHostGo } from "../kept-host.ts";
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

/**
 * Opens a host and keeps it for the tasks that ask about it; what was open before is let go.
 * Nothing of it leaves the page.
 * @throws InputError when it cannot be read, or says nothing of a host.
 */
export async function openHost(input: HostInput, tell: Tell): Promise<void> {
  letHostGo();
  const platform: HostPlatform = {
    expanders,
    codecs,
    progress: (text) => tell(text()),
    sparse,
    archive,
  };
  const { name } = input;
  if ("folder" in input) keepHost(await openHostFiles(filesOf(name, input.folder), name, platform));
  else if ("text" in input) keepHost(await openText(name, input.text, platform));
  else if (input.files.length > 1) {
    keepHost(await openText(name, await textOf(name, input.files, tell), platform));
  } else {
    const file = new FileSlices(input.files[0]!, name);
    keepHost(await open({ name, chunks: () => file.chunks(), open: () => file }, name, platform));
  }
}

function openText(name: string, text: string, platform: HostPlatform): Promise<HostState> {
  if (text.length > textLimit) throw tooMuch(name, textLimit);
  const bytes = new TextEncoder().encode(text);
  return open({ name, chunks: () => inOnePiece(bytes) }, name, platform);
}

/**
 * Text of one host that was printed into several files.
 * @throws InputError when one of them is no text.
 */
async function textOf(name: string, files: readonly File[], tell: Tell): Promise<string> {
  const texts: string[] = [];
  let length = 0;
  for (const file of files) {
    tell(`${file.name}: reading`);
    const slices = new FileSlices(file, file.name);
    const { head, rest } = await peek(expanded(slices.chunks(), file.name, expanders), kindBytes);
    if (kindOf(head) !== "text") {
      await letGo(rest);
      throw new InputError(`${file.name}: no text, which several files have to be: give it by itself`);
    }
    const bytes = await readChunks(rest, file.name, textLimit);
    length += bytes.length;
    if (length > textLimit) throw tooMuch(name, textLimit);
    texts.push(decodeText(bytes));
  }
  return texts.join("\n");
}

/** A browser shows no links. */
function filesOf(name: string, folder: readonly PathFile[]): HostFiles {
  const kept = folder
    .filter(({ path }) => isWanted(path))
    .map(({ path, file }) => {
      const slices = new FileSlices(file, `${name}: ${path}`);
      return { path, content: { length: file.size, read: () => slices.read(0, file.size) } };
    });
  return keptFiles(kept, name, rootNames);
}
