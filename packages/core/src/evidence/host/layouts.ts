import type { HostFiles } from "./files.ts";
import { captureFiles } from "./capture-files.ts";

/** Folders of which a root tree has at least one. */
const roots = ["proc", "sys", "sos_commands"];
/** Folders that are looked into: an archive has everything below one. */
const folderLimit = 16;

/** A folder of some files as files of their own; an empty name is the files themselves. */
function filesBelow(files: HostFiles, folder: string): HostFiles {
  if (folder === "") return files;
  const below = (path: string): string => (path === "" ? folder : `${folder}/${path}`);
  return {
    name: files.name,
    read: (path, limit) => files.read(below(path), limit),
    list: (path) => files.list(below(path)),
    link: (path) => files.link(below(path)),
  };
}

/**
 * The tree of a Linux root in some files: the files themselves, those of a sosreport or of a capture of the lab, or of
 * any of them below one folder, as in an archive.
 */
export function rootFiles(files: HostFiles): HostFiles {
  for (const folder of ["", ...files.list("").slice(0, folderLimit)]) {
    const below = filesBelow(files, folder);
    const names = below.list("");
    if (roots.some((name) => names.includes(name))) return below;
    const capture = captureFiles(below);
    if (capture !== undefined) return capture;
  }
  return files;
}
