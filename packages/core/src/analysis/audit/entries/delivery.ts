import type { Processor } from "../../../evidence/host/processor.ts";
import type { HostEntry } from "../../host/entry.ts";
import { check } from "../check.ts";
import type { AuditedHost } from "../host.ts";
import { type Look, shows } from "../look.ts";
import { entryEvidence, entryName, entrySubject, listed } from "../naming.ts";
import { capital } from "./content.ts";
import { presentEntries, remappedEntries } from "./present.ts";
import { usersKnown } from "./users.ts";

const placeholder = 0xef;

/** The processors that an entry goes to, where the host shows them; empty for a destination that nobody has. */
function targetsOf(
  { links, state }: AuditedHost,
  entry: HostEntry,
  look: Look,
): readonly Processor[] | undefined {
  const targets = links.targetsOf(entry);
  if (targets !== undefined) return targets;
  if (state.processors.length === 0) look.lacks("the processors");
  else if (links.extendedMode(entry.unit) === undefined)
    look.lacks(`the width of destinations of ${entry.unit.name}`);
  else look.lacks("the APIC ids of all processors");
  return undefined;
}

export const deadDestinations = check({
  rule: "audit.entry.destination",
  severity: "medium",
  vendor: null,
  looksAt: "destinations of present entries that are not posted, against the processors",
  why: "No processor takes the interrupt: it is lost, and its driver waits.",
  fix: "Give the interrupt's affinity anew (/proc/irq/N/smp_affinity); if it comes back, look at CPU hotplug.",
  find(host, look) {
    for (const entry of remappedEntries(host, look)) {
      const targets = targetsOf(host, entry, look);
      if (targets === undefined) continue;
      look.at();
      if (targets.some(({ online }) => online?.value !== false)) continue;
      const destination = host.links.destinationOf(entry)!;
      look.add({
        subject: entrySubject(entry),
        title:
          targets.length === 0
            ? `${capital(entryName(entry))} goes to ${entry.logical === true ? "logical " : ""}destination 0x${destination.toString(16)}, to which no processor answers.`
            : `${capital(entryName(entry))} goes to ${listed(targets.map(({ cpu }) => `CPU ${cpu}`))}, offline.`,
        evidence: [
          entryEvidence(entry),
          ...targets.flatMap(({ cpu, online }) =>
            online === undefined ? [] : [shows(online, `CPU ${cpu} is offline`)],
          ),
        ],
      });
    }
  },
});

export const placeholderVectors = check({
  rule: "linux.vector.placeholder",
  severity: "medium",
  vendor: null,
  looksAt: "vectors of present entries whose interrupt somebody has requested",
  why: "The interrupt arrives at a vector without a handler: the driver does not hear of it.",
  fix: "Unbind and bind the driver of the device; if it comes back, the kernel lost the vector in activation: report it.",
  find(host, look) {
    for (const entry of remappedEntries(host, look)) {
      if (entry.vector !== placeholder) {
        look.at();
        continue;
      }
      const users = host.links.interruptsOf(entry);
      if (users.length === 0) {
        look.lacks(`which interrupt goes through ${entryName(entry)}, whose vector is EFh`);
        continue;
      }
      look.at();
      for (const { irq, actions, started } of users) {
        if (actions === undefined || actions.value.length === 0 || started?.value === false) continue;
        look.add({
          subject: { kind: "interrupt", name: `irq ${irq}` },
          title: `irq ${irq} (${actions.value.join(", ")}) has a handler, and ${entryName(entry)} sends it to vector EFh, which has none.`,
          evidence: [
            entryEvidence(entry),
            shows(actions, `irq ${irq} is requested by ${actions.value.join(", ")}`),
          ],
        });
      }
    }
  },
});

export const displacedEntries = check({
  rule: "audit.entry.as-allocated",
  severity: "medium",
  vendor: null,
  looksAt: "vector and destination of entries against what the kernel gave their interrupts",
  why: "The interrupt arrives as another's, or as nobody's: the kernel's picture and the hardware's have parted.",
  fix: "Read both again: an interrupt that is being moved differs for a moment. If it stays so, give its affinity anew.",
  find(host, look) {
    for (const entry of presentEntries(host, look)) {
      if (entry.mode !== "remapped" || entry.vector === placeholder) continue;
      const [irq, ...others] = host.links.interruptsOf(entry);
      // Of two it cannot be right for both: audit.entry.shared.
      if (irq !== undefined && others.length === 0) compare(host, entry, irq, look);
    }
    usersKnown(host, look);
  },
});

function compare(
  host: AuditedHost,
  entry: HostEntry,
  irq: AuditedHost["state"]["interrupts"][number],
  look: Look,
): void {
  const { vector, effective } = irq;
  if (vector === undefined && effective === undefined)
    return look.lacks(`vector and processor of irq ${irq.irq}`);
  const targets = targetsOf(host, entry, look);
  // One that nobody takes, or only processors that are offline, is audit.entry.destination.
  if (targets?.some(({ online }) => online?.value !== false) === false) return;
  look.at();
  const wrongVector = vector !== undefined && vector.value.vector !== entry.vector;
  const cpus = vector === undefined ? effective!.value : [vector.value.cpu];
  const wrongTarget =
    targets !== undefined && cpus.length > 0 && !targets.some(({ cpu }) => cpus.includes(cpu));
  if (!wrongVector && !wrongTarget) return;
  const goes = `vector ${hexByte(entry.vector)}${targets === undefined ? "" : ` of ${listed(targets.map(({ cpu }) => `CPU ${cpu}`))}`}`;
  const given = `${vector === undefined ? "" : `vector ${hexByte(vector.value.vector)} of `}${listed(cpus.map((cpu) => `CPU ${cpu}`))}`;
  look.add({
    subject: entrySubject(entry),
    title: `${capital(entryName(entry))} goes to ${goes}, and the kernel gave irq ${irq.irq} ${given}.`,
    evidence: [entryEvidence(entry), shows((vector ?? effective)!, `irq ${irq.irq} has ${given}`)],
  });
}

function hexByte(vector: number): string {
  return `${vector.toString(16).toUpperCase().padStart(2, "0")}h`;
}
