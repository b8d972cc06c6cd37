import type { HostFiles } from "./files.ts";
import { InputError } from "../input-error.ts";
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
 * @throws InputError when several folders hold one each.
 */
export function rootFiles(files: HostFiles): HostFiles {
  const own = rootAt(files, "");
  if (own !== undefined) return own;
  const found = files
    .list("")
    .slice(0, folderLimit)
    .map((folder) => ({ folder, root: rootAt(files, folder) }))
    .filter(({ root }) => root !== undefined);
  if (found.length > 1) {
    const names = found.map(({ folder }) => folder).join(", ");
    throw new InputError(`${files.name}: several hosts (${names}): give one of them`);
  }
  return found[0]?.root ?? files;
}

function rootAt(files: HostFiles, folder: string): HostFiles | undefined {
  const below = filesBelow(files, folder);
  const names = below.list("");
  return roots.some((name) => names.includes(name)) ? below : captureFiles(below);
}
