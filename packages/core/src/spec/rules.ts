import { acpiRules } from "./acpi/rules.ts";
import { amdviRules } from "./amdvi/rules.ts";
import { ioapicRules } from "./apic/ioapic-rules.ts";
import { apicRules } from "./apic/rules.ts";
import { hpetRules } from "./hpet/rules.ts";
import { pciRules } from "./pci/rules.ts";
import { linuxRules } from "./linux/rules.ts";
import { msiRules } from "./msi/rules.ts";
import type { Rule } from "./rule.ts";
import { vtdRules } from "./vtd/rules.ts";

/** Every rule that the program can name, by its id. */
export const rules = {
  ...apicRules,
  ...msiRules,
  ...vtdRules,
  ...amdviRules,
  ...acpiRules,
  ...ioapicRules,
  ...hpetRules,
  ...pciRules,
  ...linuxRules,
};

export type RuleId = keyof typeof rules;

export function ruleOf(id: RuleId): Rule {
  return rules[id];
}
