import { amdvi } from "./amdvi.ts";
import { apic } from "./apic.ts";
import { avic } from "./avic.ts";
import { ioapic } from "./ioapic.ts";
import { pci } from "./pci.ts";
import type { Subject } from "./subject.ts";
import { vmx } from "./vmx.ts";
import { vtd } from "./vtd.ts";

/** What cases can be about, by the name that a record's `unit` gives. */
export const subjects = { amdvi, apic, avic, ioapic, pci, vmx, vtd } as const satisfies Record<
  string,
  Subject
>;
