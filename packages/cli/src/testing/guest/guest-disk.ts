import { spawnSync } from "node:child_process";
import { copyFileSync, mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

const root = fileURLToPath(new URL("../../../../../", import.meta.url));

/** How a guest calls the command on its disk. */
export const intremap =
  "/disk/lib/ld-linux-x86-64.so.2 --library-path /disk/lib /disk/node /disk/cli/bin/intremap.js";

/**
 * Makes a read-only disk with Node, what Node needs, the built command, and a script that the guest runs.
 * @returns its path in the folder.
 */
export function guestDisk(folder: string, script: string): string {
  const tree = join(folder, "disk");
  for (const part of ["lib", "cli/bin"]) mkdirSync(join(tree, part), { recursive: true });
  copyFileSync(process.execPath, join(tree, "node"));
  for (const library of libraries(process.execPath)) {
    copyFileSync(library, join(tree, "lib", library.slice(library.lastIndexOf("/") + 1)));
  }
  build(join(tree, "cli"));
  writeFileSync(join(tree, "run.sh"), script);
  const image = join(folder, "disk.squashfs");
  check("mksquashfs", [tree, image, "-comp", "lz4", "-noappend", "-quiet", "-no-progress"]);
  return image;
}

/** The command as `npm run build` bundles it. */
function build(cli: string): void {
  const bundle = [
    "--import",
    "tsx",
    join(root, "tools/bundle.ts"),
    "packages/cli/src/main.ts",
    `${cli}/dist/`,
  ];
  check(process.execPath, bundle);
  for (const file of ["package.json", "bin/intremap.js"]) {
    copyFileSync(join(root, "packages/cli", file), join(cli, file));
  }
  copyFileSync(join(root, "packages/cli/src/collect.sh"), join(cli, "dist/collect.sh"));
}

function libraries(program: string): string[] {
  return [...check("ldd", [program]).matchAll(/(\/\S+) \(0x/g)].map(([, path]) => path!);
}

function check(program: string, args: readonly string[]): string {
  const { status, stdout, stderr, error } = spawnSync(program, args, { cwd: root, encoding: "utf8" });
  if (status !== 0) throw new Error(`${program}: ${error?.message ?? stderr}`);
  return stdout;
}
