import type { BootMessage } from "../evidence/boot-message.ts";
import { printRequester } from "../spec/requester.ts";
import type { QemuWarning } from "../evidence/qemu-message.ts";
import { hex } from "../spec/codec.ts";
import type { RuleId } from "../spec/rules.ts";
import { type FaultName, faultReasons } from "../spec/vtd/faults.ts";
import { type Finding, type FindingInput, finding } from "./finding.ts";

const faults: Readonly<Partial<Record<QemuWarning["warning"], { fault: FaultName; found: string }>>> = {
  "invalid-msi": { fault: "requestReserved", found: "reserved bits of its data are set" },
  "index-too-large": { fault: "indexOutOfRange", found: "its index lies past the end of the table" },
  "read-failed": { fault: "tableAccess", found: "its entry could not be read" },
  "not-present": { fault: "notPresent", found: "its entry is not present" },
  reserved: { fault: "entryReserved", found: "its entry has reserved bits set" },
  "source-id": { fault: "sidMismatch", found: "its source id is not the entry's" },
  "bus-range": {
    fault: "sidMismatch",
    found: "its bus lies outside the entry's range, which QEMU reads end first (qemu.vtd.bus-range-swapped)",
  },
  svt: { fault: "sidMismatch", found: "the entry's SVT is reserved (qemu.vtd.svt-reserved-26h)" },
};

/** What QEMU says of a request: the fault that hardware would record, or a matter of QEMU's own set-up. */
export function explainWarning(warning: QemuWarning): Finding {
  const { line, warning: kind, sid, index } = warning;
  const requester = sid === null ? null : printRequester(sid);
  const known = faults[kind];
  if (known !== undefined) {
    const reason = faultReasons[known.fault];
    const subject = `An interrupt request${requester === null ? "" : ` of ${requester}`}`;
    const forIndex = index === null ? "" : ` for index ${index}`;
    const message = warning.data === null ? "" : ` (data ${hex(warning.data)})`;
    return finding({
      line,
      kind: "interrupt",
      reason: reason.code,
      name: reason.linux,
      rule: reason.rule,
      requester,
      index,
      what: `${subject}${forIndex}${message} was blocked by QEMU: ${known.found}.`,
    });
  }
  return finding({ line, requester, index, ...others[kind as keyof typeof others] });
}

const pinAsVector = {
  kind: "message",
  name: "IOAPIC entry and IRTE differ",
  rule: "linux.ioapic.pin-as-vector",
} as const;

const others = {
  vector: { ...pinAsVector, what: "The vector of an IOAPIC entry is not the one in its IRTE." },
  trigger: { ...pinAsVector, what: "The trigger mode of an IOAPIC entry is not the one in its IRTE." },
  "fixup-failed": {
    kind: "message",
    name: "KVM route not remapped",
    rule: "qemu.ir.route-not-remapped",
    what: "QEMU could not remap the message of a KVM route: that interrupt stays silent.",
  },
  "kernel-irqchip": {
    kind: "setup",
    name: "Interrupt remapping refused",
    rule: "qemu.ir.kernel-irqchip",
    what: "QEMU refuses interrupt remapping while the IOAPIC is in KVM.",
  },
} as const satisfies Record<string, Omit<FindingInput, "line">>;

const bootRules: Readonly<Partial<Record<BootMessage["says"], { rule: RuleId; what: string }>>> = {
  "not-enabled": {
    rule: "linux.ir.not-enabled",
    what: "Interrupt remapping is not enabled: devices can write any interrupt.",
  },
  "unscoped-ioapic": {
    rule: "linux.ir.all-ioapics",
    what: "An IOAPIC belongs to no remapping unit, so Linux does not enable interrupt remapping.",
  },
  "not-in-ivrs": {
    rule: "linux.amdvi.ioapic-in-ivrs",
    what: "An IOAPIC is missing from the IVRS, so Linux does not enable interrupt remapping.",
  },
  "chipset-erratum": {
    rule: "linux.ir.chipset-erratum",
    what: "The chipset cannot remap interrupts correctly, so Linux does not enable it.",
  },
};

/** A finding if remapping did not come up; undefined for every other message. */
export function explainBoot({ line, says, text }: BootMessage): Finding | undefined {
  const known = bootRules[says];
  return known === undefined ? undefined : finding({ line, kind: "setup", name: text, ...known });
}
