import { toWords } from "../../spec/codec.ts";
import type { FollowedInterrupt, Part } from "../follow/following.ts";
import type { UnitDecision } from "../path.ts";
import { amdviLook } from "./amdvi-look.ts";
import { type DecidedStep, type Look, decidedSteps } from "./decided.ts";
import type { Stop, WalkStep } from "./step.ts";
import { type Told, stepOf } from "./told.ts";
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

/** An interrupt of a host that was followed; what was looked at in files has no bits to show. */
export function followedSteps(interrupt: FollowedInterrupt): WalkStep[] {
  const { device, path, decision: decided, title } = interrupt;
  const source = device ?? title;
  const looks = decided === null ? [] : decision(decided, source);
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
function decision({ request, entry, index, steps }: UnitDecision, source: string): DecidedStep[] {
  const address = Number(BigInt.asIntN(32, request.address));
  const words = entry === null ? undefined : toWords(entry.value, 128);
  const common = { address, data: request.data | 0, entry: words };
  const posts = entry?.fields.some(({ name }) => name === "vv") === true;
  const look: (step: number) => Look = steps[0]!.rule.startsWith("amdvi.")
    ? amdviLook(
        null,
        { ...common, ga: entry === null ? null : entry.width === 128, index: index ?? 0, device: none },
        source,
        source,
      )
    : vtdLook(null, { ...common, remappingEnabled: index === null ? false : null }, source, posts);
  return decidedSteps(steps, look, "the unit");
}

const none = new Int32Array(0);

function alone(told: Told): WalkStep {
  return stepOf(told, { at: 0, episode: 0, thread: null, stack: [], request: 1 });
}
