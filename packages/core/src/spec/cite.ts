/**
 * The documents that layouts and rules are taken from. Every citation names its document's revision, so that
 * a reader can hold the sentence beside the page.
 */
const documents = {
  vtd: "VT-d 5.10",
  amdvi: "AMD-Vi 3.11",
  sdm: "SDM vol. 3",
  apm: "APM vol. 2",
  pci: "PCI 3.0",
  acpi: "ACPI 6.5",
  ioapic: "82093AA",
  hpet: "HPET 1.0a",
  virtio: "VIRTIO 1.2",
  kvm: "KVM",
  linux: "Linux 7.0",
  qemu: "QEMU",
} as const;

export type DocumentId = keyof typeof documents;

/** A section of a document, as printed: `VT-d 5.10 §9.9`; for software, the file or function: `QEMU 11.1 hw/i386`. */
export type Section = string;

/** Documents that are cited by file or function. */
const software: ReadonlySet<DocumentId> = new Set(["kvm", "linux", "qemu"]);

export function cite(document: DocumentId, section: string): Section {
  return `${documents[document]} ${software.has(document) ? "" : "§"}${section}`;
}
