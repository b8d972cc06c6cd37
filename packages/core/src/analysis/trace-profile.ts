import { InputError } from "../evidence/input-error.ts";
import type { Vendor } from "../evidence/qemu-trace/index.ts";
import type { AmdviProfile } from "../hardware/amdvi/profile.ts";
import { amdviProfileNamed, profileNames, vtdProfileNamed } from "../hardware/profile.ts";
import type { VtdProfile } from "../hardware/vtd/profile.ts";

/** By vendor: what its unit is called, and what the names of its profiles begin with. */
const units = {
  intel: { title: "VT-d", profiles: "vtd" },
  amd: { title: "AMD-Vi", profiles: "amdvi" },
} as const;

/** @throws InputError when a name is told and there is no profile of it. */
export function checkProfileName(name: string | undefined): void {
  if (name === undefined || profileNames.includes(name)) return;
  throw new InputError(`profile "${name}": expected one of ${profileNames.join(", ")}`);
}

/**
 * Starts what reads a trace, by the trace's vendor.
 * @param name the profile's; unless told, the vendor's profile whose name ends in `usual`.
 * @throws InputError when the profile is another vendor's.
 */
export function startWithProfile<T>(
  vendor: Vendor,
  name: string | undefined,
  usual: "qemu" | "strict",
  start: { intel(this: void, profile: VtdProfile): T; amd(this: void, profile: AmdviProfile): T },
): T {
  const { title, profiles } = units[vendor];
  const full = name ?? `${profiles}-${usual}`;
  if (vendor === "intel") {
    const profile = vtdProfileNamed(full);
    if (profile !== undefined) return start.intel(profile);
  } else {
    const profile = amdviProfileNamed(full);
    if (profile !== undefined) return start.amd(profile);
  }
  throw new InputError(
    `profile "${full}" is not for the unit of this trace, ${title}: expected one of ` +
      profileNames.filter((other) => other.startsWith(profiles)).join(", "),
  );
}
