import type { RuleId } from "../spec/rules.ts";
import type { Advice } from "./advice.ts";
import { amdviAdvice } from "./causes-amdvi.ts";

const remappingState = "sudo dmesg | grep -E 'DMAR|remapping|x2apic'";
const messageOfDevice = "sudo lspci -vvs {requester} | grep -A3 MSI";
const rowOfEntry = "sudo awk '$1 == {index}' /sys/kernel/debug/iommu/intel/ir_translation_struct";
const vectorsOfDevice = "ls /sys/bus/pci/devices/{device}/msi_irqs; grep {device} /proc/interrupts";
const queue = "sudo cat /sys/kernel/debug/iommu/intel/invalidation_queue";
const firmware = "sudo dmidecode -s bios-version; fwupdmgr get-updates";
const kernel = "uname -r; cat /proc/cmdline";

const requestAdvice: Readonly<Partial<Record<RuleId, Advice>>> = {
  "vtd.ir.request-reserved": {
    causes: [
      "the data of a remappable message was written wider than 16 bits, or by software that took it for a vector",
      "a driver or a VMM programmed the function's MSI registers itself",
    ],
    next: [messageOfDevice, kernel],
  },
  "vtd.ir.index-out-of-range": {
    causes: [
      "the function adds a vector number to its data that it was not given entries for",
      "the message was programmed for another table: a stale one after kexec, resume or a reset of the function",
    ],
    next: [messageOfDevice, "sudo cat /sys/kernel/debug/iommu/intel/iommu_regset | grep -E 'IRTA|GSTS'"],
  },
  "vtd.ir.not-present": {
    causes: [
      "the interrupt was freed while the function could still send it: a driver that does not stop its device first",
      "software made the entry present without invalidating the entry cache, on hardware or a vIOMMU that keeps not-present entries",
      "the function still sends a message from before a reset, kexec or resume",
    ],
    next: [rowOfEntry, messageOfDevice, vectorsOfDevice, queue],
  },
  "vtd.ir.table-access": {
    causes: [
      "IRTA points to memory that is gone or not readable",
      "a machine check or a memory error in the table",
    ],
    next: ["sudo cat /sys/kernel/debug/iommu/intel/iommu_regset | grep IRTA", "sudo ras-mc-ctl --errors"],
  },
  "vtd.ir.entry-reserved": {
    causes: [
      "the entry has a 32-bit destination while EIME is 0",
      "a posted entry on a unit without CAP.PI, or a delivery mode that is reserved",
      "the table was overwritten: a DMA that is not confined reaches it",
    ],
    next: [
      rowOfEntry,
      "intremap decode irte IRTE_high IRTE_low",
      "sudo cat /sys/kernel/debug/iommu/intel/iommu_regset | grep -E 'CAP|IRTA'",
    ],
  },
  "vtd.ir.compatibility-blocked": {
    causes: [
      "the device was programmed with an MSI that is not remapped: a function below VMD, a VF, or one that lost its registers in a reset",
      "the IOAPIC or HPET (often f0:1f.0 or 00:1f.x) came back in compatibility format after resume",
      "firmware or an embedded controller uses the device behind the kernel's back",
    ],
    next: [
      messageOfDevice,
      "ls -l /sys/bus/pci/devices/{device}/driver",
      "cat /proc/interrupts | grep -E 'IO-APIC|hpet'",
      kernel,
    ],
  },
  "vtd.ir.sid-mismatch": {
    causes: [
      "the interrupt carries another requester id than the function's own: a bridge that takes ownership, a phantom function, a non-transparent bridge",
      "the device misreports itself (ITHC announces 00:10.6 and sends as 01:05.0)",
      "the function sends to an index that belongs to another function: injected by a guest or a stray DMA write",
      "whichever it is, a boot with intremap=nosid tells the first two from the third: the fault is gone, and so is the protection",
    ],
    next: [rowOfEntry, "lspci -nns {requester}; lspci -tv", "intremap decode irte IRTE_high IRTE_low"],
  },
  "vtd.post.descriptor-access": {
    causes: [
      "the posted descriptor's address in the entry is wrong or its page was freed: a vCPU torn down before its IRTE",
      "an error in the memory of the descriptor",
    ],
    next: [
      rowOfEntry,
      "sudo cat /sys/kernel/debug/iommu/intel/ir_translation_struct | sed -n '/Posted/,$p'",
      kernel,
    ],
  },
  "vtd.post.descriptor-reserved": {
    causes: [
      "the entry points to memory that is no posted descriptor, or to one that was reused",
      "with EIME at 0, a notification destination past 8 bits",
    ],
    next: [
      rowOfEntry,
      "sudo cat /sys/kernel/debug/iommu/intel/ir_translation_struct | sed -n '/Posted/,$p'",
      kernel,
    ],
  },
  "vtd.ir.malformed-request": {
    causes: [
      "the device reads or writes FEExxxxxh other than by an aligned 4-byte write: a wild DMA address",
      "a peer-to-peer or DMA buffer mapped over the interrupt range",
    ],
    next: ["lspci -nns {requester}", "sudo cat /sys/kernel/debug/iommu/intel/domain_translation_struct"],
  },
  "vtd.ir.eim-required": {
    causes: [
      "remapping was turned on in xAPIC mode on a unit that demands x2APIC (x2APIC opt-out, nox2apic)",
    ],
    next: [remappingState, kernel],
  },
  "vtd.ir.remapping-required": {
    causes: ["remapping is off (intremap=off, firmware, or a kernel without it) on a unit that demands it"],
    next: [remappingState, kernel],
  },
};

const queueError: Advice = {
  causes: ["a driver bug in what was queued", "a vIOMMU or unit that does not know the descriptor"],
  next: [queue, "sudo dmesg | grep -A3 'QI HEAD'", kernel],
};

const otherAdvice: Readonly<Partial<Record<RuleId, Advice>>> = {
  "vtd.fault.overflow": {
    causes: ["faults came faster than they were read: a storm from one device"],
    next: ["sudo dmesg | grep -oE 'Request device \\[[^]]*\\]' | sort | uniq -c | sort -rn"],
  },
  "vtd.fault.event": {
    causes: ["the record was printed elsewhere, or the line with it was dropped by the rate limit"],
    next: ["sudo dmesg | grep -A3 'handling fault status'"],
  },
  "vtd.fault.record": {
    causes: ["the line with the reason was cut off"],
    next: ["sudo dmesg | grep -A1 'Request device'"],
  },
  "vtd.qi.invalid-tail": queueError,
  "vtd.qi.fetch-error": queueError,
  "vtd.qi.invalid-type": queueError,
  "vtd.qi.reserved": queueError,
  "vtd.qi.width": queueError,
  "vtd.qi.tail-alignment": queueError,
  "vtd.qi.halt": queueError,
  "linux.dmar.registers-gone": {
    causes: [
      "the unit lost power or was reset: its PCI hierarchy was reconfigured (VMD) or the platform took it away",
    ],
    next: ["sudo dmesg | grep -B20 'Invalidation Queue Error'", kernel],
  },
  "linux.dmar.dma-fault": {
    causes: [
      "the driver mapped too little, unmapped too early, or gave the device a wrong address",
      "firmware left the device running: memory that the DMAR table does not report (RMRR)",
    ],
    next: ["lspci -nnks {requester}", "sudo dmesg | grep -E 'RMRR|DMAR'", kernel],
  },
  "linux.ir.all-ioapics": {
    causes: ["the firmware's DMAR table leaves the IOAPIC out of every device scope"],
    next: ["sudo intremap decode dmar /sys/firmware/acpi/tables/DMAR", firmware],
  },
  "linux.ir.not-enabled": {
    causes: [
      "interrupt remapping or VT-d is off in the firmware, or a unit cannot do it",
      "intremap=off or nointremap on the command line",
    ],
    next: [remappingState, kernel, "sudo intremap decode dmar /sys/firmware/acpi/tables/DMAR"],
  },
  "linux.ir.chipset-erratum": {
    causes: ["Intel 5500, 5520 or X58 in an early revision"],
    next: ["lspci -nns 00:00.0", firmware],
  },
  "linux.ir.multi-msi-alignment": {
    causes: [
      "the function's MSI address was changed after the kernel wrote it, or the text mixes two functions",
    ],
    next: [
      "sudo lspci -vv | grep -A3 'MSI: Enable+'",
      "sudo cat /sys/kernel/debug/iommu/intel/ir_translation_struct",
    ],
  },
  "linux.ir.single-msi-data": {
    causes: [
      "the function's MSI data was changed after the kernel wrote it",
      "a driver or VMM writes its own message",
    ],
    next: ["sudo lspci -vv | grep -A3 'MSI: Enable+'"],
  },
  "linux.ioapic.pin-as-vector": {
    causes: [
      "the guest is Linux: it acknowledges level interrupts through the IOAPIC's EOI register, so nothing is lost",
    ],
    next: ["intremap decode ioapic-rte HIGH LOW"],
  },
  "linux.debugfs.row-disagrees": {
    causes: ["the row was typed, edited or made up", "the entry changed while it was printed"],
    next: ["sudo cat /sys/kernel/debug/iommu/intel/ir_translation_struct"],
  },
  "msi.address.prefix": {
    causes: ["the address was cut or mistyped", "the message is not an x86 interrupt"],
    next: ["sudo lspci -vv | grep -A3 'MSI: Enable+'"],
  },
  "msi.remappable.data-reserved": {
    causes: ["software wrote more than 16 bits of data"],
    next: ["sudo lspci -vv | grep -A3 'MSI: Enable+'"],
  },
  "qemu.ir.kernel-irqchip": {
    causes: ["an IOMMU with intremap=on was added to a machine with the IOAPIC in KVM"],
    next: ["qemu-system-x86_64 -machine q35,kernel-irqchip=split -device intel-iommu,intremap=on"],
  },
  "qemu.ir.route-not-remapped": {
    causes: ["the guest programmed a message whose entry is not present or belongs to another function"],
    next: [
      "qemu-system-x86_64 -machine q35,kernel-irqchip=split -trace 'vtd_ir_*' -D trace.log",
      "intremap replay trace.log",
    ],
  },
};

/** Of every rule that a finding can name; the others are explained by their own sentence. */
export const advice: Readonly<Partial<Record<RuleId, Advice>>> = {
  ...requestAdvice,
  ...otherAdvice,
  ...amdviAdvice,
};
