import type { LinuxInterrupt } from "../../evidence/host/interrupt.ts";
import type { Processor } from "../../evidence/host/processor.ts";
import { DeliveryMode } from "../../hardware/delivery.ts";
import { vectors } from "../../linux/irq/vectors.ts";
import { hex } from "../../spec/codec.ts";
import { deliveryModes } from "../../spec/msi/message.ts";
import type { RuleId } from "../../spec/rules.ts";
import type { HostLinks } from "../host/links.ts";
import type { PathDelivery } from "../path.ts";
import type { Story } from "./following.ts";
import type { Followed } from "./source.ts";

/** Vectors below are illegal. */
const firstVector = 16;

/** Tells what becomes of a message that has left every unit: processors, and what Linux makes of its vector. */
export function tellArrival(
  story: Story,
  links: HostLinks,
  followed: Followed,
  delivery: PathDelivery,
): void {
  const addressed = tellProcessors(story, links, followed, delivery);
  if (story.ended !== null) return;
  const { deliveryMode, vector } = delivery;
  if (deliveryMode !== DeliveryMode.fixed && deliveryMode !== DeliveryMode.lowestPriority) {
    const name = deliveryModes[deliveryMode as keyof typeof deliveryModes];
    return story.end("delivered", null, `${printCpus(addressed)} takes it as ${name}, past all vectors.`);
  }
  tellVector(story, links, followed, vector, addressed);
  if (story.ended !== null) return;
  tellHandler(story, followed.interrupt);
  const where = addressed === undefined ? "A processor" : printCpus(addressed);
  story.end("delivered", null, `${where} takes it as vector ${hex(vector)}.`);
}

/** @returns those that are addressed and may be online; undefined where that is not known. */
function tellProcessors(
  story: Story,
  links: HostLinks,
  { unit }: Followed,
  { destination, logical, deliveryMode, vector }: PathDelivery,
): readonly Processor[] | undefined {
  const extended = unit === undefined ? undefined : links.extendedMode(unit)?.value;
  const wide = extended ?? links.state.system.routing?.value.mode === "x2apic";
  const rule = ruleOfDestination(destination, logical, wide);
  const step = { part: "processor", title: "a processor is addressed", rule } as const;
  const name = `${logical ? "logical" : "physical"} destination ${hex(destination)}`;
  const processors =
    links.state.processors.length === 0 ? undefined : links.processorsOf(destination, logical, wide);
  if (processors === undefined) {
    story.tell({ ...step, verdict: "not known", detail: `${name}; not all APIC ids are known` });
    story.lack({
      what: "APIC ids of the processors",
      why: `${links.state.source} does not tell them`,
      needs: "proc/cpuinfo of the host",
    });
    return undefined;
  }
  const evidence = processors
    .slice(0, 4)
    .map((one) => (logical ? (one.logicalId ?? one.apicId) : one.apicId)?.origin);
  if (processors.length === 0) {
    story.tell({ ...step, verdict: "lost here", detail: `${name}: no processor of the host has it` });
    story.end("lost", rule, `No processor of the host answers to ${name}.`);
    return processors;
  }
  story.tell({ ...step, verdict: "held", detail: `${name}: ${printCpus(processors)}`, evidence });
  const awake = processors.filter(({ online }) => online?.value !== false);
  const accepts = { part: "processor", title: "its local APIC accepts the message" } as const;
  if (awake.length === 0) {
    const off = "apic.accept.disabled";
    const from = processors.map(({ online }) => online?.origin);
    story.tell({
      ...accepts,
      rule: off,
      verdict: "lost here",
      detail: `${printCpus(processors)}: offline`,
      evidence: from,
    });
    story.end("lost", off, `${printCpus(processors)} is offline, and takes no interrupt.`);
    return awake;
  }
  const bad = refusal(deliveryMode, vector);
  if (bad !== undefined) {
    story.tell({
      ...accepts,
      rule: bad,
      verdict: "lost here",
      detail: `vector ${hex(vector)}, delivery mode ${deliveryMode}`,
    });
    story.end("lost", bad, "No local APIC accepts such a message.");
    return awake;
  }
  const unsure = awake.some(({ online }) => online === undefined);
  story.tell({
    ...accepts,
    rule: "apic.accept.fixed",
    verdict: unsure ? "not known" : "held",
    detail: unsure ? "whether it is online is not known" : `${printCpus(awake)}: online`,
    evidence: awake.slice(0, 4).map(({ online }) => online?.origin),
  });
  return awake;
}

function refusal(deliveryMode: number, vector: number): RuleId | undefined {
  if (deliveryMode === 3 || deliveryMode === DeliveryMode.startup) return "apic.message.delivery-mode";
  const counted = deliveryMode === DeliveryMode.fixed || deliveryMode === DeliveryMode.lowestPriority;
  return counted && vector < firstVector ? "apic.vector.illegal-received" : undefined;
}

function ruleOfDestination(destination: number, logical: boolean, wide: boolean): RuleId {
  if (destination === (wide ? 0xffff_ffff : 0xff)) return "apic.destination.broadcast";
  if (!logical) return "apic.destination.physical";
  return wide ? "apic.destination.x2apic-logical" : "apic.destination.flat";
}

function tellVector(
  story: Story,
  links: HostLinks,
  { interrupt }: Followed,
  vector: number,
  addressed: readonly Processor[] | undefined,
): void {
  const step = { part: "linux", title: "Linux knows the vector there", rule: "linux.vector.owner" } as const;
  if (vector === vectors.MANAGED_IRQ_SHUTDOWN) {
    const rule = "linux.vector.placeholder";
    story.tell({
      ...step,
      rule,
      verdict: "lost here",
      detail: `${hex(vector)} is the placeholder of an irq that is not in use`,
    });
    story.end("lost", rule, `Vector ${hex(vector)} is a placeholder: no handler runs.`);
    return;
  }
  const own = interrupt?.vector;
  const cpus = addressed?.map(({ cpu }) => cpu);
  if (own?.value.vector === vector && cpus?.includes(own.value.cpu) !== false) {
    const { cpu } = own.value;
    const detail = `vector ${hex(vector)} on CPU ${cpu} is irq ${interrupt!.irq}`;
    return story.tell({ ...step, verdict: "held", detail, evidence: [own.origin] });
  }
  const owner = links.state.interrupts.find(
    ({ vector: given }) => given?.value.vector === vector && cpus?.includes(given.value.cpu) === true,
  );
  if (owner !== undefined && interrupt === undefined) {
    const detail = `vector ${hex(vector)} on CPU ${owner.vector!.value.cpu} is irq ${owner.irq}`;
    return story.tell({ ...step, verdict: "held", detail, evidence: [owner.vector!.origin] });
  }
  if (own !== undefined && cpus !== undefined) {
    const given = `Linux gave irq ${interrupt!.irq} vector ${hex(own.value.vector)} on CPU ${own.value.cpu}`;
    const evidence = [own.origin, owner?.vector?.origin];
    const rule = owner === undefined ? "linux.vector.unassigned" : step.rule;
    const there = owner === undefined ? "nobody's there" : `irq ${owner.irq}'s there`;
    story.tell({
      ...step,
      rule,
      verdict: "lost here",
      detail: `vector ${hex(vector)} is ${there}; ${given}`,
      evidence,
    });
    return story.end("lost", rule, `It arrives as vector ${hex(vector)}, which is ${there}; ${given}.`);
  }
  const effective = interrupt?.effective;
  const detail =
    effective === undefined
      ? "which vector Linux gave it is not known"
      : `which vector Linux gave it is not known; its effective affinity is CPU ${effective.value.join(",")}`;
  story.tell({ ...step, verdict: "not known", detail, evidence: [effective?.origin] });
}

/** Tells which handler runs. */
export function tellHandler(story: Story, interrupt: LinuxInterrupt | undefined): void {
  const step = { part: "linux", title: "a handler runs" } as const;
  const actions = interrupt?.actions;
  if (interrupt === undefined || actions === undefined) {
    return story.tell({ ...step, verdict: "not known", detail: "which handlers there are is not known" });
  }
  if (actions.value.length === 0) {
    const rule = "linux.irq.unhandled";
    story.tell({
      ...step,
      rule,
      verdict: "lost here",
      detail: `irq ${interrupt.irq} has no handler`,
      evidence: [actions.origin],
    });
    return story.end("lost", rule, `irq ${interrupt.irq} has no handler.`);
  }
  const detail = `irq ${interrupt.irq}: ${actions.value.join(", ")}`;
  story.tell({ ...step, verdict: "held", detail, evidence: [actions.origin] });
}

const mostNamed = 8;

/** Processors by Linux's numbers. */
export function printCpus(processors: readonly Processor[] | undefined): string {
  if (processors === undefined) return "a processor";
  const named = processors.slice(0, mostNamed).map(({ cpu }) => cpu);
  const rest = processors.length > mostNamed ? ` and ${processors.length - mostNamed} more` : "";
  return `CPU ${named.join(", ")}${rest}`;
}
