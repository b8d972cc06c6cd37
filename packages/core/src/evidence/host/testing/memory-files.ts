import { InputError } from "../../input-error.ts";
import type { HostFiles } from "../files.ts";

/** What a test has at a path: text or bytes, where a link points, or that it cannot be read. */
export type Content = string | Uint8Array | { readonly link: string } | { readonly refused: string };

/** Files in memory, by their paths. */
export function memoryFiles(contents: Readonly<Record<string, Content>>): HostFiles {
  const at = (path: string): Content | undefined => contents[path];
  return {
    name: "memory",
    read(path) {
      const content = at(path);
      if (content === undefined || typeof content === "string") {
        return content === undefined
          ? undefined
          : Uint8Array.from(content, (character) => character.charCodeAt(0));
      }
      if (content instanceof Uint8Array) return content;
      if ("refused" in content) throw new InputError(`${path}: ${content.refused}`);
      return undefined;
    },
    list(path) {
      const folder = path === "" ? "" : `${path}/`;
      const names = Object.keys(contents)
        .filter((name) => name.startsWith(folder))
        .map((name) => name.slice(folder.length).split("/", 1)[0]!);
      return [...new Set(names)].sort();
    },
    link(path) {
      const content = at(path);
      return typeof content === "object" && "link" in content ? content.link : undefined;
    },
  };
}
