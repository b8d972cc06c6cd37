import type { PciDevice } from "../../evidence/host/device.ts";
import type { InterruptSource, LinuxInterrupt } from "../../evidence/host/interrupt.ts";
import type { HostState } from "../../evidence/host/state.ts";
import { addressOfGroups } from "../../evidence/text/pci-address.ts";

export type MessageKind = "msi" | "msix";

const perDevice = /^(?:IR-)?PCI-(MSIX?)-([0-9a-f]{4,8}):([0-9a-f]{2}):([0-9a-f]{2})\.([0-7])$/;
const perDomain = /^(?:IR-)?PCI-MSI$/;

/**
 * What sends an interrupt, by the names of its chip where nothing says it outright. Since Linux 6.2 the chip names the
 * device and the hwirq is the vector's index; before, one chip served all and the hwirq held segment, requester and
 * index.
 */
export function sourceOf(state: HostState, interrupt: LinuxInterrupt): InterruptSource | undefined {
  if (interrupt.from !== undefined) return interrupt.from.value;
  const chip = interrupt.chip?.value;
  const hwirq = interrupt.hwirq?.value;
  if (chip === undefined) return undefined;
  const named = perDevice.exec(chip);
  if (named !== null) {
    return {
      kind: "pci",
      ...addressOfGroups(named.slice(2)),
      index: hwirq === undefined ? null : Number(hwirq),
    };
  }
  if (hwirq === undefined) return undefined;
  if (perDomain.test(chip)) {
    return {
      kind: "pci",
      segment: Number(hwirq >> 27n),
      requester: Number((hwirq >> 11n) & 0xffffn),
      index: Number(hwirq & 0x7ffn),
    };
  }
  if (/^(?:IR-)?IO-APIC$/.test(chip)) {
    const ioapics = state.firmware.madt?.value.ioapics;
    return { kind: "ioapic", id: ioapics?.length === 1 ? ioapics[0]!.id : null, pin: Number(hwirq) };
  }
  if (chip === "DMAR-MSI") return { kind: "unit", unit: `dmar${hwirq}` };
  return undefined;
}

/**
 * Whether an interrupt is an MSI or an MSI-X; undefined where nothing tells.
 * @param device what sends it.
 */
export function messageKindOf(
  interrupt: LinuxInterrupt,
  device: PciDevice | undefined,
): MessageKind | undefined {
  const chip = perDevice.exec(interrupt.chip?.value ?? "");
  if (chip !== null) return chip[1] === "MSIX" ? "msix" : "msi";
  const listed = device?.messageIrqs?.value.find(({ irq }) => irq === interrupt.irq);
  if (listed !== undefined) return listed.kind;
  if (device?.msix?.value.enabled === true) return "msix";
  return device?.msi?.value.enabled === true ? "msi" : undefined;
}
