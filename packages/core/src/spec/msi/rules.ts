import { cite } from "../cite.ts";
import { type Rule, implementationDefined, shall } from "../rule.ts";

export const msiRules = {
  "msi.address.prefix": shall(
    cite("sdm", "11.11.1"),
    "Bits 31:20 of an interrupt message's address are FEEh.",
  ),
  "msi.address.reserved": shall(
    cite("sdm", "11.11.1"),
    "Bits 11:5 and 1:0 of a compatibility-format address are zero.",
  ),
  "msi.data.reserved": shall(
    cite("sdm", "11.11.2"),
    "Bits 31:16 and 13:11 of compatibility-format data are zero.",
  ),
  "msi.data.delivery-mode": shall(cite("sdm", "11.11.2"), "Delivery modes 011b and 110b are reserved."),
  "msi.data.vector": shall(
    cite("sdm", "11.11.2"),
    "The vector of a fixed or lowest-priority message lies in 10h to FEh.",
  ),
  "msi.extended-destination": implementationDefined(
    cite("kvm", "KVM_FEATURE_MSI_EXT_DEST_ID"),
    "A hypervisor may take address bits 11:5 as bits 14:8 of the destination id.",
  ),
  "msi.remappable.data-reserved": shall(
    cite("vtd", "5.1.2.2"),
    "Data bits 31:16 of a remappable request with a valid subhandle are zero.",
  ),
  "msi.amdvi.data-reserved": shall(
    cite("amdvi", "2.2.5"),
    "The data of a message to be remapped carries its table index in bits 10:0 and nothing above bit 15.",
    { standing: "inferred" },
  ),
} as const satisfies Record<string, Rule>;
