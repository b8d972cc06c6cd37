import type { Vendor } from "../../evidence/qemu-trace/index.ts";
import { generateAmdvi } from "./generate-amdvi.ts";
import type { Draft } from "./generate-parts.ts";
import { generateVtd } from "./generate-vtd.ts";
import { Random } from "./random.ts";
import type { CaseRecord } from "./recording.ts";

/** Devices whose functions suffice for every kind of source-id verification, on several buses. */
export const usualRequesters: readonly number[] = [
  0x18, 0x19, 0x1a, 0x1b, 0x1c, 0x1d, 0x1e, 0x1f, 0x20, 0x21, 0x22, 0x23, 0x24, 0x25, 0x26, 0x27, 0x28,
  0x1230, 0x1234, 0x1237, 0x500, 0x900,
];

const generators: Readonly<Record<Vendor, (random: Random, requesters: readonly number[]) => Draft>> = {
  intel: generateVtd,
  amd: generateAmdvi,
};

const units = { intel: "vtd", amd: "amdvi" } as const;

/**
 * Writes the case of a number: a record of the corpus' format, but for rules, section and expectations. Seed, number and
 * requesters alone decide it.
 * @param seed 32 bits.
 * @param number from 0, below 2^53.
 * @param requesters bus, device and function as 16 bits.
 */
export function generateCase(
  vendor: Vendor,
  seed: number,
  number: number,
  requesters: readonly number[] = usualRequesters,
): CaseRecord {
  const { setup, steps } = generators[vendor](new Random(seed, number), requesters);
  const unit = units[vendor];
  return { id: `generated.${unit}.${seed}-${number}`, unit, setup, steps };
}
