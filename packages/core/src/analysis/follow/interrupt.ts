import type { LinuxInterrupt } from "../../evidence/host/interrupt.ts";
import type { HostState } from "../../evidence/host/state.ts";
import type { UnitState } from "../../evidence/host/unit.ts";
import { printFunction, printRequester } from "../../spec/requester.ts";
import { ruleOf } from "../../spec/rules.ts";
import { msiData } from "../../spec/msi/message.ts";
import { decode, hex } from "../../spec/codec.ts";
import * as msiAddress from "../../spec/accessors/msi-address.ts";
import type { HostLinks } from "../host/links.ts";
import type { PathDelivery } from "../path.ts";
import { tellArrival } from "./arrival.ts";
import { type FollowedInterrupt, Story } from "./following.ts";
import { AmdviHost } from "./host-amdvi.ts";
import type { HostDecision, HostRequest } from "./host-decision.ts";
import { VtdHost } from "./host-vtd.ts";
import { tellPosted } from "./posted.ts";
import { bypassOf, postingConditions, vfioKindOf } from "./posting-conditions.ts";
import { type Followed, tellSource } from "./source.ts";

/** Follows interrupts of one host. */
export class Follower {
  readonly links: HostLinks;
  readonly #units = new Map<UnitState, VtdHost | AmdviHost>();

  constructor(links: HostLinks) {
    this.links = links;
  }

  /** One of Linux's interrupts. */
  interrupt(interrupt: LinuxInterrupt): FollowedInterrupt {
    const { links } = this;
    return this.follow({
      interrupt,
      source: links.sourceOf(interrupt),
      device: links.deviceOf(interrupt),
      unit: links.unitOf(interrupt),
      reference: links.referenceOf(interrupt),
    });
  }

  follow(followed: Followed): FollowedInterrupt {
    const { links } = this;
    const story = new Story();
    let decision: HostDecision | null = null;
    const own = ownInterruptOf(followed);
    const request = tellSource(story, links, followed);
    if (own !== undefined) tellOwn(story, links, followed, own, request);
    else if (story.ended === null && tellUnit(story, links, followed, request) && request !== null) {
      decision = this.#decide(story, followed, request);
    }
    if (story.ended === null) {
      const lacks = story.missing[0]?.what ?? "what is needed";
      story.end("not known", null, `Not known is ${lacks}.`);
    }
    return this.#result(story, followed, decision);
  }

  #decide(story: Story, followed: Followed, request: HostRequest): HostDecision {
    const { links } = this;
    const unit = followed.unit!;
    const decision = this.#host(unit).decide(request);
    story.decision(decision.steps, decision.evidence);
    const { outcome, rule, delivery, posting } = decision;
    for (const missing of decision.missing) story.lack(missing);
    if (outcome === "blocked") story.end("blocked", rule, ruleOf(rule).text);
    else if (outcome === "not known") {
      const ways = decision.ways.map((way) => `${way.outcome} with ${way.when}`);
      const [first] = decision.missing;
      const hangs = ways.length > 1 ? `: ${ways.join("; ")}` : "";
      story.end("not known", rule, `It hangs on ${first?.what ?? "what is not known"}${hangs}.`);
    } else if (posting !== null) tellPosted(story, links, unit, posting, rule);
    else if (delivery !== null) tellArrival(story, links, followed, delivery);
    return decision;
  }

  #host(unit: UnitState): VtdHost | AmdviHost {
    let host = this.#units.get(unit);
    if (host === undefined) {
      host = unit.vendor === "intel" ? new VtdHost(this.links, unit) : new AmdviHost(this.links, unit);
      this.#units.set(unit, host);
    }
    return host;
  }

  #result(story: Story, followed: Followed, decision: HostDecision | null): FollowedInterrupt {
    const { interrupt, source, device, unit } = followed;
    const { outcome, rule, why } = story.ended!;
    return {
      title: titleOf(followed),
      device: device === undefined ? null : printFunction(device),
      vector: source?.kind === "pci" ? source.index : null,
      irq: interrupt?.irq ?? null,
      actions: interrupt?.actions?.value ?? [],
      unit: unit?.name ?? null,
      path: story.path,
      decision,
      outcome,
      rule,
      section: rule === null ? null : ruleOf(rule).section,
      why,
      missing: story.missing,
      passthrough: interrupt === undefined ? null : passthroughOf(this.links, interrupt, decision),
    };
  }
}

function titleOf({ interrupt, source, device, reference }: Followed): string {
  const parts: string[] = [];
  if (device !== undefined) {
    const index = source?.kind === "pci" && source.index !== null ? ` vector ${source.index}` : "";
    const driver = device.driver === undefined ? "" : ` (${device.driver.value})`;
    parts.push(`${printFunction(device)}${driver}${index}`);
  } else if (source?.kind === "ioapic") parts.push(`IOAPIC ${source.id ?? "?"} pin ${source.pin}`);
  else if (source?.kind === "hpet") parts.push(`HPET ${source.id ?? "?"}`);
  else if (source?.kind === "unit") parts.push(`${source.unit}'s own event`);
  if (interrupt !== undefined) {
    const names = interrupt.actions?.value.join(", ") ?? "";
    parts.push(`irq ${interrupt.irq}${names === "" ? "" : ` ${names}`}`);
  } else if (reference !== undefined) {
    const { unit, requester, index } = reference.value;
    parts.push(`${unit} entry ${requester === null ? "" : `${printRequester(requester)}:`}${index}`);
  }
  return parts.join(", ");
}

function passthroughOf(
  links: HostLinks,
  interrupt: LinuxInterrupt,
  decision: HostDecision | null,
): FollowedInterrupt["passthrough"] {
  if (vfioKindOf(interrupt) === undefined && bypassOf(links.state, interrupt) === undefined) return null;
  const posted = isPosted(links, interrupt, decision);
  return { posted, conditions: posted === true ? [] : postingConditions(links, interrupt) };
}

/** Whether an interrupt's entry posts to a vCPU. */
function isPosted(
  links: HostLinks,
  interrupt: LinuxInterrupt,
  decision: HostDecision | null,
): boolean | null {
  const entry = links.entryOf(interrupt);
  if (entry !== undefined) return entry.mode !== "remapped" && links.posteeOf(entry)?.owner.kind !== "cpu";
  if (interrupt.posts !== undefined) return interrupt.posts.value === "vcpu";
  if (decision === null || decision.outcome === "not known") return null;
  return decision.posting !== null;
}

/** A unit's own event is not remapped: the rule that says it; undefined for any other interrupt. */
function ownInterruptOf({
  source,
  device,
  unit,
}: Followed): "vtd.fault.event-not-remapped" | "amdvi.event.not-remapped" | undefined {
  if (source?.kind === "unit") return "vtd.fault.event-not-remapped";
  const isUnit = unit?.vendor === "amd" && device !== undefined && unit.requester?.value === device.requester;
  return isUnit ? "amdvi.event.not-remapped" : undefined;
}

function tellOwn(
  story: Story,
  links: HostLinks,
  followed: Followed,
  rule: NonNullable<ReturnType<typeof ownInterruptOf>>,
  request: HostRequest | null,
): void {
  if (story.ended !== null) return;
  const title = "the unit does not remap its own messages";
  story.tell({ part: "unit", title, rule, verdict: "held", detail: followed.unit?.name ?? "" });
  if (request !== null) tellArrival(story, links, followed, compatibleDelivery(request));
}

/** @returns whether the request is to go through the unit. */
function tellUnit(story: Story, links: HostLinks, followed: Followed, request: HostRequest | null): boolean {
  const { unit, device, reference, interrupt } = followed;
  const step = { part: "unit", title: "the remapping unit before it" } as const;
  if (unit !== undefined) {
    const by = unitEvidence(links.state, followed);
    const detail = `${unit.name}${unit.registerBase === undefined ? "" : ` at ${hex(unit.registerBase.value)}`}${by.why}`;
    story.tell({ ...step, verdict: "held", detail, evidence: [by.origin, unit.registerBase?.origin] });
    return true;
  }
  const chip = interrupt?.chip;
  if (chip !== undefined && /^(?:PCI-MSIX?|IO-APIC|HPET-MSI)(?:-|$)/.test(chip.value)) {
    const detail = `none: Linux's chip is ${chip.value}, without remapping`;
    story.tell({ ...step, verdict: "does not apply", detail, evidence: [chip.origin] });
    if (request !== null) tellArrival(story, links, followed, compatibleDelivery(request));
    return false;
  }
  story.tell({ ...step, verdict: "not known", detail: "neither sysfs nor DMAR nor IVRS tells it" });
  story.lack({
    what: `the remapping unit before ${device === undefined ? "it" : printFunction(device)}`,
    why: `${links.state.source} does not tell it${reference === undefined ? "" : ` (${reference.value.unit})`}`,
    needs: "sys/class/iommu of the host, or its DMAR or IVRS table",
  });
  return false;
}

function unitEvidence(
  { firmware }: HostState,
  { device, reference, unit }: Followed,
): { readonly why: string; readonly origin: NonNullable<Followed["reference"]>["origin"] | undefined } {
  if (device?.unit !== undefined && device.unit.value === unit?.name) {
    return { why: ", as sysfs has it", origin: device.unit.origin };
  }
  if (reference !== undefined) return { why: ", as its entry says", origin: reference.origin };
  const table = unit?.vendor === "intel" ? firmware.dmar : firmware.ivrs;
  return { why: `, by the scopes of ${unit?.vendor === "intel" ? "DMAR" : "IVRS"}`, origin: table?.origin };
}

/** What local APICs read out of a message that no unit touches. */
function compatibleDelivery({ address, data }: HostRequest): PathDelivery {
  const low = Number(BigInt.asIntN(32, address));
  const { v, dlm, tm } = decode(msiData, BigInt(data >>> 0));
  const high = Number(address >> 40n) * 0x100;
  return {
    destination: high + msiAddress.dstOf(low),
    logical: msiAddress.dmOf(low) === 1,
    deliveryMode: Number(dlm),
    vector: Number(v),
    level: tm === 1,
  };
}
