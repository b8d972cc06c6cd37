import { statSync } from "node:fs";
import {
  HostDraft,
  type HostFiles,
  type HostPlatform,
  type HostState,
  finishHost,
  hostSources,
  openHost,
  openHostFiles,
  rootNames,
} from "@intremap/core";
import type { Io } from "../io.ts";
import { Progress } from "../progress.ts";
import { chunksOf, expanders, nameOf } from "./expand.ts";
import { FileBytes } from "./file-bytes.ts";
import { HostFolder } from "./host-folder.ts";
import { interruptible } from "./interruptible.ts";
import { readLive } from "./live.ts";
import { pageCodecs } from "./page-codecs.ts";

/** What can be read, for messages. */
const accepted = `live, ${hostSources}`;

/**
 * Reads the picture of a host from what `--from` names: `live` for the machine itself, a folder, a file whose kind its
 * content tells, or `-` for standard input. Nothing is written anywhere.
 * @throws InputError when it cannot be read, or says nothing of a host.
 */
export async function readHost(from: string, io: Io): Promise<HostState> {
  const progress = new Progress(io.stderr);
  const platform: HostPlatform = {
    expanders,
    codecs: pageCodecs,
    progress: (text) => progress.show(text),
    busy: interruptible,
    accepted,
  };
  try {
    if (from === "live") {
      const draft = new HostDraft(from);
      interruptible(() => readLive(draft, platform.progress));
      return finishHost(draft, from, accepted);
    }
    if (isFolder(from)) return await openHostFiles(insideOf(new HostFolder(from)), from, platform);
    const chunks = (): AsyncIterable<Uint8Array> => chunksOf(from, io.stdin);
    return await openHost({ name: nameOf(from), chunks, open: () => plainFile(from) }, from, platform);
  } finally {
    progress.clear();
  }
}

/** A file that can be read by position: no pipe. */
function plainFile(path: string): FileBytes | undefined {
  return path === "-" || !statSync(path).isFile() ? undefined : new FileBytes(path);
}

function isFolder(path: string): boolean {
  return path !== "-" && (statSync(path, { throwIfNoEntry: false })?.isDirectory() ?? false);
}

/** A sosreport lies in a folder of its own. */
function insideOf(folder: HostFolder): HostFiles {
  const names = folder.list("");
  const only = names.length === 1 ? names[0]! : undefined;
  if (only === undefined || rootNames.has(only) || folder.link(only) !== undefined) return folder;
  return folder.list(only).length === 0 ? folder : new HostFolder(`${folder.name}/${only}`, folder.name);
}
