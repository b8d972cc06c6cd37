import { cite } from "../cite.ts";
import { type Rule, implementationDefined, may, shall } from "../rule.ts";

const unverified = { standing: "unverified" } as const;

const configRules = {
  "pci.bar.type": shall(cite("pci", "6.2.5.1"), "Type 01b and 11b of a memory BAR are reserved.", unverified),
  "pci.bar.sizing": shall(
    cite("pci", "6.2.5.1"),
    "After ones are written to it, a BAR reads zero in the address bits that its size does not decode.",
    unverified,
  ),
  "pci.bar.decode": shall(
    cite("pci", "6.2.2"),
    "A function answers accesses to a memory BAR only while Memory Space Enable is 1.",
    unverified,
  ),
  "pci.intx.disable": shall(
    cite("pci", "6.2.2"),
    "While Interrupt Disable is 1 a function does not assert its INTx signal; Interrupt Status still shows it.",
    unverified,
  ),
  "pci.intx.with-msi": shall(
    cite("pci", "6.8.3.2"),
    "While MSI or MSI-X is enabled a function does not use its INTx signal.",
    unverified,
  ),
} as const satisfies Record<string, Rule>;

const messageRules = {
  "pci.msi.count-reserved": shall(
    cite("pci", "6.8.1.3"),
    "Values 110b and 111b of Multiple Message Capable and Enable are reserved.",
    unverified,
  ),
  "pci.msi.allocated": shall(
    cite("pci", "6.8.1.3"),
    "A function uses no more vectors than Multiple Message Enable allocates, nor than it said it can.",
    unverified,
  ),
  "pci.msi.data": shall(
    cite("pci", "6.8.1.6"),
    "The function writes its vector number into the low bits of the data, as many as are allocated; bits 31:16 are zero.",
    unverified,
  ),
  "pci.msi.disabled": shall(
    cite("pci", "6.8.3.2"),
    "A function sends no message through a capability whose enable bit is 0.",
    unverified,
  ),
  "pci.msi.exclusive": implementationDefined(
    cite("pci", "6.8.3.2"),
    "Software does not enable MSI and MSI-X together; the model then uses MSI-X.",
    unverified,
  ),
  "pci.msi.bus-master": shall(
    cite("pci", "6.2.2"),
    "A function whose Bus Master Enable is 0 sends no message: a message is a write of its own.",
    unverified,
  ),
  "pci.msi.bus-master-lost": implementationDefined(
    cite("pci", "6.2.2"),
    "An unmasked interrupt that arises while Bus Master Enable is 0 is lost; one that is pending stays so.",
    unverified,
  ),
  "pci.msi.masked": shall(
    cite("pci", "6.8.3.4"),
    "While a vector or its function is masked, an interrupt sets the vector's Pending bit and sends nothing.",
    unverified,
  ),
  "pci.msi.unmasked": shall(
    cite("pci", "6.8.3.4"),
    "When a vector with its Pending bit set is no longer masked, the message is sent once and the bit cleared.",
    unverified,
  ),
  "pci.msi.withdrawn": shall(
    cite("pci", "6.8.3.4"),
    "When the cause of a pending interrupt is gone before the vector is unmasked, the function clears its Pending bit.",
    unverified,
  ),
  "pci.msix.bir-reserved": shall(cite("pci", "6.8.2.4"), "BAR indicators 6 and 7 are reserved.", unverified),
  "pci.msix.address-alignment": shall(
    cite("pci", "6.8.2.6"),
    "Bits 1:0 of a message address are zero.",
    unverified,
  ),
  "pci.msix.access": implementationDefined(
    cite("pci", "6.8.2"),
    "The table and the Pending Bit Array are accessed in aligned DWORDs or QWORDs; the model drops other accesses.",
    unverified,
  ),
  "pci.msix.pending-read-only": implementationDefined(
    cite("pci", "6.8.2.10"),
    "Software does not write to the Pending Bit Array; the model ignores it.",
    unverified,
  ),
  "pci.msix.reset": shall(
    cite("pci", "6.8.2.9"),
    "After reset every vector of the table is masked.",
    unverified,
  ),
} as const satisfies Record<string, Rule>;

const dmaRules = {
  "pci.dma.unconfined": may(
    cite("vtd", "3.1"),
    "A function that no DMA translation confines writes to any memory, remapping tables and descriptors included.",
    { standing: "inferred" },
  ),
  "pci.dma.confined": shall(
    cite("vtd", "3.1"),
    "An access outside the ranges that DMA translation grants its requester is refused.",
    { standing: "inferred" },
  ),
  "pci.dma.interrupt-range": shall(
    cite("vtd", "3.14"),
    "An access to FEEx_xxxxh is never DMA: an aligned 4-byte write without PASID is an interrupt, all else but a zero-length read is refused.",
  ),
  "pci.dma.pasid-interrupt-range": shall(
    cite("vtd", "3.14"),
    "A request with PASID is translated like any other; a translation that yields FEEx_xxxxh is refused.",
  ),
  "pci.dma.address-width": shall(
    cite("vtd", "3.14"),
    "An access beyond the physical address space is refused.",
    { standing: "inferred" },
  ),
} as const satisfies Record<string, Rule>;

export const pciRules = { ...configRules, ...messageRules, ...dmaRules } as const satisfies Record<
  string,
  Rule
>;
