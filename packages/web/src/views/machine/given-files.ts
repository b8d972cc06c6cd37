import { isWanted } from "@intremap/core";
import type { HostInput, PathFile } from "../../engine/host-input.ts";

/** What a folder may hold of what a reader looks at; a whole /sys has less. */
const mostFiles = 200_000;
/** Files that are given by themselves; more are a folder's. */
const mostLoose = 64;
/** Files whose names are told. */
const mostNamed = 3;

/** @throws Error in one line. */
function folderInput(name: string, folder: readonly PathFile[]): HostInput {
  if (folder.length === 0) throw new Error(`${name}: there is no file of a host in it`);
  return { name, folder };
}

/**
 * What was chosen: one file, several, or the files of a folder.
 * @throws Error in one line.
 */
export function chosenInput(list: FileList): HostInput {
  const files = [...list];
  const [first] = files;
  const folder = first?.webkitRelativePath.split("/")[0] ?? "";
  if (folder === "") return looseInput(files);
  const inside = files
    .map((file) => ({ path: file.webkitRelativePath.slice(folder.length + 1), file }))
    .filter(({ path }) => isWanted(path));
  if (inside.length > mostFiles) throw tooMany(folder);
  return folderInput(folder, inside);
}

function looseInput(files: readonly File[]): HostInput {
  if (files.length === 0) throw new Error("there is no file in it");
  if (files.length > mostLoose) throw new Error(`${files.length} files: give the folder that they lie in`);
  const names = files.map((file) => file.name);
  return { name: names.length > mostNamed ? `${names.length} files` : names.join(", "), files };
}

function tooMany(name: string): Error {
  return new Error(`${name} holds more than ${mostFiles.toLocaleString("en")} files: give a smaller folder`);
}

/**
 * What was dropped: files, or a folder.
 * @throws Error in one line when nothing in it is a file, there is more beside a folder, or the browser does not read it.
 */
export async function droppedInput(transfer: DataTransfer): Promise<HostInput> {
  // Both are gone once the event is over.
  const files = [...transfer.files];
  const entries = [...transfer.items].map((item) => (item.kind === "file" ? item.webkitGetAsEntry() : null));
  const folder = entries.find((entry) => entry?.isDirectory === true) as FileSystemDirectoryEntry | undefined;
  if (folder === undefined) return looseInput(files);
  if (entries.length > 1) throw new Error(`${folder.name} and more: give one folder at a time`);
  const found: PathFile[] = [];
  await readFolder(folder, folder.fullPath.length + 1, found, folder.name);
  return folderInput(folder.name, found);
}

async function readFolder(
  folder: FileSystemDirectoryEntry,
  prefix: number,
  found: PathFile[],
  name: string,
): Promise<void> {
  const reader = folder.createReader();
  for (;;) {
    const batch = await new Promise<FileSystemEntry[]>((resolve, reject) => {
      reader.readEntries(resolve, reject);
    });
    if (batch.length === 0) return;
    for (const entry of batch) {
      const path = entry.fullPath.slice(prefix);
      if (entry.isDirectory) await readFolder(entry as FileSystemDirectoryEntry, prefix, found, name);
      else if (isWanted(path)) {
        const file = await new Promise<File>((resolve, reject) => {
          (entry as FileSystemFileEntry).file(resolve, reject);
        });
        found.push({ path, file });
        if (found.length > mostFiles) throw tooMany(name);
      }
    }
  }
}
