import { cite } from "../cite.ts";
import { type Rule, erratum, implementationDefined, may, shall } from "../rule.ts";

const unverified = { standing: "unverified" } as const;
const inferred = { standing: "inferred" } as const;

const entryRules = {
  "ioapic.rte.reserved": shall(
    cite("ioapic", "3.2.4"),
    "Bits of a redirection entry that its format does not use are zero.",
  ),
  "ioapic.rte.delivery-mode": shall(
    cite("ioapic", "3.2.4"),
    "Delivery modes 011b and 110b of a redirection entry are reserved.",
    unverified,
  ),
  "ioapic.rte.remappable-delivery-mode": shall(
    cite("vtd", "5.1.2.1"),
    "The delivery mode of a remappable redirection entry is 000b.",
  ),
  "ioapic.rte.read-only": shall(
    cite("ioapic", "3.2.4"),
    "Delivery Status and Remote IRR keep their value when software writes to the entry.",
  ),
  "ioapic.rte.eoi-vector": shall(
    cite("vtd", "5.1.2.1"),
    "Where EOI broadcasts are used, vector and trigger mode of a remappable level-triggered entry equal those of its IRTE.",
  ),
} as const satisfies Record<string, Rule>;

const behaviourRules = {
  "ioapic.message.remappable": shall(
    cite("vtd", "5.1.2.1"),
    "A remappable entry is sent with its index as the handle and without a subhandle.",
  ),
  "ioapic.message.compatibility": shall(
    cite("ioapic", "3.2.4"),
    "A compatibility entry is sent with its destination, destination mode, delivery mode and vector.",
    inferred,
  ),
  "ioapic.message.level": implementationDefined(
    cite("sdm", "11.11.2"),
    "A level-triggered message carries Level=1; in an edge-triggered one the bit means nothing and the model sends 0.",
    unverified,
  ),
  "qemu.ioapic.level-clear": erratum(
    cite("qemu", "11.1 hw/intc/ioapic.c"),
    "The message of a level-triggered entry carries Level=0.",
    inferred,
  ),
  "ioapic.edge.masked": shall(
    cite("ioapic", "3.2.4"),
    "An edge on a masked pin is lost; a level stays until it is taken back.",
    unverified,
  ),
  "ioapic.edge.modes": shall(
    cite("ioapic", "3.2.4"),
    "NMI, SMI, INIT and ExtINT are edge-triggered, whatever the entry's trigger mode says.",
    unverified,
  ),
  "ioapic.level.remote-irr": shall(
    cite("ioapic", "3.2.4"),
    "Remote IRR is set when a level-triggered interrupt is sent; none is sent from the pin while it is 1.",
    unverified,
  ),
  "ioapic.eoi.broadcast": shall(
    cite("ioapic", "3.2.4"),
    "An EOI clears Remote IRR of every level-triggered entry with its vector; a pin that is still asserted and not masked is sent again.",
    unverified,
  ),
  "ioapic.eoi.register": shall(
    cite("linux", "arch/x86/kernel/apic/io_apic.c"),
    "A write to the EOI register does what an EOI broadcast does; versions below 20h have no such register.",
  ),
  "ioapic.eoi.edge-clears": may(
    cite("linux", "arch/x86/kernel/apic/io_apic.c"),
    "Turning an entry to edge clears its Remote IRR: how software ends an interrupt where there is no EOI register.",
  ),
  "ioapic.register.access": implementationDefined(
    cite("ioapic", "3.1"),
    "Registers are accessed as aligned dwords; the window of an index without a register reads zero and drops writes.",
    unverified,
  ),
} as const satisfies Record<string, Rule>;

export const ioapicRules = { ...entryRules, ...behaviourRules } as const satisfies Record<string, Rule>;
