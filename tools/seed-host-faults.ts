import { mkdirSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import type { HostFiles, RuleId } from "@intremap/core";
import { type CapturedHost, captureFiles } from "../packages/cli/src/testing/captured-host.ts";
import { HostEdit } from "./host-edit.ts";
import { amdSeeds } from "./host-seeds-amd.ts";
import { intelSeeds } from "./host-seeds-intel.ts";

/** One fault, made in a copy of a captured host. */
export interface HostSeed {
  readonly id: string;
  readonly host: CapturedHost;
  /** The rule of the one finding that there is then. */
  readonly rule: RuleId;
  /** What that finding is about; absent where it does not matter. */
  readonly subject?: string;
  /** The edit, in words. */
  readonly what: string;
  readonly make: (edit: HostEdit) => void;
}

export const hostSeeds: readonly HostSeed[] = [...intelSeeds, ...amdSeeds];

/** The files of a host with the fault in them. */
export function faulty(seed: HostSeed, files: HostFiles): HostEdit {
  const edit = new HostEdit(files);
  seed.make(edit);
  return edit;
}

function* pathsOf(files: HostFiles, folder = ""): Generator<string> {
  for (const name of files.list(folder)) {
    const path = folder === "" ? name : `${folder}/${name}`;
    if (files.read(path) === undefined) yield* pathsOf(files, path);
    else yield path;
  }
}

/** `seed-host-faults.ts FOLDER [ID…]`: writes the faulty hosts, all or those named, each as a folder by its id. */
async function main([folder, ...ids]: readonly string[]): Promise<void> {
  if (folder === undefined) throw new Error("usage: seed-host-faults.ts FOLDER [ID…]");
  const unknown = ids.filter((id) => !hostSeeds.some((seed) => seed.id === id));
  if (unknown.length > 0)
    throw new Error(`no seed ${unknown.join(", ")}: expected ${hostSeeds.map(({ id }) => id).join(", ")}`);
  for (const seed of hostSeeds) {
    if (ids.length > 0 && !ids.includes(seed.id)) continue;
    const files = faulty(seed, await captureFiles(seed.host));
    for (const path of pathsOf(files)) {
      const file = join(folder, seed.id, path);
      mkdirSync(dirname(file), { recursive: true });
      writeFileSync(file, files.read(path)!);
    }
    console.log(`${seed.id}: ${seed.rule}\n  ${seed.what}`);
  }
}

if (process.argv[1] === fileURLToPath(import.meta.url)) await main(process.argv.slice(2));
