import { effectiveUnits } from "../ivrs.ts";
import { addressOfGroups } from "../text/pci-address.ts";
import type { Draft, HostDraft } from "./draft.ts";
import { type Origin, fact } from "./fact.ts";
import type { EntryReference, InterruptSource, LinuxInterrupt } from "./interrupt.ts";

/**
 * Adds what sends an interrupt, and its entry, where names alone say so and no message does: IOAPICs, HPETs, and the
 * units' own events.
 */
export function addSources(draft: HostDraft): void {
  const amd = draft.units.length > 0 && draft.units.every(({ vendor }) => vendor === "amd");
  for (const interrupt of draft.interrupts) {
    const from = ioapicSource(interrupt, draft) ?? hpetSource(interrupt) ?? unitSource(interrupt, draft);
    if (from !== undefined) interrupt.from ??= from;
    const entry = amd ? amdIoapicEntry(interrupt, draft) : undefined;
    if (entry !== undefined) interrupt.entry ??= entry;
  }
}

type Known<Value> = { readonly value: Value; readonly origin: Origin } | undefined;

function ioapicSource(
  { chip, hwirq, domains }: Draft<LinuxInterrupt>,
  draft: HostDraft,
): Known<InterruptSource> {
  if (chip === undefined || hwirq === undefined || !/^(?:IR-)?IO-APIC$/.test(chip.value)) return undefined;
  const named = /^IO-APIC-(\d{1,3})$/.exec(domains?.value[0]?.domain ?? "")?.[1];
  const ioapics = draft.firmware.madt?.value.ioapics;
  const only = ioapics?.length === 1 ? ioapics[0]!.id : null;
  const id = named === undefined ? only : Number(named);
  return fact({ kind: "ioapic", id, pin: Number(hwirq.value) }, hwirq.origin);
}

function hpetSource({ chip, domains }: Draft<LinuxInterrupt>): Known<InterruptSource> {
  if (chip === undefined || !/^(?:IR-)?HPET-MSI$/.test(chip.value)) return undefined;
  const id = /^HPET-MSI-(\d{1,3})(?:-\d{1,3})?$/.exec(domains?.value[0]?.domain ?? "")?.[1];
  return fact({ kind: "hpet", id: id === undefined ? null : Number(id) }, (domains ?? chip).origin);
}

/** VT-d's handlers are named `dmar0`; AMD-Vi's `AMD-Vi`, and with a chip of their own `AMD-Vi0-Evt`. */
function unitSource(
  { chip, hwirq, actions }: Draft<LinuxInterrupt>,
  draft: HostDraft,
): Known<InterruptSource> {
  const action = actions?.value.find((name) => /^(?:dmar\d|AMD-Vi)/.test(name));
  if (action === undefined || chip === undefined) return undefined;
  const { origin } = actions!;
  const intel = /^(dmar\d{1,4})(?:$|-)/.exec(action)?.[1];
  if (chip.value === "DMAR-MSI" && intel !== undefined) return fact({ kind: "unit", unit: intel }, origin);
  const number = /^AMD-Vi(\d{1,4})-/.exec(action)?.[1];
  if (number !== undefined) return fact({ kind: "unit", unit: `ivhd${Number(number)}` }, origin);
  if (action !== "AMD-Vi" || chip.value.startsWith("IR-")) return undefined;
  const requester = requesterOfChip(chip.value, hwirq?.value);
  const unit = draft.units.find((one) => one.vendor === "amd" && one.requester?.value === requester);
  return unit === undefined || requester === undefined
    ? undefined
    : fact({ kind: "unit", unit: unit.name }, origin);
}

/** The function in the name of a chip since Linux 6.2, in the hwirq before. */
function requesterOfChip(chip: string, hwirq: bigint | undefined): number | undefined {
  const named = /^PCI-MSIX?-([0-9a-f]{4,8}):([0-9a-f]{2}):([0-9a-f]{2})\.([0-7])$/.exec(chip);
  if (named !== null) return addressOfGroups(named.slice(1)).requester;
  return chip === "PCI-MSI" && hwirq !== undefined ? Number((hwirq >> 11n) & 0xffffn) : undefined;
}

/** Linux gives an IOAPIC's pin the entry of the pin's number in the table of the requester that IVRS names. */
function amdIoapicEntry({ chip, from }: Draft<LinuxInterrupt>, draft: HostDraft): Known<EntryReference> {
  const source = from?.value;
  const { ivrs } = draft.firmware;
  if (source?.kind !== "ioapic" || chip?.value !== "IR-IO-APIC" || ivrs === undefined) return undefined;
  for (const [i, block] of effectiveUnits(ivrs.value).entries()) {
    const special = block.entries.find(({ variety, handle }) => variety === 1 && handle === source.id);
    if (special?.source === undefined) continue;
    const unit = draft.units.find(
      (one) => one.vendor === "amd" && (one.requester?.value === block.deviceId || one.name === `ivhd${i}`),
    );
    if (unit === undefined) return undefined;
    return fact({ unit: unit.name, requester: special.source, index: source.pin }, from!.origin);
  }
  return undefined;
}
