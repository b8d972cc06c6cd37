import { cite } from "../cite.ts";
import { type Rule, may, shall } from "../rule.ts";

const inferred = { standing: "inferred" } as const;
const unverified = { standing: "unverified" } as const;

/** What software has to do, and what a trace of it can show that it did not. */
export const checkRules = {
  "amdvi.check.entry-changed": shall(
    cite("amdvi", "2.4.5"),
    "Software issues INVALIDATE_INTERRUPT_TABLE for the device after it has changed an entry of its table, or the table.",
    unverified,
  ),
  "amdvi.check.device-entry-changed": shall(
    cite("amdvi", "2.4.2"),
    "Software issues INVALIDATE_DEVTAB_ENTRY for the device after it has changed the device's entry.",
    unverified,
  ),
  "amdvi.check.not-waited": shall(
    cite("amdvi", "2.4.1"),
    "Software takes an invalidation as complete only when a COMPLETION_WAIT behind it has completed.",
    unverified,
  ),
  "amdvi.check.invalidation-missing": shall(
    cite("amdvi", "2.4"),
    "What software puts between two COMPLETION_WAITs, and up to the tail that it writes, is fetched and carried out.",
    inferred,
  ),
  "amdvi.check.enabled-without-invalidation": may(
    cite("amdvi", "2.2.5.2"),
    "Hardware may hold interrupt table entries from before IommuEn was set, until software invalidates them.",
    inferred,
  ),
  "amdvi.check.command-buffer-unset": shall(
    cite("amdvi", "3.4 MMIO 0008h"),
    "Software programs the base of the command buffer before it sets CmdBufEn.",
    unverified,
  ),
  "amdvi.check.device-table-unset": shall(
    cite("amdvi", "3.4 MMIO 0000h"),
    "Software programs the base of the device table before it sets IommuEn.",
    unverified,
  ),
  "amdvi.check.command-buffer-off": shall(
    cite("amdvi", "3.4 MMIO 0018h"),
    "While interrupts are remapped CmdBufEn is 1: no cached entry can be invalidated otherwise.",
    inferred,
  ),
  "amdvi.check.mode-changed": shall(
    cite("amdvi", "3.4 MMIO 0018h"),
    "GAEn, XTEn and NumIntRemapMode, which say how interrupt tables are read, are changed only while IommuEn is 0.",
    inferred,
  ),
  "amdvi.check.mode-without-ga": shall(
    cite("amdvi", "3.4 MMIO 0018h"),
    "GAMEn and XTEn are set only together with GAEn: they rest on interrupt table entries of 128 bits.",
    inferred,
  ),
  "amdvi.check.unmapped": shall(
    cite("amdvi", "2.2.2.1"),
    "Once remapping is on no device's interrupts pass unmapped: with IV=0 or IntCtl=01b it can send any of them.",
    inferred,
  ),
} as const satisfies Record<string, Rule>;
