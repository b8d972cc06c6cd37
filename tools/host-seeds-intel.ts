import { type HostEdit, inserted, lengthen, without } from "./host-edit.ts";
import type { HostSeed } from "./seed-host-faults.ts";

const table = "irt0.bin";
const registers = "dmar0-regs.bin";
/** Entries of the network card at 00:03.0 and of the controller at 00:04.0. */
const card = 21;
const serial = 26;

/** Changes a field of an entry, by its bits. */
function entry(edit: HostEdit, index: number, low: number, width: number, value: number | bigint): void {
  edit.bits(table, 16 * index, low, width, value);
}

function register(edit: HostEdit, offset: number, bit: number, value: 0 | 1): void {
  edit.bits(registers, offset, bit, 1, value);
}

/** Where the MSI capabilities of 00:08.0, 00:1f.2 and 03:01.0 begin in their configuration spaces, all with 64-bit addresses. */
const capabilities = { "0000:00:08.0": 0x40, "0000:00:1f.2": 0x80, "0000:03:01.0": 0x40 } as const;

/** Turns a function's MSI on, as a driver does that has no interrupt for it. */
function message(
  edit: HostEdit,
  device: keyof typeof capabilities,
  { address = 0xfee0_0010n, data = 0, multiple = 0 }: { address?: bigint; data?: number; multiple?: number },
): void {
  const at = capabilities[device];
  edit.bytes(`pci/${device}/config`, (bytes) => {
    const view = new DataView(bytes.buffer, bytes.byteOffset);
    const control = view.getUint16(at + 2, true) & ~(7 << 4);
    view.setUint16(at + 2, control | 1 | (multiple << 4) | (multiple << 1), true);
    view.setBigUint64(at + 4, address, true);
    view.setUint16(at + 12, data, true);
  });
}

/** The address of a remappable message, with or without a subhandle. */
function handle(index: number, subhandle: boolean): bigint {
  const bits = ((index & 0x7fff) << 5) | ((index >> 15) << 2) | (subhandle ? 8 : 0) | 0x10;
  return 0xfee0_0000n | BigInt(bits);
}

const drhd = 0x30;
const ioapicScope = 0x40;
const scopeOf08 = 0x78;

/** Faults made in captures of Intel hosts. */
export const intelSeeds: readonly HostSeed[] = [
  {
    id: "intel-svt-none",
    host: "intel61-hold",
    rule: "vtd.check.svt-none",
    subject: `entry ${card} of dmar0`,
    what: "SVT of an entry is 00b.",
    make: (edit) => entry(edit, card, 82, 2, 0),
  },
  {
    id: "intel-svt-reserved",
    host: "intel61-hold",
    rule: "vtd.irte.svt",
    subject: `entry ${card} of dmar0`,
    what: "SVT of an entry is 11b.",
    make: (edit) => entry(edit, card, 82, 2, 3),
  },
  {
    id: "intel-reserved-bit",
    host: "intel61-hold",
    rule: "vtd.irte.reserved",
    subject: `entry ${card} of dmar0`,
    what: "A reserved bit of an entry is set.",
    make: (edit) => entry(edit, card, 12, 1, 1),
  },
  {
    id: "intel-delivery-mode",
    host: "intel61-hold",
    rule: "vtd.irte.delivery-mode",
    subject: `entry ${card} of dmar0`,
    what: "The delivery mode of an entry is 011b.",
    make: (edit) => entry(edit, card, 5, 3, 3),
  },
  {
    id: "intel-posted-without-posting",
    host: "intel61-hold",
    rule: "vtd.irte.mode-unsupported",
    subject: `entry ${card} of dmar0`,
    what: "An entry is posted on a unit that cannot post.",
    make: (edit) => entry(edit, card, 0, 64, 0x0000_0000_0024_8001n),
  },
  {
    id: "intel-wide-destination",
    host: "intel61-hold",
    rule: "vtd.irte.xapic-destination",
    subject: `entry ${card} of dmar0`,
    what: "An entry has a destination past 8 bits while EIME is 0.",
    make: (edit) => entry(edit, card, 48, 1, 1),
  },
  {
    id: "intel-vector-illegal",
    host: "intel61-hold",
    rule: "apic.vector.illegal-received",
    subject: `entry ${card} of dmar0`,
    what: "The vector of an entry is 9.",
    make: (edit) => entry(edit, card, 16, 8, 9),
  },
  {
    id: "intel-destination-absent",
    host: "intel61-hold",
    rule: "audit.entry.destination",
    subject: `entry ${card} of dmar0`,
    what: "An entry goes to a processor that the host does not have.",
    make: (edit) => entry(edit, card, 40, 8, 0x40),
  },
  {
    id: "intel-torn",
    host: "intel61-hold",
    rule: "audit.entry.torn",
    subject: `entry ${card} of dmar0`,
    what: "Only the lower half of an entry is written.",
    make: (edit) => entry(edit, card, 64, 64, 0),
  },
  {
    id: "intel-absent-device",
    host: "intel61-hold",
    rule: "audit.entry.absent-source",
    subject: "entry 300 of dmar0",
    what: "There is an entry for 00:1d.0, which is gone.",
    make: (edit) => entry(edit, 300, 0, 128, 0x0000_0000_0004_00e8_0000_0100_0028_000dn),
  },
  {
    id: "intel-absent-bus",
    host: "intel61-hold",
    rule: "audit.entry.absent-source",
    subject: "entry 29 of dmar0",
    what: "An entry admits buses 60h to 63h, which there are not.",
    make: (edit) => entry(edit, 29, 64, 16, 0x6063),
  },
  {
    id: "intel-stale-entry",
    host: "intel61-hold",
    rule: "audit.entry.stale",
    subject: "entry 300 of dmar0",
    what: "There is an entry for the disk controller at 00:1f.2, whose MSI is off.",
    make: (edit) => entry(edit, 300, 0, 128, 0x0000_0000_0004_00fa_0000_0100_0028_000dn),
  },
  {
    id: "intel-stale-among-others",
    host: "intel61-hold",
    rule: "audit.entry.stale",
    subject: "0000:00:03.0",
    what: "There is one more entry for the network card than it has interrupts.",
    make: (edit) => entry(edit, 300, 0, 128, 0x0000_0000_0004_0018_0000_0100_0028_000dn),
  },
  {
    id: "intel-compatibility-open",
    host: "intel61-hold",
    rule: "vtd.check.cfi",
    subject: "dmar0",
    what: "GSTS.CFIS is 1.",
    make: (edit) => register(edit, 0x1c, 23, 1),
  },
  {
    id: "intel-translation-off",
    host: "intel61-hold",
    rule: "pci.dma.unconfined",
    subject: "dmar0",
    what: "GSTS.TES is 0.",
    make: (edit) => register(edit, 0x1c, 31, 0),
  },
  {
    id: "intel-remapping-off",
    host: "intel61-hold",
    rule: "linux.ir.not-enabled",
    subject: "this host",
    what: "GSTS.IRES is 0.",
    make: (edit) => register(edit, 0x1c, 25, 0),
  },
  {
    id: "intel-queue-halted",
    host: "intel61-hold",
    rule: "vtd.qi.halt",
    subject: "dmar0",
    what: "FSTS.IQE is 1.",
    make: (edit) => register(edit, 0x34, 4, 1),
  },
  {
    id: "intel-faults-dropped",
    host: "intel61-hold",
    rule: "vtd.fault.overflow",
    subject: "dmar0",
    what: "FSTS.PFO is 1.",
    make: (edit) => register(edit, 0x34, 0, 1),
  },
  {
    id: "intel-fault-pending",
    host: "intel61-hold",
    rule: "vtd.fault.event",
    subject: "dmar0",
    what: "FSTS.PPF is 1.",
    make: (edit) => register(edit, 0x34, 1, 1),
  },
  {
    id: "intel-message-to-missing-entry",
    host: "intel61-hold",
    rule: "vtd.ir.not-present",
    subject: "0000:00:1f.2",
    what: "The message of a function names an entry that is zero.",
    make: (edit) => message(edit, "0000:00:1f.2", { address: handle(500, true) }),
  },
  {
    id: "intel-entry-not-present",
    host: "intel61-hold",
    rule: "vtd.ir.not-present",
    subject: "0000:03:01.0",
    what: "P of the entry that a function's message names is cleared.",
    make(edit) {
      message(edit, "0000:03:01.0", { address: handle(29, true) });
      entry(edit, 29, 0, 1, 0);
    },
  },
  {
    id: "intel-message-to-foreign-entry",
    host: "intel61-hold",
    rule: "vtd.ir.sid-mismatch",
    subject: `entry ${card} of dmar0`,
    what: "The message of a function names the network card's entry.",
    make: (edit) => message(edit, "0000:00:1f.2", { address: handle(card, true) }),
  },
  {
    id: "intel-foreign-source",
    host: "intel61-hold",
    rule: "vtd.ir.sid-mismatch",
    subject: "entry 29 of dmar0",
    what: "The entry that a function's message names has the network card's source id.",
    make(edit) {
      message(edit, "0000:03:01.0", { address: handle(29, true) });
      entry(edit, 29, 64, 20, 0x4_0018);
    },
  },
  {
    id: "intel-two-on-one-entry",
    host: "intel61-hold",
    rule: "audit.entry.shared",
    subject: `entry ${serial} of dmar0`,
    what: "The messages of two functions name one entry.",
    make(edit) {
      message(edit, "0000:00:1f.2", { address: handle(serial, true) });
      message(edit, "0000:00:08.0", { address: handle(serial, true) });
    },
  },
  {
    id: "intel-compatibility-message",
    host: "intel61-hold",
    rule: "vtd.ir.compatibility-blocked",
    subject: "0000:00:1f.2",
    what: "The message of a function is in compatibility format.",
    make: (edit) => message(edit, "0000:00:1f.2", { address: 0xfee0_1000n, data: 0x4031 }),
  },
  {
    id: "intel-stray-data",
    host: "intel61-hold",
    rule: "linux.ir.single-msi-data",
    subject: "0000:00:1f.2",
    what: "The data of a single message is 5.",
    make: (edit) => message(edit, "0000:00:1f.2", { address: handle(card, true), data: 5 }),
  },
  {
    id: "intel-block-misaligned",
    host: "intel61-hold",
    rule: "linux.ir.multi-msi-alignment",
    subject: "0000:00:1f.2",
    what: "A function with two vectors has a block that begins at an odd index.",
    make(edit) {
      message(edit, "0000:00:1f.2", { address: handle(401, true), multiple: 1 });
      for (const index of [401, 402]) entry(edit, index, 0, 128, 0x0000_0000_0004_00fa_0000_0100_0028_000dn);
    },
  },
  {
    id: "intel-ioapic-unscoped",
    host: "intel61-hold",
    rule: "linux.ir.all-ioapics",
    subject: "DMAR",
    what: "No unit has the IOAPIC in its scope.",
    make: (edit) =>
      edit.acpi("DMAR", (bytes) => {
        lengthen(bytes, drhd + 2, -8);
        return without(bytes, ioapicScope, 8);
      }),
  },
  {
    id: "intel-scopes-overlap",
    host: "intel61-hold",
    rule: "audit.dmar.scopes-overlap",
    subject: "DMAR",
    what: "A second unit has the network card in its scope too.",
    make: (edit) =>
      edit.acpi("DMAR", (bytes) =>
        inserted(
          bytes,
          bytes.length,
          [0, 0, 24, 0, 0, 0, 0, 0, 0x00, 0x10, 0xd9, 0xfe, 0, 0, 0, 0, 1, 8, 0, 0, 0, 0, 3, 0],
        ),
      ),
  },
  {
    id: "intel-remapping-not-reported",
    host: "intel61-hold",
    rule: "linux.ir.dmar-flag",
    subject: "DMAR",
    what: "INTR_REMAP is 0.",
    make: (edit) => edit.acpi("DMAR", (bytes) => void (bytes[0x25] = 0)),
  },
  {
    id: "intel-x2apic-opt-out",
    host: "intel61-hold",
    rule: "audit.dmar.x2apic-opt-out",
    subject: "DMAR",
    what: "X2APIC_OPT_OUT is 1.",
    make: (edit) => edit.acpi("DMAR", (bytes) => void (bytes[0x25] = 3)),
  },
  {
    id: "intel-checksum",
    host: "intel61-hold",
    rule: "acpi.checksum",
    subject: "DMAR",
    what: "The checksum of the DMAR table is wrong.",
    make: (edit) => edit.bytes("acpi/DMAR", (bytes) => void bytes[9]!++),
  },
  {
    id: "intel-device-uncovered",
    host: "intel61-hold",
    rule: "audit.device.covered",
    subject: "0000:00:08.0",
    what: "A function stands before no unit.",
    make(edit) {
      edit.acpi("DMAR", (bytes) => {
        lengthen(bytes, drhd + 2, -8);
        return without(bytes, scopeOf08, 8);
      });
      edit.remove("pci/0000:00:08.0/iommu");
    },
  },
  {
    id: "intel-nosid",
    host: "intel61-hold",
    rule: "linux.ir.nosid",
    subject: "this host",
    what: "intremap=nosid is on the command line.",
    make: (edit) => edit.text("cmdline", "intel_iommu=on", "intel_iommu=on intremap=nosid"),
  },
  {
    id: "intel-unsafe-interrupts",
    host: "intel61-hold",
    rule: "linux.vfio.unsafe-interrupts",
    subject: "vfio_iommu_type1.allow_unsafe_interrupts",
    what: "allow_unsafe_interrupts is on the command line.",
    make: (edit) =>
      edit.text("cmdline", "intel_iommu=on", "intel_iommu=on vfio_iommu_type1.allow_unsafe_interrupts=1"),
  },
  {
    id: "intel-iommufd-unsafe-interrupts",
    host: "intel61-q72",
    rule: "linux.vfio.unsafe-interrupts",
    subject: "iommufd.allow_unsafe_interrupts",
    what: "allow_unsafe_interrupts of iommufd is on the command line.",
    make: (edit) => edit.text("cmdline", "intel_iommu=on", "intel_iommu=on iommufd.allow_unsafe_interrupts"),
  },
  {
    id: "intel-posted-msi-retrigger",
    host: "intel61-q72",
    rule: "linux.posted-msi.retrigger",
    subject: "6.17.0-amd64",
    what: "A kernel of before December 2025 runs with posted_msi.",
    make(edit) {
      edit.text("version", "6.1.0-56-amd64", "6.17.0-amd64");
      edit.text("cmdline", "intel_iommu=on", "intel_iommu=on intremap=posted_msi");
    },
  },
  {
    id: "intel-chipset-erratum",
    host: "intel61-hold",
    rule: "linux.ir.chipset-erratum",
    subject: "0000:00:00.0",
    what: "The host bridge is an 8086:3405 of revision 13h.",
    make(edit) {
      edit.bytes("pci/0000:00:00.0/config", (bytes) => {
        bytes.set([0x05, 0x34], 2);
        bytes[8] = 0x13;
      });
      edit.text("pci/0000:00:00.0/device", "0x29c0", "0x3405");
    },
  },
  {
    id: "intel-off-with-vfio",
    host: "intel61-q72",
    rule: "linux.vfio.isolated",
    subject: "this host",
    what: "Remapping did not come up, and a function is bound to vfio-pci.",
    make(edit) {
      remappingFailed(edit);
      edit.text("pci/0000:00:05.0/driver", /.*/, "../../../bus/pci/drivers/vfio-pci");
    },
  },
  {
    id: "intel-off",
    host: "intel61-q72",
    rule: "linux.ir.not-enabled",
    subject: "this host",
    what: "Remapping did not come up.",
    make: remappingFailed,
  },
  {
    id: "intel-outside-hierarchy",
    host: "intel61-hold",
    rule: "linux.ir.in-hierarchy",
    subject: "irq 38",
    what: "An interrupt of the NVMe controller is set up as if nothing remapped.",
    make: (edit) => edit.text("interrupts", "IR-PCI-MSI 524288-edge", "PCI-MSI 524288-edge"),
  },
  {
    id: "intel-fault-logged",
    host: "intel61-hold",
    rule: "vtd.ir.not-present",
    subject: "00:03.0",
    what: "The log has a fault of an interrupt.",
    make: (edit) =>
      edit.append(
        "dmesg.txt",
        "[  100.000000] DMAR: [INTR-REMAP] Request device [00:03.0] fault index 0x1c [fault reason 0x22] Present field in the IRTE entry is clear",
      ),
  },
  {
    id: "intel-compatibility-fault-logged",
    host: "intel61-hold",
    rule: "vtd.ir.compatibility-blocked",
    subject: "f0:1f.0",
    what: "After resume the log has faults of an IOAPIC in compatibility format.",
    make: (edit) =>
      edit.append(
        "dmesg.txt",
        "[  100.000000] DMAR: [INTR-REMAP] Request device [f0:1f.0] fault index 0x0 [fault reason 0x25] Blocked a compatibility format interrupt request",
      ),
  },
  {
    id: "intel-taken-over",
    host: "intel61-hold",
    rule: "linux.ir.taken-over",
    subject: "this host",
    what: "The log says that remapping was on before.",
    make: (edit) =>
      edit.append(
        "dmesg.txt",
        "[    0.1] DMAR-IR: IRQ remapping was enabled on dmar0 but we are not in kdump mode",
      ),
  },
];

/** As a kernel leaves things that could not enable remapping. */
function remappingFailed(edit: HostEdit): void {
  edit.text(
    "dmesg.txt",
    "DMAR-IR: Enabled IRQ remapping in xapic mode",
    "DMAR-IR: Not enabling interrupt remapping",
  );
  edit.text("interrupts", /IR-(?=IO-APIC|PCI-MSI)/g, "");
}
