import { existsSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { type Io, exitStatus } from "../io.ts";

/** The script that `collect` prints: beside the bundle, or in the source. */
export function collectorPath(): string {
  const here = dirname(fileURLToPath(import.meta.url));
  const shipped = join(here, "collect.sh");
  return existsSync(shipped) ? shipped : join(here, "..", "collect.sh");
}

/** Prints the script that packs what the other commands want of a host. */
export function collect(io: Io): number {
  io.stdout.write(readFileSync(collectorPath(), "utf8"));
  return exitStatus.clean;
}
