import type { Processor } from "../../evidence/host/processor.ts";
import type { Fact } from "../../evidence/host/fact.ts";
import type { UnitState } from "../../evidence/host/unit.ts";
import { vectors } from "../../linux/irq/vectors.ts";
import { decode, hex } from "../../spec/codec.ts";
import type { RuleId } from "../../spec/rules.ts";
import { postedDescriptor } from "../../spec/vtd/irte.ts";
import type { DescriptorOwner, HostLinks } from "../host/links.ts";
import { printCpus } from "./arrival.ts";
import type { Story } from "./following.ts";
import type { Posting } from "./host-decision.ts";

/** Tells what becomes of an interrupt that a unit has posted. @param rule by which it did. */
export function tellPosted(
  story: Story,
  links: HostLinks,
  unit: UnitState,
  posting: Posting,
  rule: RuleId,
): void {
  const owner = links.descriptorAt(posting.address);
  if (unit.vendor === "intel") tellDescriptor(story, links, unit, posting, owner, rule);
  else tellBackingPage(story, links, unit, posting, owner, rule);
}

/** Whose a descriptor or backing page is, in a clause. */
export function ownerName({ owner, machine }: DescriptorOwner): string {
  if (owner.kind === "cpu") return `CPU ${owner.cpu} of the host`;
  const command = machine?.command === undefined ? "" : ` (${machine.command.value})`;
  return `vCPU ${owner.vcpu} of VM ${owner.machine}${command}`;
}

function tellDescriptor(
  story: Story,
  links: HostLinks,
  unit: UnitState,
  posting: Posting,
  owner: DescriptorOwner | undefined,
  rule: RuleId,
): void {
  const place = hex(posting.address);
  const whose = owner === undefined ? "nobody is known to own it" : ownerName(owner);
  const value = owner?.descriptor?.value;
  const step = { part: "posting", title: "whose descriptor it is" } as const;
  story.tell({
    ...step,
    verdict: owner === undefined ? "not known" : "held",
    detail: `${place}: ${whose}`,
    evidence: [owner?.origin],
  });
  if (value === undefined) {
    story.tell({
      part: "posting",
      title: "a notification is sent",
      verdict: "not known",
      detail: "the descriptor was not read",
    });
    lackDescriptor(story, links, place);
    return story.end("posted", rule, `It is set in PIR of the descriptor at ${place}; ${whose}.`);
  }
  const outcome = tellNotification(story, links, unit, posting, value);
  story.end("posted", rule, `${outcome(owner!)} (${ownerName(owner!)})`);
}

function lackDescriptor(story: Story, links: HostLinks, place: string): void {
  const what = `the posted-interrupt descriptor at ${place}`;
  story.lack({
    what,
    why: `${links.state.source} does not tell it`,
    needs: "root on the host, or a dump of its kernel with the memory of KVM",
  });
}

type Sentence = (owner: DescriptorOwner) => string;

/** @returns how it ends, once it is known for whom. */
function tellNotification(
  story: Story,
  links: HostLinks,
  unit: UnitState,
  { vector, notified, notification }: Posting,
  value: Fact<bigint>,
): Sentence {
  const { on, sn, nv, ndst } = decode(postedDescriptor, value.value);
  const state = `ON=${on} SN=${sn} NV=${hex(nv)} NDST=${hex(ndst)}`;
  const step = { part: "posting", title: "a notification is sent" } as const;
  const tell = (rule: RuleId, detail: string): void =>
    story.tell({ ...step, rule, verdict: "held", detail: `${state}: ${detail}`, evidence: [value.origin] });
  if (notified !== true || notification === null) {
    if (on === 1) {
      tell("vtd.post.coalesced", "none, an earlier one is outstanding");
      return () => `PIR[${hex(vector)}] is set, and taken with what was posted before it.`;
    }
    tell("vtd.post.suppressed", "none, it is suppressed");
    return () => `PIR[${hex(vector)}] is set, and found when the vCPU is loaded again: it was preempted.`;
  }
  const extended = links.extendedMode(unit)?.value;
  const targets = links.processorsOf(notification.destination, false, extended === true);
  const to = `APIC id ${hex(notification.destination)}, ${printCpus(targets)}`;
  tell("vtd.post.notify", `vector ${hex(notification.vector ?? 0)} to ${to}`);
  return tellTarget(story, vector, notification.vector ?? 0, targets);
}

function tellTarget(
  story: Story,
  vector: number,
  notification: number,
  targets: readonly Processor[] | undefined,
): Sentence {
  const awake = targets?.filter(({ online }) => online?.value !== false);
  const title = "the notification is taken";
  if (targets !== undefined && awake?.length === 0) {
    const detail = targets.length === 0 ? "no processor has that id" : `${printCpus(targets)} is offline`;
    const rule = targets.length === 0 ? "apic.destination.physical" : "apic.accept.disabled";
    story.tell({ part: "guest", title, rule, verdict: "lost here", detail });
    return () => `PIR[${hex(vector)}] is set, and the notification is lost: ${detail}.`;
  }
  return (owner) => {
    const on = printCpus(awake);
    if (owner.owner.kind === "cpu") return takenByHost(story, title, vector, notification, on);
    if (notification === vectors.POSTED_INTR_WAKEUP) {
      const list = owner.vcpu?.waitsOn;
      if (list !== undefined && awake?.some(({ cpu }) => cpu === list.value) === false) {
        const where = list.value < 0 ? "on no wakeup list" : `on the wakeup list of CPU ${list.value}`;
        const missed = `the notification comes to ${on}, and the vCPU is ${where}`;
        story.tell({
          part: "guest",
          title,
          rule: "vmx.posted.exit",
          verdict: "lost here",
          detail: missed,
          evidence: [list.origin],
        });
        return `PIR[${hex(vector)}] is set, and nobody wakes the vCPU: ${missed}.`;
      }
      const detail = `the vCPU sleeps; ${on} wakes those on its list whose ON is set`;
      const evidence = [list?.origin];
      story.tell({ part: "guest", title, rule: "vmx.posted.exit", verdict: "held", detail, evidence });
      return `PIR[${hex(vector)}] is set, and ${on} wakes the vCPU.`;
    }
    if (notification !== vectors.POSTED_INTR) {
      story.tell({
        part: "guest",
        title,
        verdict: "lost here",
        detail: `KVM has no vector ${hex(notification)}`,
      });
      return `PIR[${hex(vector)}] is set, and KVM does not know the notification's vector.`;
    }
    return takenByVcpu(story, title, vector, owner, awake, on);
  };
}

function takenByHost(story: Story, title: string, vector: number, notification: number, on: string): string {
  const known = notification === vectors.POSTED_MSI_NOTIFICATION;
  const detail = known
    ? `${on} runs the handlers of all that is posted`
    : `Linux has no vector ${hex(notification)} for it`;
  story.tell({ part: "linux", title, verdict: known ? "held" : "lost here", detail });
  return known
    ? `${on} takes it as vector ${hex(vector)} out of PIR.`
    : `PIR[${hex(vector)}] is set, and nobody looks.`;
}

function takenByVcpu(
  story: Story,
  title: string,
  vector: number,
  { vcpu }: DescriptorOwner,
  awake: readonly Processor[] | undefined,
  on: string,
): string {
  const step = { part: "guest", title } as const;
  const evidence = [vcpu?.mode?.origin, vcpu?.cpu?.origin];
  const elsewhere = vcpu?.cpu !== undefined && awake?.some(({ cpu }) => cpu === vcpu.cpu!.value) === false;
  if (vcpu?.mode === undefined) {
    story.tell({ ...step, verdict: "not known", detail: "whether the vCPU is in its guest is not known" });
    return `PIR[${hex(vector)}] is set, and ${on} is notified.`;
  }
  if (elsewhere && vcpu.mode.value === "inside") {
    const detail = `it comes to ${on}, and the vCPU runs on CPU ${vcpu.cpu.value}`;
    story.tell({ ...step, rule: "vmx.posted.exit", verdict: "lost here", detail, evidence });
    return `PIR[${hex(vector)}] is set, and found when the vCPU next leaves its guest: ${detail}.`;
  }
  if (vcpu.mode.value === "inside") {
    const detail = `${on} is in the guest: it moves PIR to the virtual APIC, without an exit`;
    story.tell({ ...step, rule: "vmx.posted.harvest", verdict: "held", detail, evidence });
    return `${on} takes PIR[${hex(vector)}] without leaving the guest.`;
  }
  const detail = "the vCPU is outside its guest: KVM takes PIR along when it enters";
  story.tell({ ...step, rule: "vmx.pid.software-harvest", verdict: "held", detail, evidence });
  return `PIR[${hex(vector)}] is set, and KVM takes it along when it enters the guest.`;
}

function tellBackingPage(
  story: Story,
  links: HostLinks,
  unit: UnitState,
  { address, vector, notified, logged, notification }: Posting,
  owner: DescriptorOwner | undefined,
  rule: RuleId,
): void {
  const whose = owner === undefined ? "nobody is known to own it" : ownerName(owner);
  const title = "whose backing page it is";
  const verdict = owner === undefined ? "not known" : "held";
  story.tell({
    part: "posting",
    title,
    verdict,
    detail: `${hex(address)}: ${whose}`,
    evidence: [owner?.origin],
  });
  const how = { part: "posting", title: "the vCPU is told" } as const;
  const end = (text: string): void => story.end("posted", rule, `${text} (${whose})`);
  if (notified === true && notification !== null) {
    const extended = links.extendedMode(unit)?.value === true;
    const targets = links.processorsOf(notification.destination, false, extended);
    const detail = `IsRun=1: the doorbell of APIC id ${hex(notification.destination)}, ${printCpus(targets)}`;
    story.tell({ ...how, rule: "amdvi.ga.doorbell", verdict: "held", detail });
    return end(tellDoorbell(story, vector, owner, targets));
  }
  if (logged) {
    const detail =
      "IsRun=0, GALogIntr=1: an entry in the guest virtual APIC log, and its interrupt wakes the vCPU";
    story.tell({ ...how, rule: "amdvi.ga.log", verdict: "held", detail });
    return end(`IRR[${hex(vector)}] is set, and KVM wakes the vCPU by the log.`);
  }
  const detail = "IsRun=0, GALogIntr=0: it is not";
  story.tell({ ...how, rule: "amdvi.ga.log", verdict: "held", detail });
  end(`IRR[${hex(vector)}] is set, and found when the vCPU runs again.`);
}

function tellDoorbell(
  story: Story,
  vector: number,
  owner: DescriptorOwner | undefined,
  targets: readonly Processor[] | undefined,
): string {
  const step = { part: "guest", title: "the doorbell is heard" } as const;
  const { mode, cpu } = owner?.vcpu ?? {};
  if (mode === undefined) {
    story.tell({ ...step, verdict: "not known", detail: "whether the vCPU is in its guest is not known" });
    return `IRR[${hex(vector)}] is set, and the doorbell rings.`;
  }
  const evidence = [mode.origin, cpu?.origin];
  const there = cpu === undefined || targets?.some((one) => one.cpu === cpu.value) !== false;
  if (mode.value === "inside" && there) {
    story.tell({
      ...step,
      rule: "avic.doorbell",
      verdict: "held",
      detail: "the vCPU is in its guest there",
      evidence,
    });
    return `${printCpus(targets)} takes IRR[${hex(vector)}] without leaving the guest.`;
  }
  const detail = there ? "the vCPU is outside its guest" : `the vCPU runs on CPU ${cpu.value}`;
  story.tell({
    ...step,
    rule: "avic.host-interrupt",
    verdict: there ? "held" : "lost here",
    detail,
    evidence,
  });
  return `IRR[${hex(vector)}] is set, and taken at the next entry: ${detail}.`;
}
