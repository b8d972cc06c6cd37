import type { DeviceScope, DmarStructure } from "../../../evidence/dmar.ts";
import { hex } from "../../../spec/codec.ts";
import { printFunction } from "../../../spec/requester.ts";
import { check } from "../check.ts";
import type { AuditedHost } from "../host.ts";
import { shows } from "../look.ts";

type Drhd = Extract<DmarStructure, { kind: "DRHD" }>;

const noDmar = "a DMAR table";

function drhdsOf({ state }: AuditedHost): Drhd[] {
  return (state.firmware.dmar?.value.structures ?? []).filter((structure) => structure.kind === "DRHD");
}

const subject = { kind: "firmware", name: "DMAR" } as const;

export const dmarFlag = check({
  rule: "linux.ir.dmar-flag",
  severity: "high",
  vendor: "intel",
  looksAt: "DMAR's flags",
  why: "At its next start Linux leaves interrupt remapping off, and any device can write any interrupt.",
  fix: "Turn on VT-d and interrupt remapping in the firmware's setup, or update the firmware.",
  find({ state: { firmware } }, look) {
    const { dmar } = firmware;
    if (dmar === undefined) return look.lacks(noDmar);
    look.at();
    if (dmar.value.interruptRemapping) return;
    look.add({
      subject,
      title: "The firmware does not report interrupt remapping: INTR_REMAP of the DMAR table is 0.",
      evidence: [shows(dmar, "DMAR flags: INTR_REMAP 0")],
    });
  },
});

export const x2apicOptOut = check({
  rule: "audit.dmar.x2apic-opt-out",
  severity: "low",
  vendor: "intel",
  looksAt: "DMAR's flags, the kernel log, the command line",
  why: "The processors stay in xAPIC mode: at most 255 of them, a slower local APIC, and destinations of 8 bits.",
  fix: "Turn x2APIC on in the firmware's setup; intremap=no_x2apic_optout overrides the wish, at your own risk.",
  find(host, look) {
    const { dmar } = host.state.firmware;
    const said = host.says("x2apic-opt-out");
    if (dmar === undefined && said.length === 0) return look.lacks(noDmar);
    look.at();
    if (host.commandLine?.flags["no_x2apic_optout"] === true) return;
    if (dmar?.value.x2apicOptOut !== true && said.length === 0) return;
    look.add({
      subject,
      title: "The firmware asks the kernel to stay out of x2APIC mode.",
      evidence: [
        ...(dmar?.value.x2apicOptOut === true ? [shows(dmar, "DMAR flags: X2APIC_OPT_OUT 1")] : []),
        ...said.map(({ text, origin }) => ({ what: text, origin })),
      ],
    });
  },
});

const scopeNames: Readonly<Record<number, string>> = {
  1: "function",
  2: "bridge",
  3: "IOAPIC",
  4: "HPET",
  5: "ACPI device",
};

/** What a scope names: a platform device by its id, a function by its path. */
function scopeKey(segment: number, { type, enumerationId, bus, path }: DeviceScope): string {
  const steps = path.map(({ device, function: fn }) => `${device.toString(16)}.${fn}`).join("/");
  if (type === 3 || type === 4) return `${scopeNames[type]} ${enumerationId}`;
  return `${scopeNames[type] ?? `scope of type ${type}`} ${segment.toString(16)}:${bus.toString(16)}:${steps}`;
}

export const overlappingScopes = check({
  rule: "audit.dmar.scopes-overlap",
  severity: "medium",
  vendor: "intel",
  looksAt: "DMAR's units and their device scopes",
  why: "Which unit's table an interrupt goes through is then the kernel's guess: with the wrong one it is blocked, or not remapped.",
  fix: "Update the firmware; report the table to the maker of the board.",
  find(host, look) {
    const { dmar } = host.state.firmware;
    if (dmar === undefined) return look.lacks(noDmar);
    const seen = new Map<string, Drhd>();
    const claim = (key: string, what: string, drhd: Drhd): void => {
      const before = seen.get(key);
      if (before === undefined) seen.set(key, drhd);
      else if (before !== drhd)
        look.add({
          subject,
          title: `${what} is in the scope of two units: the one at ${hex(before.base)} and the one at ${hex(drhd.base)}.`,
          evidence: [before, drhd].map((one) => ({
            what: `${what} in the scope of the unit at ${hex(one.base)}`,
            origin: { ...dmar.origin, place: `DRHD at offset ${hex(one.offset)}` },
          })),
        });
    };
    for (const drhd of drhdsOf(host)) {
      look.at();
      if (drhd.includePciAll)
        claim(`all ${drhd.segment}`, `Segment ${drhd.segment} as a whole (INCLUDE_PCI_ALL)`, drhd);
      for (const scope of drhd.scopes) {
        const key = scopeKey(drhd.segment, scope);
        claim(key, key, drhd);
      }
    }
  },
});

export const ioapicScopes = check({
  rule: "linux.ir.all-ioapics",
  severity: "high",
  vendor: "intel",
  looksAt: "IOAPICs of the MADT against DMAR's device scopes, the kernel log",
  why: "Linux does not remap interrupts at all while one IOAPIC belongs to no unit.",
  fix: "Update the firmware; report the table to the maker of the board.",
  find(host, look) {
    const { dmar, madt } = host.state.firmware;
    const said = host.says("unscoped-ioapic");
    if (dmar === undefined || madt === undefined) {
      if (said.length === 0) look.lacks(dmar === undefined ? noDmar : "a MADT");
    } else {
      const scoped = new Set(
        drhdsOf(host).flatMap(({ scopes }) =>
          scopes.filter(({ type }) => type === 3).map(({ enumerationId }) => enumerationId),
        ),
      );
      for (const { id } of madt.value.ioapics) {
        look.at();
        if (scoped.has(id)) continue;
        look.add({
          subject: { kind: "firmware", name: "DMAR" },
          title: `IOAPIC ${id} belongs to no remapping unit.`,
          evidence: [
            shows(madt, `the MADT has an IOAPIC with id ${id}`),
            shows(dmar, `no unit's scope has an IOAPIC with id ${id}`),
            ...said
              .filter(({ text }) => new RegExp(`ioapic ${id} `, "i").test(text))
              .map(({ text, origin }) => ({ what: text, origin })),
          ],
        });
      }
      return;
    }
    for (const { text, origin } of said) {
      look.at();
      look.add({ subject, title: `The kernel says: ${text}.`, evidence: [{ what: text, origin }] });
    }
  },
});

export const uncoveredDevices = check({
  rule: "audit.device.covered",
  severity: "medium",
  vendor: "intel",
  looksAt: "functions with MSI or MSI-X against the units before them",
  why: "What no unit stands before is neither translated nor remapped: it reaches all of memory and can write any interrupt.",
  fix: "Update the firmware, whose DMAR table leaves the function out.",
  find({ state, links }, look) {
    const { dmar } = state.firmware;
    if (dmar === undefined) return look.lacks(noDmar);
    if (state.devices.length === 0) return look.lacks("PCI functions");
    for (const device of state.devices) {
      if (device.msi === undefined && device.msix === undefined) continue;
      look.at();
      if (device.unit !== undefined || links.unitOf(device) !== undefined) continue;
      const segment = drhdsOf({ state } as AuditedHost).filter((drhd) => drhd.segment === device.segment);
      if (segment.some(({ includePciAll }) => includePciAll)) continue;
      const name = printFunction(device);
      look.add({
        subject: { kind: "device", name },
        title: `${name} can send messages, and no unit stands before it.`,
        evidence: [
          shows(dmar, `no unit's scope has ${name} or a bridge before it`),
          shows((device.msix ?? device.msi)!, `it has ${device.msix === undefined ? "MSI" : "MSI-X"}`),
        ],
      });
    }
  },
});
