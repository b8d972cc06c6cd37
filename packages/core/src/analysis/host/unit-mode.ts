import type { BootMessage } from "../../evidence/boot-message.ts";
import { type Fact, fact } from "../../evidence/host/fact.ts";
import type { HostState } from "../../evidence/host/state.ts";
import type { UnitState } from "../../evidence/host/unit.ts";
import { control } from "../../spec/amdvi/registers.ts";
import { decode } from "../../spec/codec.ts";
import { globalCommand, globalStatus, tableAddress } from "../../spec/vtd/registers.ts";

/** Whether a unit remaps interrupts: what its registers say, else the kernel, else the log. */
export function remappingOn(state: HostState, unit: UnitState): Fact<boolean> | undefined {
  if (unit.vendor === "intel") {
    const status = unit.registers.get("GSTS");
    if (status !== undefined) return fact(decode(globalStatus, status.value).ires === 1, status.origin);
    if (unit.command !== undefined) {
      return fact(decode(globalCommand, BigInt(unit.command.value)).ire === 1, unit.command.origin);
    }
  } else if (unit.control !== undefined && decode(control, unit.control.value).iommuen === 0) {
    return fact(false, unit.control.origin);
  }
  if (unit.remapping !== undefined) return unit.remapping;
  return says(state, unit, "enabled", () => true) ?? says(state, unit, "not-enabled", () => false);
}

/** Whether a unit's entries have 32-bit destinations. */
export function extendedMode(state: HostState, unit: UnitState): Fact<boolean> | undefined {
  if (unit.vendor === "amd") {
    if (unit.control !== undefined)
      return fact(decode(control, unit.control.value).xten === 1, unit.control.origin);
    return unit.extendedMode;
  }
  const table = unit.registers.get("IRTA");
  if (table !== undefined) return fact(decode(tableAddress, table.value).eime === 1, table.origin);
  if (unit.extendedMode !== undefined) return unit.extendedMode;
  return says(state, unit, "enabled", (text) =>
    /in x2apic mode/.test(text) ? true : /in xapic mode/.test(text) ? false : undefined,
  );
}

const tellsOf = { intel: /IRQ remapping/i, amd: /^Interrupt remapping/ } as const;

/** What the last message of a kind in the kernel log says of the units of one vendor. */
function says(
  { log }: HostState,
  { vendor }: UnitState,
  what: BootMessage["says"],
  read: (text: string) => boolean | undefined,
): Fact<boolean> | undefined {
  const lines = log?.value.filter((record) => record.kind === "boot-message" && record.says === what) ?? [];
  for (const record of (lines as BootMessage[]).reverse()) {
    const value = what === "enabled" && !tellsOf[vendor].test(record.text) ? undefined : read(record.text);
    if (value !== undefined) return fact(value, { ...log!.origin, place: `line ${record.line}` });
  }
  return undefined;
}
