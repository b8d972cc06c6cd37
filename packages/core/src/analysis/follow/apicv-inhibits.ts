import { type Releases, within } from "../../hardware/call-stack.ts";

/** APICV_INHIBIT_REASON_…, by bit; they were numbered anew in 6.0, and before that they are not named here. */
const eras: readonly { readonly releases: Releases; readonly names: readonly string[] }[] = [
  {
    releases: { from: "6.3" },
    names: [
      "DISABLED",
      "HYPERV",
      "ABSENT",
      "BLOCKIRQ",
      "PHYSICAL_ID_ALIASED",
      "APIC_ID_MODIFIED",
      "APIC_BASE_MODIFIED",
      "NESTED",
      "IRQWIN",
      "PIT_REINJ",
      "SEV",
      "LOGICAL_ID_ALIASED",
      "PHYSICAL_ID_TOO_BIG",
    ],
  },
  {
    releases: { from: "6.0", below: "6.3" },
    names: [
      "DISABLE",
      "HYPERV",
      "ABSENT",
      "BLOCKIRQ",
      "APIC_ID_MODIFIED",
      "APIC_BASE_MODIFIED",
      "NESTED",
      "IRQWIN",
      "PIT_REINJ",
      "SEV",
    ],
  },
];

const mostBits = 64;

/** The reasons that are set in `apicv_inhibit_reasons`, as the release names them; `bit n` where it is not known how. */
export function inhibitNames(value: bigint, release: string | undefined): string[] {
  const names =
    release === undefined ? [] : (eras.find(({ releases }) => within(release, releases))?.names ?? []);
  const set: string[] = [];
  for (let bit = 0; bit < mostBits; bit++) {
    if (((value >> BigInt(bit)) & 1n) === 1n) set.push(names[bit] ?? `bit ${bit}`);
  }
  return set;
}
