import type { AvicStepId } from "../../linux/posting/avic-steps.ts";
import type { VmxStepId } from "../../linux/posting/vmx-step-ids.ts";
import type { RuleId } from "../../spec/rules.ts";
import type { Move } from "./world.ts";

/** What guests do that no table has: of VMX and of AVIC. */
type GuestStep = "guest takes interrupts" | "guest takes";

/** By which rule a step does what it does, or what it is held against. */
const ofSteps: Readonly<Partial<Record<VmxStepId | AvicStepId | GuestStep, RuleId>>> = {
  "guest takes interrupts": "vmx.deliver",
  "guest takes": "avic.evaluate",
  "device-post": "vtd.post.atomic",
  "device-notify": "vtd.post.notify",
  "processor-acknowledge": "vmx.posted.eoi",
  "processor-clear-on": "vmx.posted.clear-on",
  "processor-harvest": "vmx.posted.harvest",
  "irte-exchange": "vtd.check.entry-changed",
  "irte-store-low": "vtd.check.entry-changed",
  "irte-store-high": "vtd.check.entry-changed",
  "irte-write-back": "vtd.memory.incoherent",
  "irte-invalidate": "vtd.iec.invalidate",
  "irte-wait": "vtd.iec.drain",
  "device-set-irr": "amdvi.ga.post",
  "device-test-running": "amdvi.ga.not-cached",
  "device-doorbell": "amdvi.ga.doorbell",
  "device-log": "amdvi.ga.log",
  "device-log-interrupt": "amdvi.galog.interrupt",
  "load-update-entries": "amdvi.ga.not-cached",
  "put-update-entries": "amdvi.ga.not-cached",
  "assign-write-entry": "amdvi.check.entry-changed",
  "release-write-entry": "amdvi.check.entry-changed",
  "affinity-write": "amdvi.check.entry-changed",
  "entry-invalidate": "amdvi.check.entry-changed",
};

/** The same of all others of a routine. */
const ofRoutines: Readonly<Record<string, RuleId>> = {
  "hardware: remapping": "vtd.iec.present-cached",
  "hardware: VM exit": "vmx.posted.exit",
  "hardware: guest virtual APIC": "amdvi.cache.interrupt-table",
  "hardware: AVIC IPI": "avic.ipi.not-running",
  "hardware: doorbell": "avic.doorbell",
  vmx_deliver_posted_interrupt: "vmx.pid.software-post",
  vmx_sync_pir_to_irr: "vmx.pid.software-harvest",
};

/** What a move's first step rests on; null where only the kernel's own code says so. */
export function ruleOfMove({ step, routine }: Move): RuleId | null {
  return (ofSteps as Readonly<Record<string, RuleId>>)[step] ?? ofRoutines[routine] ?? null;
}
