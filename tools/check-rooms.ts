import { readFileSync, readdirSync } from "node:fs";
import { dirname, join, relative, resolve } from "node:path";
import { fileURLToPath } from "node:url";

/** The floors of the house, from the ground up: a room imports from itself and from rooms below it. */
const floors = [
  "packages/core/src/spec",
  "packages/core/src/hardware",
  "packages/core/src/linux",
  "packages/core/src/qemu",
  "packages/core/src/machine",
  "packages/core/src/evidence",
  "packages/core/src/analysis",
  "packages/core/src",
  "packages/web/src",
  "packages/cli/src",
];

/** What a package name stands for. */
const packages: Readonly<Record<string, string>> = { "@intremap/core": "packages/core/src" };

export interface Breach {
  readonly file: string;
  readonly specifier: string;
  readonly reason: string;
}

/** The floor of a file, by its path from the repository's root; -1 if it belongs to no room. */
function floorOf(path: string): number {
  const within = floors
    .map((room, floor) => ({ room, floor }))
    .filter(({ room }) => path === room || path.startsWith(`${room}/`));
  return within.sort((a, b) => b.room.length - a.room.length)[0]?.floor ?? -1;
}

/** Every breach of the order among the imports of one file. */
export function breachesIn(file: string, text: string): Breach[] {
  const breaches: Breach[] = [];
  const isTest = file.endsWith(".test.ts") || file.includes("/testing/");
  for (const [, specifier] of text.matchAll(/(?:from|import)\s*\(?\s*"([^"]+)"/g)) {
    const target = specifier!.startsWith(".")
      ? relative(resolve("/"), resolve("/", dirname(file), specifier!))
      : packages[specifier!];
    if (target === undefined) {
      if (file.startsWith("packages/core/") && !isTest)
        breaches.push({ file, specifier: specifier!, reason: "core has no dependencies" });
      continue;
    }
    if (floorOf(target) > floorOf(file)) {
      breaches.push({
        file,
        specifier: specifier!,
        reason: `${floors[floorOf(file)]} lies below ${floors[floorOf(target)]}`,
      });
    }
  }
  return breaches;
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const root = fileURLToPath(new URL("..", import.meta.url));
  const files = ["packages/core/src", "packages/cli/src", "packages/web/src"].flatMap((room) =>
    readdirSync(join(root, room), { recursive: true, encoding: "utf8" })
      .filter((file) => /\.tsx?$/.test(file))
      .map((file) => join(room, file)),
  );
  const breaches = files.flatMap((file) => breachesIn(file, readFileSync(join(root, file), "utf8")));
  for (const { file, specifier, reason } of breaches)
    console.error(`${file}: imports "${specifier}": ${reason}`);
  console.log(`${files.length} files, ${breaches.length} imports against the order of the rooms`);
  process.exitCode = breaches.length === 0 ? 0 : 1;
}
