import type { Fact } from "../../../evidence/host/fact.ts";
import type { VtdUnitState } from "../../../evidence/host/unit.ts";
import { type Values, decode, hex } from "../../../spec/codec.ts";
import { faultStatus, globalCommand, globalStatus } from "../../../spec/vtd/registers.ts";
import { type Evidence, check } from "../check.ts";
import { type Look, shows } from "../look.ts";

/** What a unit has turned on, and what says so. */
interface UnitStatus {
  readonly ire: boolean;
  readonly cfi: boolean;
  readonly te: boolean;
  readonly fact: Fact<unknown>;
  readonly text: string;
}

/** GSTS, or what the kernel last wrote to GCMD. */
function statusOf(unit: VtdUnitState): UnitStatus | undefined {
  const status = unit.registers.get("GSTS");
  if (status !== undefined) {
    const { ires, cfis, tes } = decode(globalStatus, status.value);
    const text = `GSTS of ${unit.name} is ${hex(status.value)}`;
    return { ire: ires === 1, cfi: cfis === 1, te: tes === 1, fact: status, text };
  }
  if (unit.command === undefined) return undefined;
  const { ire, cfi, te } = decode(globalCommand, BigInt(unit.command.value));
  const text = `the kernel last wrote ${hex(unit.command.value)} to GCMD of ${unit.name}`;
  return { ire: ire === 1, cfi: cfi === 1, te: te === 1, fact: unit.command, text };
}

/** Units that remap interrupts, each with what it has turned on. */
function* remappingUnits(
  units: readonly VtdUnitState[],
  look: Look,
): Generator<{ readonly unit: VtdUnitState; readonly status: UnitStatus }> {
  if (units.length === 0) look.lacks("remapping units");
  for (const unit of units) {
    const status = statusOf(unit);
    if (status === undefined) {
      look.lacks(`GSTS of ${unit.name}`);
      continue;
    }
    if (!status.ire) continue;
    look.at();
    yield { unit, status };
  }
}

export const compatibilityOpen = check({
  rule: "vtd.check.cfi",
  severity: "high",
  vendor: "intel",
  looksAt: "GSTS or GCMD, and IRTA.EIME, of each unit",
  why: "Any function can write any interrupt: a message in compatibility format passes without looking at the table.",
  fix: "Clear CFI before remapping is enabled; Linux does, so find out who set it.",
  find({ vtdUnits, links }, look) {
    for (const { unit, status } of remappingUnits(vtdUnits, look)) {
      if (!status.cfi) continue;
      const extended = links.extendedMode(unit);
      const shut = extended?.value === true;
      look.add({
        subject: { kind: "unit", name: unit.name },
        severity: shut ? "info" : "high",
        title: shut
          ? `${unit.name} has CFIS at 1; with EIME at 1 compatibility-format messages are blocked all the same.`
          : `${unit.name} lets compatibility-format messages pass: CFIS is 1 while remapping is on.`,
        evidence: [
          shows(status.fact, status.text),
          ...(extended === undefined ? [] : [shows(extended, `EIME is ${extended.value ? 1 : 0}`)]),
        ],
      });
    }
  },
});

export const translationOff = check({
  rule: "pci.dma.unconfined",
  severity: "low",
  vendor: "intel",
  looksAt: "GSTS or GCMD of each unit",
  why: "Interrupts are remapped, and yet a device's DMA reaches the table by which they are.",
  fix: "Boot with intel_iommu=on.",
  find({ vtdUnits }, look) {
    for (const { unit, status } of remappingUnits(vtdUnits, look)) {
      if (status.te) continue;
      look.add({
        subject: { kind: "unit", name: unit.name },
        title: `${unit.name} remaps interrupts and translates no DMA.`,
        evidence: [shows(status.fact, status.text)],
      });
    }
  },
});

/** FSTS of each unit that shows it, with itself as evidence. */
function* faultStatuses(
  units: readonly VtdUnitState[],
  look: Look,
): Generator<
  Values<keyof typeof faultStatus.fields> & { readonly name: string; readonly evidence: Evidence[] }
> {
  if (units.length === 0) look.lacks("remapping units");
  for (const { name, registers } of units) {
    const status = registers.get("FSTS");
    if (status === undefined) {
      look.lacks(`FSTS of ${name}`);
      continue;
    }
    look.at();
    const evidence = [shows(status, `FSTS of ${name} is ${hex(status.value)}`)];
    yield { ...decode(faultStatus, status.value), name, evidence };
  }
}

export const queueHalted = check({
  rule: "vtd.qi.halt",
  severity: "high",
  vendor: "intel",
  looksAt: "FSTS of each unit",
  why: "No invalidation is carried out any more: stale entries stay in use, and the kernel waits for ever.",
  fix: "Look up the descriptor at the queue's head (intremap explain takes the kernel's lines), and restart the host.",
  find({ vtdUnits }, look) {
    for (const { name, iqe, evidence } of faultStatuses(vtdUnits, look)) {
      if (iqe !== 1) continue;
      look.add({
        subject: { kind: "unit", name },
        title: `The invalidation queue of ${name} has stopped at an error: FSTS.IQE is 1.`,
        evidence,
      });
    }
  },
});

export const faultsPending = check({
  rule: "vtd.fault.event",
  also: ["vtd.fault.overflow"],
  severity: "low",
  vendor: "intel",
  looksAt: "FSTS of each unit",
  why: "A request was blocked and nobody has read its record: which device, and why, is not in the log.",
  fix: "Look at the log for the fault event of the unit, and at /proc/interrupts whether it still arrives.",
  find({ vtdUnits }, look) {
    for (const { name, ppf, pfo, evidence } of faultStatuses(vtdUnits, look)) {
      const subject = { kind: "unit", name } as const;
      if (pfo === 1) {
        look.add({
          rule: "vtd.fault.overflow",
          subject,
          title: `Faults of ${name} were dropped: FSTS.PFO is 1.`,
          evidence,
        });
      } else if (ppf === 1) {
        look.add({ subject, title: `A fault of ${name} waits in its record: FSTS.PPF is 1.`, evidence });
      }
    }
  },
});

export const extendedModeOff = check({
  rule: "audit.unit.extended-mode",
  severity: "medium",
  vendor: "intel",
  looksAt: "IRTA.EIME of each unit, how local APICs are addressed",
  why: "The units take destinations for 8-bit ones, the processors answer to 32 bits: interrupts go to the wrong one, or to none.",
  fix: "Restart with a kernel that enables remapping before x2APIC mode.",
  find({ vtdUnits, links, state: { system } }, look) {
    const { routing } = system;
    if (vtdUnits.length === 0) return look.lacks("remapping units");
    if (routing === undefined) return look.lacks("how local APICs are addressed");
    for (const unit of vtdUnits) {
      const extended = links.extendedMode(unit);
      if (extended === undefined) {
        look.lacks(`IRTA of ${unit.name}`);
        continue;
      }
      if (links.remappingOn(unit)?.value === false) continue;
      look.at();
      if (extended.value || routing.value.mode !== "x2apic") continue;
      look.add({
        subject: { kind: "unit", name: unit.name },
        title: `The local APICs are in x2APIC mode, and ${unit.name} has 8-bit destinations (EIME is 0).`,
        evidence: [
          shows(extended, `EIME of ${unit.name} is 0`),
          shows(routing, "the local APICs are in x2APIC mode"),
        ],
      });
    }
  },
});
