import { cite } from "../cite.ts";
import { bits, layout } from "../layout.ts";

/** Bytes of the header that every table starts with. */
export const acpiHeaderBytes = 36;

/** The fields of that header; text is ASCII, its first character in the lowest byte. */
export const acpiHeaderFields = {
  signature: bits(31, 0, "Signature"),
  length: bits(63, 32, "Length of the whole table in bytes"),
  revision: bits(71, 64, "Revision"),
  checksum: bits(79, 72, "Checksum: all bytes of the table sum to zero"),
  oemid: bits(127, 80, "OEM ID"),
  oemtableid: bits(191, 128, "OEM Table ID"),
  oemrevision: bits(223, 192, "OEM Revision"),
  creatorid: bits(255, 224, "Creator ID"),
  creatorrevision: bits(287, 256, "Creator Revision"),
} as const;

/** The header that every table starts with. */
export const acpiHeader = layout({
  name: "acpi-header",
  title: "System description table header",
  width: 288,
  section: cite("acpi", "5.2.6"),
  fields: acpiHeaderFields,
});
