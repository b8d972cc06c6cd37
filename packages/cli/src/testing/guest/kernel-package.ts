import { spawnSync } from "node:child_process";
import { existsSync, readFileSync, readdirSync } from "node:fs";
import { basename, join } from "node:path";
import { fileURLToPath } from "node:url";

/** A kernel as Debian packages it, unpacked. */
export interface KernelPackage {
  readonly release: string;
  readonly image: string;
  /** A module and those that it needs, in the order in which they load; empty if it is built in. */
  modules(name: string): readonly Module[];
}

export interface Module {
  readonly name: string;
  readonly content: Buffer;
}

/** Kernels that `tools/fetch-kernels.sh` brought, the oldest first. */
export function kernelPackages(): KernelPackage[] {
  const folder = fileURLToPath(new URL("../../../../../.kernels/", import.meta.url));
  if (!existsSync(folder)) return [];
  return readdirSync(folder)
    .map((name) => unpacked(join(folder, name)))
    .sort((a, b) => a.release.localeCompare(b.release, "en", { numeric: true }));
}

function unpacked(folder: string): KernelPackage {
  const [release] = readdirSync(join(folder, "lib/modules")) as [string];
  const root = join(folder, "lib/modules", release);
  const paths = readdirSync(root, { recursive: true, encoding: "utf8" }).filter((path) =>
    /\.ko(\.xz)?$/.test(path),
  );
  const files = new Map(paths.map((path) => [moduleName(basename(path)), join(root, path)]));
  const load = (name: string, into: Map<string, Module>): void => {
    const path = files.get(name);
    if (path === undefined || into.has(name)) return;
    const content = path.endsWith(".xz") ? expand(path) : readFileSync(path);
    for (const needed of dependencies(content)) load(needed, into);
    into.set(name, { name, content });
  };
  return {
    release,
    image: join(folder, "boot", `vmlinuz-${release}`),
    modules(name) {
      const loaded = new Map<string, Module>();
      load(name, loaded);
      return [...loaded.values()];
    },
  };
}

/** Files are spelled with dashes or underscores, names within modules with underscores. */
function moduleName(file: string): string {
  return file.replace(/\.ko.*$/, "").replaceAll("-", "_");
}

/** What a module says that it needs, in its section .modinfo. */
function dependencies(module: Buffer): string[] {
  const text = "\0depends=";
  const at = module.indexOf(text, 0, "latin1");
  if (at < 0) return [];
  const start = at + text.length;
  const list = module.toString("latin1", start, module.indexOf(0, start));
  return list === "" ? [] : list.split(",").map((name) => moduleName(name));
}

function expand(path: string): Buffer {
  const { stdout, status } = spawnSync("xz", ["-dc", path], { maxBuffer: 256 * 1024 * 1024 });
  if (status !== 0) throw new Error(`${path}: xz cannot expand it`);
  return stdout;
}
