/** Links that are followed on the way to one file, as many as Linux follows. */
const linkLimit = 40;

/**
 * The path behind the links in a path, as a process sees it whose root is the folder or archive: `..` at the root stays
 * there, and an absolute link starts there, so no link leads out.
 * @param linkAt where a link points, as it is written; undefined when there is no link at that path.
 * @returns undefined when the links go in circles.
 */
export function resolveLinks(path: string, linkAt: (path: string) => string | undefined): string | undefined {
  const resolved: string[] = [];
  const ahead = parts(path).reverse();
  let links = 0;
  for (let part = ahead.pop(); part !== undefined; part = ahead.pop()) {
    if (part === "..") {
      resolved.pop();
      continue;
    }
    const here = [...resolved, part].join("/");
    const target = linkAt(here);
    if (target === undefined) {
      resolved.push(part);
      continue;
    }
    links++;
    if (links > linkLimit) return undefined;
    if (target.startsWith("/")) resolved.length = 0;
    ahead.push(...parts(target).reverse());
  }
  return resolved.join("/");
}

function parts(path: string): string[] {
  return path.split("/").filter((part) => part !== "" && part !== ".");
}
