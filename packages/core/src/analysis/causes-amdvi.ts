import type { RuleId } from "../spec/rules.ts";
import type { Advice } from "./advice.ts";

const selectDevice = "echo {device} | sudo tee /sys/kernel/debug/iommu/amd/devid";
const table = "sudo cat /sys/kernel/debug/iommu/amd/irqtbl";
const deviceEntry = "sudo cat /sys/kernel/debug/iommu/amd/devtbl";
const messageOfDevice = "sudo lspci -vvs {requester} | grep -A3 MSI";
const kernel = "uname -r; cat /proc/cmdline";

const pageFault: Advice = {
  causes: [
    "the entry of this index has RemapEn=0: the interrupt was freed, or never requested, while the function could still send it",
    "the index lies past the table's IntTabLen entries",
    "a guest-mode switch lost RemapEn (AVIC passthrough on 5.8.8 to 5.9-rc)",
    "the message hit an entry that was half written (Xen before its updates became atomic)",
  ],
  next: [selectDevice, table, messageOfDevice, kernel],
};

const illegalEntry: Advice = {
  causes: [
    "IntTabLen is past 11 or IntCtl is 11b in the device table entry",
    "reserved bits are set: with SNP the TV bit and others are restricted",
    "the device table was overwritten",
  ],
  next: [selectDevice, deviceEntry, "intremap decode dte QWORD3 QWORD2 QWORD1 QWORD0", kernel],
};

const hardwareError: Advice = {
  causes: ["the table's memory cannot be read: a wrong base address, or a memory error"],
  next: [selectDevice, deviceEntry, "sudo ras-mc-ctl --errors"],
};

const commandError: Advice = {
  causes: ["a driver bug in what was queued", "an emulated IOMMU that does not know the command"],
  next: ["sudo cat /sys/kernel/debug/iommu/amd/iommu00/cmdbuf", kernel],
};

/** Advice for rules of AMD-Vi. */
export const amdviAdvice: Readonly<Partial<Record<RuleId, Advice>>> = {
  "amdvi.ir.not-enabled": pageFault,
  "amdvi.irte.reserved": {
    causes: [
      "reserved bits or an interrupt type past 1 in the entry",
      "a guest-mode entry while GAEn or GAMEn is off",
      "an entry of 128 bits read as four of 32, or the other way round: GAEn changed",
    ],
    next: [selectDevice, table, "intremap decode amd-irte HI LO", kernel],
  },
  "amdvi.irte.int-type": pageFault,
  "amdvi.irte.guest-mode": pageFault,
  "amdvi.irte.xapic-destination": pageFault,
  "amdvi.ir.intctl-abort": {
    causes: [
      "the device sent an interrupt before Linux gave it a table: until then IV is 1 and IntCtl 00b",
      "an interrupt that firmware set up (IOAPIC, USB, root complex 00:00.0) goes on after the kernel took over",
      "the function's MSI was enabled by something other than its driver",
    ],
    next: [messageOfDevice, selectDevice, deviceEntry, "sudo dmesg | grep -E 'AMD-Vi|IOAPIC|ivrs'"],
  },
  "amdvi.ir.malformed-request": {
    causes: [
      "the device reads or writes the interrupt range other than by an interrupt message: a wild DMA address",
    ],
    next: ["lspci -nnks {requester}"],
  },
  "amdvi.ir.table-access": hardwareError,
  "amdvi.dte.access": hardwareError,
  "amdvi.dte.inttablen": illegalEntry,
  "amdvi.dte.intctl-reserved": illegalEntry,
  "linux.amdvi.illegal-device-entry": illegalEntry,
  "amdvi.command.illegal": commandError,
  "amdvi.command.read-error": commandError,
  "linux.amdvi.dma-fault": {
    causes: [
      "the driver mapped too little, unmapped too early, or gave the device a wrong address",
      "firmware left the device running: memory that the IVRS table does not report (IVMD)",
    ],
    next: ["lspci -nnks {requester}", "sudo dmesg | grep AMD-Vi", kernel],
  },
  "linux.amdvi.other-event": {
    causes: ["see the event's name"],
    next: ["sudo dmesg | grep -B5 -A5 'Event logged'", kernel],
  },
  "linux.amdvi.ioapic-in-ivrs": {
    causes: [
      "the firmware's IVRS table leaves the IOAPIC out, or names a wrong id: ivrs_ioapic[ID]=00:14.0 on the command line stands in for it",
    ],
    next: ["sudo intremap decode ivrs /sys/firmware/acpi/tables/IVRS", "sudo dmesg | grep -iE 'ioapic|ivrs'"],
  },
};
