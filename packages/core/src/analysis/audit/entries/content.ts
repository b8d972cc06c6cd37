import { irte32, irteGuest, irteRemapped128 } from "../../../spec/amdvi/irte.ts";
import { type Violation, decode, validate } from "../../../spec/codec.ts";
import type { Context } from "../../../spec/layout.ts";
import { irtePosted, irteRemapped } from "../../../spec/vtd/irte.ts";
import { capability } from "../../../spec/vtd/registers.ts";
import type { HostEntry } from "../../host/entry.ts";
import { check } from "../check.ts";
import type { AuditedHost } from "../host.ts";
import { entryEvidence, entryName, entrySubject } from "../naming.ts";
import { presentEntries, remappedEntries } from "./present.ts";

/** What a violation may hang on, as far as the host shows it. */
function contextOf({ links, state }: AuditedHost, { unit }: HostEntry): Context {
  const extended = links.extendedMode(unit)?.value;
  const bit = extended === undefined ? undefined : extended ? 1 : 0;
  if (unit.vendor === "amd") return bit === undefined ? {} : { xten: bit };
  const cap = unit.capability;
  const haw = state.firmware.dmar?.value.hostAddressWidth;
  return {
    ...(bit === undefined ? {} : { eime: bit }),
    ...(cap === undefined ? {} : { pi: decode(capability, cap.value).pi === 1 ? 1 : 0 }),
    ...(haw === undefined ? {} : { haw }),
  };
}

function violationsOf(host: AuditedHost, entry: HostEntry): Violation[] {
  const { unit, value, width, mode } = entry;
  const context = contextOf(host, entry);
  if (unit.vendor === "intel") {
    return mode === "posted" ? validate(irtePosted, value, context) : validate(irteRemapped, value, context);
  }
  if (width === 32) return validate(irte32, value, context);
  return mode === "guest" ? validate(irteGuest, value, context) : validate(irteRemapped128, value, context);
}

export const illegalEntries = check({
  rule: "vtd.ir.entry-reserved",
  amdRule: "amdvi.irte.reserved",
  also: [
    "vtd.irte.reserved",
    "vtd.irte.posted-reserved",
    "vtd.irte.mode-unsupported",
    "vtd.irte.xapic-destination",
    "vtd.irte.delivery-mode",
    "vtd.irte.smi-vector",
    "vtd.irte.svt",
    "vtd.irte.descriptor-address",
    "amdvi.irte.int-type",
    "amdvi.irte.guest-mode",
    "amdvi.irte.xapic-destination",
  ],
  severity: "medium",
  vendor: null,
  looksAt: "reserved bits and values of present entries",
  why: "Hardware blocks the interrupt: VT-d with fault reason 24h, AMD-Vi with an event.",
  fix: "Find out who writes the table besides the kernel; intremap decode shows the entry field by field.",
  find(host, look) {
    for (const entry of presentEntries(host, look)) {
      look.at();
      for (const { rule, found, when } of violationsOf(host, entry)) {
        if (when !== undefined) {
          look.lacks(`whether ${when} for ${entry.unit.name}`);
          continue;
        }
        look.add({
          rule,
          subject: entrySubject(entry),
          title: `${capital(entryName(entry))} is illegal: ${found}.`,
          evidence: [entryEvidence(entry)],
        });
      }
    }
  },
});

const vectorless: ReadonlySet<number> = new Set([2, 4, 5, 7]);

export const illegalVectors = check({
  rule: "apic.vector.illegal-received",
  severity: "medium",
  vendor: null,
  looksAt: "vectors of present entries that are not posted",
  why: "The local APIC refuses the interrupt and sets ESR bit 6: it is lost.",
  fix: "Find out who writes the table besides the kernel, which gives out vectors from 20h.",
  find(host, look) {
    for (const entry of remappedEntries(host, look)) {
      look.at();
      const { vector, deliveryMode, unit } = entry;
      if (vector >= 16 || (unit.vendor === "intel" && vectorless.has(deliveryMode!))) continue;
      look.add({
        subject: entrySubject(entry),
        title: `${capital(entryName(entry))} has vector ${vector}, and those below 16 are illegal.`,
        evidence: [entryEvidence(entry)],
      });
    }
  },
});

/** Bits 127:64 of an entry: source, and where it posts, the descriptor's upper address. */
const upper = (value: bigint): bigint => value >> 64n;

export const tornEntries = check({
  rule: "audit.entry.torn",
  severity: "low",
  vendor: "intel",
  looksAt: "the two halves of entries",
  why: "An interrupt that arrives between the two writes is checked against a source id of 0000h, or not at all.",
  fix: "Read the table again: if the entry is still so, something wrote only one half of it.",
  find(host, look) {
    for (const entry of presentEntries(host, look)) {
      if (entry.unit.vendor !== "intel") continue;
      look.at();
      if (upper(entry.value) !== 0n) continue;
      look.add({
        subject: entrySubject(entry),
        title: `${capital(entryName(entry))} is present, and its upper half is zero.`,
        evidence: [entryEvidence(entry)],
      });
    }
  },
});

export const openEntries = check({
  rule: "vtd.check.svt-none",
  severity: "high",
  vendor: "intel",
  looksAt: "SVT of present entries",
  why: "Any function can send this interrupt, one that is handed to a guest among them.",
  fix: "Find out who wrote the entry: Linux sets SVT unless it runs with intremap=nosid.",
  find(host, look) {
    const asked = host.effects?.sourceIdChecking.on === false;
    for (const entry of presentEntries(host, look)) {
      if (entry.unit.vendor !== "intel") continue;
      look.at();
      // The whole host is open then, and one finding says so: linux.ir.nosid. Half an entry is audit.entry.torn.
      if (asked || entry.source!.svt !== 0 || upper(entry.value) === 0n) continue;
      look.add({
        subject: entrySubject(entry),
        title: `${capital(entryName(entry))} does not check its source: SVT is 0.`,
        evidence: [entryEvidence(entry)],
      });
    }
  },
});

/** A name as a sentence begins; `irq` stays as it is. */
export function capital(text: string): string {
  return text.startsWith("irq ") ? text : text.charAt(0).toUpperCase() + text.slice(1);
}
