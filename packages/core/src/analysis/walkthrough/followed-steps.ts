import { toWords } from "../../spec/codec.ts";
import type { FollowedInterrupt, Part } from "../follow/following.ts";
import type { Path, Step, UnitDecision } from "../path.ts";
import { amdviLook } from "./amdvi-look.ts";
import { type DecidedStep, type Look, decidedSteps } from "./decided.ts";
import { sends } from "./sent-message.ts";
import type { Stop, WalkStep } from "./step.ts";
import { type Told, routes, stepOf, vectorOf } from "./told.ts";
import { vtdLook } from "./vtd-look.ts";

const stopOf: Readonly<Record<Exclude<Part, "decision">, Stop>> = {
  source: "device",
  requester: "bus",
  unit: "unit",
  processor: "apic",
  linux: "software",
  posting: "descriptor",
  guest: "vcpu",
};

/** Who acts at a stop, where a host's interrupt does not name anybody. */
const actors: Partial<Readonly<Record<Stop, string>>> = {
  apic: "the processor",
  software: "the host's kernel",
  descriptor: "the descriptor",
  vcpu: "the vCPU",
};

/** One request of a trace, from the device's write to what left the unit. */
export function pathSteps(path: Path): WalkStep[] {
  const { request, requester, vendor, message, delivery, outcome } = path;
  const address = Number(BigInt.asIntN(32, request.address));
  const source = path.requesterKnown ? requester : `${requester}, as far as it is known`;
  const told: Told[] = [
    sends(requester, undefined, address, request.data, vendor),
    { ...routes(requester, -1), detail: `requester ${source}` },
    ...decision(
      path,
      path.steps.filter(({ verdict }) => verdict !== "not reached"),
      requester,
    ),
  ];
  if (delivery !== null) {
    told.push({
      stop: "apic",
      actor: `APIC ${delivery.destination}`,
      title: `the local APICs are handed ${vectorOf(delivery.vector)}`,
      detail: message === null ? "" : outcome,
    });
  }
  return told.map(alone);
}

/** An interrupt of a host that was followed; what was looked at in files has no bits to show. */
export function followedSteps(interrupt: FollowedInterrupt): WalkStep[] {
  const { device, path, decision: decided, title } = interrupt;
  const source = device ?? title;
  const looks = decided === null ? [] : decision(decided, decided.steps, source);
  let ahead = 0;
  return path.map((step) => {
    const { part, title: what, detail, verdict, rule } = step;
    const look = part === "decision" ? looks[ahead++] : undefined;
    const stop = part === "decision" ? (look?.stop ?? "unit") : stopOf[part];
    const actor =
      actors[stop] ?? (stop === "device" || stop === "bus" ? source : (interrupt.unit ?? "the unit"));
    return alone({ stop, actor, title: what, detail, verdict, rule, touched: look?.touched ?? [] });
  });
}

/** Steps of a decision, with the bits of the message and of the entry. */
function decision(
  { request, entry, index }: UnitDecision,
  steps: readonly Step[],
  source: string,
): DecidedStep[] {
  const address = Number(BigInt.asIntN(32, request.address));
  const words = entry === null ? undefined : toWords(entry.value, 128);
  const common = { address, data: request.data | 0, entry: words };
  const look: (step: number) => Look = steps[0]!.rule.startsWith("amdvi.")
    ? amdviLook(
        null,
        { ...common, ga: entry === null ? null : entry.width === 128, index: index ?? 0, device: none },
        source,
        source,
      )
    : vtdLook(null, { ...common, remappingEnabled: null }, source, true);
  return decidedSteps(steps, look, "the unit");
}

const none = new Int32Array(0);

function alone(told: Told): WalkStep {
  return stepOf(told, { at: 0, episode: 0, thread: null, stack: [], request: 1 });
}
