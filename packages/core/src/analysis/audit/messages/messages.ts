import { printFunction } from "../../../spec/requester.ts";
import type { Message } from "../../../evidence/host/device.ts";
import type { Fact } from "../../../evidence/host/fact.ts";
import { decode } from "../../../spec/codec.ts";
import { extendedCapability } from "../../../spec/vtd/registers.ts";
import { check } from "../check.ts";
import type { AuditedHost } from "../host.ts";
import { type Look, shows } from "../look.ts";
import { hasStrayData, isRemappable, remappableOf } from "../message.ts";
import { deviceSubject } from "../naming.ts";

type Device = AuditedHost["state"]["devices"][number];
type Interrupt = AuditedHost["state"]["interrupts"][number];

function printMessage({ address, data }: Message): string {
  return `address 0x${address.toString(16).padStart(8, "0")}, data 0x${data.toString(16)}`;
}

/** Whether messages of a function are to be remapped: a VT-d unit stands before it and does it. */
function behindVtd({ links }: AuditedHost, device: Device): boolean {
  const unit = links.unitOf(device);
  return unit?.vendor === "intel" && links.remappingOn(unit)?.value === true;
}

/** Functions whose MSI is on, and what is not known of them. */
function enabledMsi(host: AuditedHost, look: Look): readonly Device[] {
  const { devices } = host.state;
  if (devices.length === 0) look.lacks("PCI functions");
  if (devices.length > 0 && devices.every(({ config, msi }) => config === undefined && msi === undefined))
    look.lacks("MSI capabilities of the functions");
  return devices.filter(({ msi }) => msi?.value.enabled === true);
}

export const compatibilityMessages = check({
  rule: "vtd.ir.compatibility-blocked",
  severity: "medium",
  vendor: "intel",
  looksAt: "messages of MSI capabilities, and those that the kernel wrote, behind units that remap",
  why: "The unit blocks the interrupt with fault reason 25h, or, with compatibility format open, lets it pass unverified.",
  fix: "Unbind and bind the driver of the device; a device that wrote its registers itself, or lost them in a reset, needs its driver's help.",
  find(host, look) {
    const seen = new Set<Device>();
    for (const device of enabledMsi(host, look)) {
      if (!behindVtd(host, device)) continue;
      look.at();
      if (isRemappable(device.msi!.value.message) === true) continue;
      seen.add(device);
      report(deviceSubject(device), `The MSI of ${printFunction(device)}`, messageOf(device), look);
    }
    for (const irq of host.state.interrupts) {
      const device = host.links.deviceOf(irq);
      if (irq.message === undefined || device === undefined || seen.has(device)) continue;
      if (!behindVtd(host, device) || !isActive(device, host, irq)) continue;
      look.at();
      // Until it is activated the message is all zeros.
      if (irq.message.value.address === 0n || isRemappable(irq.message.value) === true) continue;
      report(
        { kind: "interrupt", name: `irq ${irq.irq}` },
        `The message of irq ${irq.irq}`,
        irq.message,
        look,
      );
    }
  },
});

function messageOf(device: Device): Fact<Message> {
  return { value: device.msi!.value.message, origin: device.msi!.origin };
}

function isActive(device: Device, { links }: AuditedHost, irq: Interrupt): boolean {
  const kind = links.messageKindOf(irq);
  return (kind === "msix" ? device.msix?.value.enabled : device.msi?.value.enabled) !== false;
}

function report(
  subject: Parameters<Look["add"]>[0]["subject"],
  whose: string,
  message: Fact<Message>,
  look: Look,
): void {
  look.add({
    subject,
    title: `${whose} is not in remappable format: ${printMessage(message.value)}.`,
    evidence: [shows(message, printMessage(message.value))],
  });
}

export const strayData = check({
  rule: "linux.ir.single-msi-data",
  severity: "medium",
  vendor: "intel",
  looksAt: "data of MSI capabilities with one vector",
  why: "The unit adds the data to the entry's index: the interrupt goes through another's entry.",
  fix: "Unbind and bind the driver of the device, and find out who writes its MSI registers besides the kernel.",
  find(host, look) {
    for (const device of enabledMsi(host, look)) {
      if (!behindVtd(host, device)) continue;
      look.at();
      const { message, used } = device.msi!.value;
      if (!hasStrayData(message, used)) continue;
      look.add({
        subject: deviceSubject(device),
        title: `The MSI of ${printFunction(device)} has one vector and data 0x${message.data.toString(16)}.`,
        evidence: [shows(device.msi!, printMessage(message))],
      });
    }
  },
});

export const misalignedBlocks = check({
  rule: "linux.ir.multi-msi-alignment",
  severity: "medium",
  vendor: "intel",
  looksAt: "entries of functions with several MSI vectors, ECAP.MHMV",
  why: "The function adds its vector's number into the low bits: past the block it uses another's entry, and one invalidation does not reach all of it.",
  fix: "Report it: Linux allocates such blocks aligned.",
  find(host, look) {
    for (const device of enabledMsi(host, look)) {
      const message = remappableOf(host.links, device);
      if (message === undefined || message.unit.vendor !== "intel" || message.used < 2) continue;
      const { unit, index, used } = message;
      look.at();
      const name = printFunction(device);
      const mask = Math.log2(used);
      const most =
        unit.extendedCapability === undefined
          ? undefined
          : Number(decode(extendedCapability, unit.extendedCapability.value).mhmv);
      const evidence = [shows(device.msi!, `${used} vectors, ${printMessage(device.msi!.value.message)}`)];
      if (index % used !== 0) {
        look.add({
          subject: deviceSubject(device),
          title: `The ${used} entries of ${name} begin at ${index}, which is no multiple of ${used}.`,
          evidence,
        });
      } else if (most !== undefined && mask > most) {
        look.add({
          subject: deviceSubject(device),
          title: `${name} has ${used} entries in a block, and ${unit.name} invalidates at most ${2 ** most} at once.`,
          evidence: [...evidence, shows(unit.extendedCapability!, `ECAP.MHMV of ${unit.name} is ${most}`)],
        });
      }
    }
  },
});

export const overwrittenMessages = check({
  rule: "audit.message.as-written",
  severity: "medium",
  vendor: null,
  looksAt: "messages of MSI capabilities against those that the kernel wrote",
  why: "Something besides the kernel programs the function's interrupts: a user with access to its registers, firmware, or a reset.",
  fix: "Unbind and bind the driver of the device; if it is handed out, look at how its configuration space is guarded.",
  find(host, look) {
    for (const device of enabledMsi(host, look)) {
      const irq = host.state.interrupts.find(
        (one) =>
          one.message !== undefined &&
          host.links.deviceOf(one) === device &&
          host.links.messageKindOf(one) === "msi",
      );
      if (irq === undefined) {
        look.lacks("the messages that the kernel wrote");
        continue;
      }
      look.at();
      const [there, written] = [device.msi!.value.message, irq.message!.value];
      if (there.address === written.address && there.data === written.data) continue;
      // What comes of it has a rule of its own where it can be told.
      if (behindVtd(host, device) && isRemappable(there) !== true) continue;
      const entry = remappableOf(host.links, device);
      if (
        entry !== undefined &&
        host.claims.some((claim) => claim.irq === undefined && claim.device === device)
      )
        if (!quiet(host, device)) continue;
      look.add({
        subject: deviceSubject(device),
        title: `The MSI of ${printFunction(device)} is not what the kernel wrote.`,
        evidence: [
          shows(device.msi!, `the capability has ${printMessage(there)}`),
          shows(irq.message!, `the kernel wrote ${printMessage(written)}`),
        ],
      });
    }
  },
});

/** Whether the entry that a function's MSI names is present, its own and nobody else's. */
function quiet({ claims, links }: AuditedHost, device: Device): boolean {
  return claims
    .filter((claim) => claim.irq === undefined && claim.device === device)
    .every(
      ({ entry, senders }) =>
        entry?.present === true &&
        links.interruptsOf(entry).length === 0 &&
        senders.some((id) => links.admits(entry, id) === true),
    );
}

const outside = /^(?:PCI-MSIX?(?:-|$)|IO-APIC|HPET-MSI|VMD-MSI)/;

export const outsideHierarchy = check({
  rule: "linux.ir.in-hierarchy",
  severity: "medium",
  vendor: null,
  looksAt: "chips of interrupts, while the units before them remap",
  why: "The kernel programs the device as if nothing remapped: a unit blocks such messages, or somebody let them pass.",
  fix: "Look at the kernel log for what the device is left out: a missing scope, a domain of its own (VMD), a quirk.",
  find(host, look) {
    const { state, links, remapping } = host;
    if (remapping === undefined) return look.lacks("whether interrupts are remapped");
    if (!remapping.on) return;
    const chips = state.interrupts.filter(({ chip }) => chip !== undefined);
    if (chips.length === 0) return look.lacks("chips of interrupts");
    for (const irq of chips) {
      look.at();
      const device = links.deviceOf(irq);
      const own =
        links.sourceOf(irq)?.kind === "unit" ||
        irq.actions?.value.some((name) => /^(?:AMD-Vi|dmar\d)/.test(name)) === true ||
        (device !== undefined &&
          host.amdviUnits.some(({ requester }) => requester?.value === device.requester));
      if (own || !outside.test(irq.chip!.value)) continue;
      // Where the message itself is known, it tells: vtd.ir.compatibility-blocked.
      if (device !== undefined && behindVtd(host, device) && links.messageOf(irq) !== undefined) continue;
      look.add({
        subject: { kind: "interrupt", name: `irq ${irq.irq}` },
        title: `irq ${irq.irq}${irq.actions === undefined ? "" : ` (${irq.actions.value.join(", ")})`} is not remapped: its chip is ${irq.chip!.value}.`,
        evidence: [
          shows(irq.chip!, `the chip of irq ${irq.irq} is ${irq.chip!.value}`),
          ...remapping.evidence,
        ],
      });
    }
  },
});
