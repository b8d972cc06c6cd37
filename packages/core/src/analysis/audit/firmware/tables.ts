import type { TableFinding } from "../../../evidence/acpi-table.ts";
import type { Fact } from "../../../evidence/host/fact.ts";
import { hex } from "../../../spec/codec.ts";
import { ruleOf } from "../../../spec/rules.ts";
import { check } from "../check.ts";
import type { Look } from "../look.ts";

/** What is wrong with the bytes of DMAR, IVRS and MADT themselves; each finding names the rule of the table. */
export const firmwareTables = check({
  rule: "acpi.length",
  severity: "low",
  vendor: null,
  looksAt: "DMAR, IVRS and MADT",
  why: "Linux and other systems read such a table differently, or refuse it whole; then nothing is remapped.",
  fix: "Update the firmware; report the table to the maker of the board.",
  find({ state: { firmware } }, look) {
    const { dmar, ivrs, madt } = firmware;
    if (dmar === undefined && ivrs === undefined) look.lacks("neither a DMAR nor an IVRS table");
    for (const [name, table] of [
      ["DMAR", dmar],
      ["IVRS", ivrs],
      ["MADT", madt],
    ] as const)
      if (table !== undefined) findingsOf(name, table, look);
  },
});

function findingsOf(name: string, table: Fact<{ findings: readonly TableFinding[] }>, look: Look): void {
  look.at();
  for (const { rule, found, offset } of table.value.findings) {
    const { force, text } = ruleOf(rule);
    look.add({
      rule,
      severity: force === "shall" ? "low" : "info",
      subject: { kind: "firmware", name },
      title: `${name}, offset ${hex(offset)}: ${found}.`,
      evidence: [{ what: text, origin: { ...table.origin, place: `offset ${hex(offset)}` } }],
    });
  }
}
