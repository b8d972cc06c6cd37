import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import type { RuleId } from "@intremap/core";
import { type Boot, bootLines } from "../packages/cli/src/testing/captured-boot.ts";
import { amdSeeds } from "./seeds-amd.ts";
import { intelSeeds } from "./seeds-intel.ts";
import { TraceEdit } from "./trace-edit.ts";

/** One driver bug, sown into the trace of a real boot. */
export interface Seed {
  readonly id: string;
  readonly boot: Boot;
  /** The profile that catches it; the strict one of the boot's vendor unless told. */
  readonly profile?: string;
  /** The rule of the one hazard that there is then. */
  readonly rule: RuleId;
  /** The hazard's entry; null for none, absent where it does not matter which. */
  readonly index?: number | null;
  /** The edit, in words. */
  readonly what: string;
  readonly sow: (trace: TraceEdit) => void;
}

export const seeds: readonly Seed[] = [...intelSeeds, ...amdSeeds];

/** The lines of a boot with the bug in them. */
export function sown(seed: Seed, boot: readonly string[]): string[] {
  const trace = new TraceEdit(boot);
  seed.sow(trace);
  return trace.lines;
}

/** `seed-hazards.ts FOLDER [ID…]`: writes the seeded traces, all or those named, each as ID.log. */
async function main([folder, ...ids]: readonly string[]): Promise<void> {
  if (folder === undefined) throw new Error("usage: seed-hazards.ts FOLDER [ID…]");
  const unknown = ids.filter((id) => !seeds.some((seed) => seed.id === id));
  if (unknown.length > 0)
    throw new Error(`no seed ${unknown.join(", ")}: expected ${seeds.map(({ id }) => id).join(", ")}`);
  mkdirSync(folder, { recursive: true });
  const boots = { intel: await bootLines("intel"), amd: await bootLines("amd") };
  for (const seed of seeds) {
    if (ids.length > 0 && !ids.includes(seed.id)) continue;
    writeFileSync(join(folder, `${seed.id}.log`), `${sown(seed, boots[seed.boot]).join("\n")}\n`, "latin1");
    const under = seed.profile === undefined ? "" : ` --profile ${seed.profile}`;
    console.log(`${seed.id}.log${under}: ${seed.rule}\n  ${seed.what}`);
  }
}

if (process.argv[1] === fileURLToPath(import.meta.url)) await main(process.argv.slice(2));
