import { InputError } from "../../evidence/input-error.ts";
import { Outcome, unknownRequester } from "../../hardware/delivery.ts";
import { Memory } from "../../hardware/memory.ts";
import { deliveryModes } from "../../spec/msi/message.ts";
import { hex } from "../../spec/codec.ts";
import { printRequester } from "../../spec/requester.ts";
import { type RuleId, ruleOf } from "../../spec/rules.ts";
import type { Ending } from "../decision.ts";
import { DecisionWatch } from "../follow/host-decision.ts";
import { MessageComposer } from "../message-composer.ts";
import type { Path, UnitDecision } from "../path.ts";
import { sentBy, toldOutcome } from "../path-parts.ts";
import type { Request } from "../walkthrough/live-unit.ts";
import { sends } from "../walkthrough/sent-message.ts";
import { type Told, routes, stepOf, vectorOf } from "../walkthrough/told.ts";
import { amdviStage } from "./amdvi-stage.ts";
import { type Stage, check, checkNumber } from "./stage.ts";
import type { Trial, TrialResult } from "./trial.ts";
import { vtdStage } from "./vtd-stage.ts";

const interruptRange = { from: 0xfee0_0000n, to: 0xfeef_ffffn };

/**
 * Sends one request to a unit that is brought up for it, and tells what became of it step by step.
 * @throws InputError for a value that is too wide, an address outside of FEEx_xxxxh, or a profile that there is not.
 */
export function tryRequest(trial: Trial): TrialResult {
  const { vendor } = trial;
  check("address", trial.address, 64);
  checkNumber("data", trial.data, 32);
  if (typeof trial.requester === "number") checkNumber("requester", trial.requester, 16);
  if (trial.address < interruptRange.from || trial.address > interruptRange.to || trial.address % 4n !== 0n) {
    throw new InputError(
      `address ${hex(trial.address)}: an interrupt is a write to FEEx_xxxxh that is aligned to 4 bytes`,
    );
  }
  const parts = {
    memory: new Memory({ limitMiB: 16 }),
    fabric: new MessageComposer(),
    observer: new DecisionWatch(),
  };
  const stage = vendor === "intel" ? vtdStage(trial, parts) : amdviStage(trial, parts);
  const requester = trial.requester === null ? unknownRequester : (trial.requester ?? stage.requester);
  const source = requester < 0 ? "the device" : printRequester(requester & 0xffff);
  const address = Number(BigInt.asIntN(32, trial.address));
  const request: Request = { address, data: trial.data | 0, requester, source };

  const watch = parts.observer;
  watch.watching = true;
  const outcome = stage.interrupt(request.address, request.data, requester);
  const { message, delivery, result } = sentBy(outcome, parts.fabric);
  const cameTo = toldOutcome(outcome, watch.seen);
  const rule = ruleFor(stage, cameTo, request);
  const ending: Ending = { outcome: cameTo, rule };
  const seen = watch.seen ? { index: watch.index, cached: watch.cached, words: watch.words } : undefined;
  const posted = watch.posted === null ? null : stage.posting(watch.posted);
  const told: Told[] = [
    sends(source, undefined, address, trial.data, vendor),
    routes(source, requester, vendor),
    ...stage.live.decided(request, seen, ending, result),
    ...(posted?.told ?? []),
  ];
  if (delivery !== null) told.push(handedOver(delivery));
  else if (posted?.posting.notified === true && vendor === "intel") told.push(notification(parts.fabric));
  return {
    vendor,
    profile: stage.profile,
    requester: requester < 0 ? null : requester,
    outcome: cameTo,
    rule,
    section: ruleOf(rule).section,
    decision: {
      request: { address: trial.address, data: trial.data >>> 0 },
      ...stage.parts(request, seen, ending, result),
      rule,
      message,
      delivery,
    },
    fault: outcome === Outcome.blocked ? stage.fault() : null,
    posting: posted?.posting ?? null,
    steps: told.map((one) => stepOf(one, { at: 0, episode: 0, thread: null, stack: [], request: 1 })),
  };
}

function ruleFor({ live }: Stage, outcome: Path["outcome"], request: Request): RuleId {
  switch (outcome) {
    case "blocked":
      return live.blockedBy();
    case "passed":
      return live.passedBy(request);
    default:
      return live.rules[outcome];
  }
}

function handedOver({
  destination,
  logical,
  deliveryMode,
  vector,
}: NonNullable<UnitDecision["delivery"]>): Told {
  const mode = deliveryModes[deliveryMode as keyof typeof deliveryModes] ?? "reserved";
  return {
    stop: "apic",
    actor: logical ? `logical destination ${hex(destination)}` : `APIC ${destination}`,
    title: `the local APICs are handed ${vectorOf(vector)}`,
    detail: `${mode}, ${logical ? "logical" : "physical"} destination ${hex(destination)}`,
  };
}

function notification(composer: MessageComposer): Told {
  const destination = composer.destination >>> 0;
  return {
    stop: "apic",
    actor: `APIC ${destination}`,
    title: `the notification goes out as ${vectorOf(composer.vector)}`,
    detail: `physical destination ${hex(destination)}`,
    rule: "vtd.post.notify",
  };
}
