import { amdviProfiles } from "./amdvi/profile.ts";
import type { AmdviProfile } from "./amdvi/profile.ts";
import { type VtdProfile, vtdProfiles } from "./vtd/profile.ts";

/** Short names for the newest QEMU of each vendor. */
const aliases: Readonly<Record<string, string>> = {
  "vtd-qemu": "vtd-qemu-11.1",
  "amdvi-qemu": "amdvi-qemu-11.1",
};

const profiles: readonly (VtdProfile | AmdviProfile)[] = [...vtdProfiles, ...amdviProfiles];

/** The names that {@link vtdProfileNamed} and {@link amdviProfileNamed} know. */
export const profileNames: readonly string[] = [...profiles.map(({ name }) => name), ...Object.keys(aliases)];

/** The VT-d profile of a name or an alias; undefined if there is none. */
export function vtdProfileNamed(name: string): VtdProfile | undefined {
  return vtdProfiles.find((profile) => profile.name === (aliases[name] ?? name));
}

/** The AMD-Vi profile of a name or an alias; undefined if there is none. */
export function amdviProfileNamed(name: string): AmdviProfile | undefined {
  return amdviProfiles.find((profile) => profile.name === (aliases[name] ?? name));
}
