import type { Evidence } from "./check.ts";
import type { AuditedHost } from "./host.ts";
import { shows } from "./look.ts";

/** Whether a host remaps interrupts: what its units say, else the chips of its interrupts, else the log, else the command line. */
export function remappingOf(host: AuditedHost): AuditedHost["remapping"] {
  return byUnits(host) ?? byChips(host) ?? byLog(host) ?? byCommandLine(host);
}

/** One unit that does not remap leaves the requests of its devices as they are. */
function byUnits({ state, links }: AuditedHost): AuditedHost["remapping"] {
  const known = state.units.flatMap((unit) => {
    const on = links.remappingOn(unit);
    return on === undefined ? [] : [{ unit, on }];
  });
  if (known.length === 0) return undefined;
  const off = known.filter(({ on }) => !on.value);
  const telling = off.length > 0 ? off : known;
  return {
    on: off.length === 0,
    evidence: telling.map(({ unit, on }) =>
      shows(on, `${unit.name} ${on.value ? "remaps interrupts" : "does not remap interrupts"}`),
    ),
  };
}

function byChips({ state }: AuditedHost): AuditedHost["remapping"] {
  const chips = state.interrupts.filter(
    ({ chip }) => chip !== undefined && /IO-APIC|PCI-MSI/.test(chip.value),
  );
  const remapped = chips.find(({ chip }) => chip!.value.startsWith("IR-"));
  const one = remapped ?? chips[0];
  if (one === undefined) return undefined;
  return {
    on: remapped !== undefined,
    evidence: [shows(one.chip!, `irq ${one.irq} has the chip ${one.chip!.value}`)],
  };
}

function byLog(host: AuditedHost): AuditedHost["remapping"] {
  for (const [what, on] of [
    ["enabled", true],
    ["not-enabled", false],
  ] as const) {
    const said = host.says(what).at(-1);
    if (said !== undefined)
      return {
        on,
        evidence: [{ what: `the kernel says: ${said.text}`, origin: said.origin }] satisfies Evidence[],
      };
  }
  return undefined;
}

function byCommandLine({ state, effects }: AuditedHost): AuditedHost["remapping"] {
  const { commandLine } = state.system;
  if (commandLine === undefined || effects === undefined || effects.remapping.on) return undefined;
  return { on: false, evidence: [shows(commandLine, effects.remapping.why)] };
}
