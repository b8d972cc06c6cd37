import { type HostEdit, inserted, lengthen, without } from "./host-edit.ts";
import type { HostSeed } from "./seed-host-faults.ts";

const host = "amd61-q72";
const deviceTable = "amd-devtab.bin";
/** The NVMe controller at 01:00.0, and its first entry. */
const drive = 0x0100;

/** Changes a field of an entry of the controller's table. */
function entry(edit: HostEdit, index: number, low: number, width: number, value: number): void {
  edit.bits("amd-irt-0100.bin", 16 * index, low, width, value);
}

function device(edit: HostEdit, requester: number, low: number, width: number, value: number | bigint): void {
  edit.bits(deviceTable, 32 * requester, low, width, value);
}

const intTabLen = [129, 4] as const;
const intCtl = [188, 2] as const;
const inttablePointer = [134, 46] as const;

const block = 0x30;
const special = 0x8c;

/** Faults made in captures of AMD hosts. */
export const amdSeeds: readonly HostSeed[] = [
  {
    id: "amd-entry-off",
    host,
    rule: "amdvi.ir.not-enabled",
    subject: "irq 1",
    what: "RemapEn of the keyboard's entry is cleared.",
    make: (edit) => edit.bits("amd-irt-00a0.bin", 16, 0, 1, 0),
  },
  {
    id: "amd-int-type",
    host,
    rule: "amdvi.irte.int-type",
    subject: "entry 0 of 01:00.0 at ivhd0",
    what: "IntType of an entry is reserved.",
    make: (edit) => entry(edit, 0, 2, 3, 5),
  },
  {
    id: "amd-reserved-bit",
    host,
    rule: "amdvi.irte.reserved",
    subject: "entry 0 of 01:00.0 at ivhd0",
    what: "A reserved bit of an entry is set.",
    make: (edit) => entry(edit, 0, 100, 1, 1),
  },
  {
    id: "amd-wide-destination",
    host,
    rule: "amdvi.irte.xapic-destination",
    subject: "entry 0 of 01:00.0 at ivhd0",
    what: "An entry has a destination past 8 bits while XTEn is 0.",
    make: (edit) => entry(edit, 0, 20, 1, 1),
  },
  {
    id: "amd-vector-illegal",
    host,
    rule: "apic.vector.illegal-received",
    subject: "entry 0 of 01:00.0 at ivhd0",
    what: "The vector of an entry is 3.",
    make: (edit) => entry(edit, 0, 64, 8, 3),
  },
  {
    id: "amd-destination-absent",
    host,
    rule: "audit.entry.destination",
    subject: "entry 0 of 01:00.0 at ivhd0",
    what: "An entry goes to a processor that the host does not have.",
    make: (edit) => entry(edit, 0, 8, 8, 0x80),
  },
  {
    id: "amd-map-invalid",
    host,
    rule: "amdvi.ir.map-invalid",
    subject: "0000:01:00.0",
    what: "IV of the controller's device table entry is 0.",
    make: (edit) => device(edit, drive, 128, 1, 0),
  },
  {
    id: "amd-passes",
    host,
    rule: "amdvi.ir.intctl-pass",
    subject: "0000:01:00.0",
    what: "IntCtl of the controller's device table entry is 01b.",
    make: (edit) => device(edit, drive, ...intCtl, 1),
  },
  {
    id: "amd-aborts",
    host,
    rule: "amdvi.ir.intctl-abort",
    subject: "0000:01:00.0",
    what: "IntCtl of the controller's device table entry is 00b.",
    make: (edit) => device(edit, drive, ...intCtl, 0),
  },
  {
    id: "amd-control-reserved",
    host,
    rule: "amdvi.dte.intctl-reserved",
    subject: "0000:01:00.0",
    what: "IntCtl of the controller's device table entry is 11b.",
    make: (edit) => device(edit, drive, ...intCtl, 3),
  },
  {
    id: "amd-table-length",
    host,
    rule: "amdvi.dte.inttablen",
    subject: "0000:01:00.0",
    what: "IntTabLen of the controller's device table entry is 12.",
    make: (edit) => device(edit, drive, ...intTabLen, 12),
  },
  {
    id: "amd-table-shared",
    host,
    rule: "audit.dte.table-shared",
    what: "The controller's device table entry names the network card's table.",
    make(edit) {
      const bytes = edit.read(deviceTable)!;
      const view = new DataView(bytes.buffer, bytes.byteOffset);
      const pointer = (view.getBigUint64(32 * 0x0018 + 16, true) >> 6n) & ((1n << 46n) - 1n);
      device(edit, drive, ...inttablePointer, pointer);
    },
  },
  {
    id: "amd-nmi-passes",
    host,
    rule: "amdvi.ir.type-passes",
    subject: "0000:00:05.0",
    what: "A network card may send NMIs.",
    make: (edit) => device(edit, 0x0028, 186, 1, 1),
  },
  {
    id: "amd-ioapic-missing",
    host,
    rule: "linux.amdvi.ioapic-in-ivrs",
    subject: "IVRS",
    what: "The IVRS does not name the IOAPIC.",
    make: (edit) =>
      edit.acpi("IVRS", (bytes) => {
        lengthen(bytes, block + 2, -8);
        return without(bytes, special, 8);
      }),
  },
  {
    id: "amd-ioapic-elsewhere",
    host,
    rule: "acpi.ivrs.sb-ioapic",
    subject: "IVRS",
    what: "The IVRS has the IOAPIC at 00:13.0.",
    make: (edit) => edit.acpi("IVRS", (bytes) => void (bytes[special + 5] = 0x98)),
  },
  {
    id: "amd-ioapic-twice",
    host,
    rule: "audit.ivrs.special-twice",
    subject: "IVRS",
    what: "The IVRS has the IOAPIC at 00:14.0 and at 00:13.0.",
    make: (edit) =>
      edit.acpi("IVRS", (bytes) => {
        lengthen(bytes, block + 2, 8);
        return inserted(bytes, bytes.length, [0x48, 0, 0, 0, 0, 0x98, 0, 1]);
      }),
  },
  {
    id: "amd-absent-device",
    host,
    rule: "audit.entry.absent-source",
    subject: "entry 0 of 04:00.0 at ivhd0",
    what: "There is a table with an entry for 04:00.0, which is gone.",
    make(edit) {
      edit.create("amd-irt-0400.bin", edit.read("amd-irt-0038.bin")!);
    },
  },
  {
    id: "amd-stale-entry",
    host,
    rule: "audit.entry.stale",
    subject: "0000:01:00.0",
    what: "There is one more entry for the controller than it has interrupts.",
    make: (edit) =>
      edit.bits("amd-irt-0100.bin", 16 * 40, 0, 128, 0x0000_0000_0000_0026_0000_0000_0000_0141n),
  },
  {
    id: "amd-remapping-off",
    host,
    rule: "linux.ir.not-enabled",
    subject: "this host",
    what: "Remapping did not come up.",
    make: remappingFailed,
  },
  {
    id: "amd-off-with-vfio",
    host,
    rule: "linux.vfio.isolated",
    subject: "this host",
    what: "Remapping did not come up, and a function is bound to vfio-pci.",
    make(edit) {
      remappingFailed(edit);
      edit.text("pci/0000:00:05.0/driver", /.*/, "../../../bus/pci/drivers/vfio-pci");
    },
  },
  {
    id: "amd-remapen-lost",
    host,
    rule: "linux.amdvi.remapen-lost",
    subject: "5.8.10-amd64",
    what: "The kernel is one that loses RemapEn.",
    make: (edit) => edit.text("version", "6.1.0-56-amd64", "5.8.10-amd64"),
  },
  {
    id: "amd-cache-disabled",
    host,
    rule: "linux.amdvi.cache-disabled",
    subject: "this host",
    what: "The log says that entries are not invalidated.",
    make: (edit) => edit.append("dmesg.txt", "[    2.4] AMD-Vi: iommu0 (0x0008) : IRT cache is disabled"),
  },
  {
    id: "amd-snp",
    host,
    rule: "linux.amdvi.snp-no-guest-mode",
    subject: "this host",
    what: "The log says that SNP turns guest mode off.",
    make: (edit) => edit.append("dmesg.txt", "[    2.4] AMD-Vi: Force to disable Virtual APIC due to SNP"),
  },
  {
    id: "amd-fault-logged",
    host,
    rule: "amdvi.ir.not-enabled",
    subject: "0000:01:00.0",
    what: "The log has an event of an interrupt.",
    make: (edit) =>
      edit.append(
        "dmesg.txt",
        "[  100.0] nvme 0000:01:00.0: AMD-Vi: Event logged [IO_PAGE_FAULT domain=0x000a address=0xfffffffdf8000000 flags=0x0008]",
      ),
  },
];

/** As a kernel leaves things that could not enable remapping: it has no units then. */
function remappingFailed(edit: HostEdit): void {
  edit.text("dmesg.txt", "AMD-Vi: Interrupt remapping enabled", "AMD-Vi: Not enabling interrupt remapping");
  edit.text("interrupts", /IR-(?=IO-APIC|PCI-MSI)/g, "");
  for (const name of edit.list("")) if (/^amd-(?:irt|devtab)/.test(name)) edit.remove(name);
  edit.text("irprobe.txt", /\bCTRL [0-9a-f]+/, "CTRL 0");
}
