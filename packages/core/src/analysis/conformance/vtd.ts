import { profileNames, vtdProfileNamed } from "../../hardware/profile.ts";
import type { VtdProfile } from "../../hardware/vtd/profile.ts";
import { interruptEntryCacheInvalidate, descriptorTypes } from "../../spec/vtd/descriptors.ts";
import { encode } from "../../spec/codec.ts";
import { globalCommand } from "../../spec/vtd/registers.ts";
import { delivered, messages } from "./message.ts";
import { descriptorOf, descriptorState } from "./posted-descriptor.ts";
import {
  type JsonObject,
  type Shape,
  bit,
  count,
  flag,
  hex,
  hexOf,
  keyOf,
  list,
  mapped,
  nullable,
  oneOf,
  record,
  small,
  table,
  text,
} from "../../spec/shape.ts";
import { type Action, action, eachOf, state, subject } from "./subject.ts";
import type { VtdActor } from "./vtd-actor.ts";
import { VtdBench } from "./vtd-bench.ts";
import {
  address,
  descriptors,
  irtes,
  queued,
  requester,
  vtdRegisters,
  vtdSetup,
  words,
} from "./vtd-setup.ts";

const range = record({ address, length: count }, {});
const request = record({ address: small(32) }, { data: small(32), requester: nullable(requester) });
const access = record(
  { kind: oneOf("read", "write"), address, length: count },
  { data: small(32), pasid: small(20), requester },
);
const sweep = record({ shv: bit, subhandle: small(16) }, {});
const commandBits = table(keyOf(globalCommand.fields), bit);
const commands: Shape<Readonly<Record<string, 0 | 1>>> = (value, place) =>
  Object.fromEntries(commandBits(value, place));

const selection = record({ index: small(16) }, { mask: small(5) });
const invalidation: Shape<bigint> = (value, place) => {
  const type = descriptorTypes.interruptEntryCache;
  if (value === "global") return encode(interruptEntryCacheInvalidate, { type });
  const { index, mask = 0 } = selection(value, place);
  return encode(interruptEntryCacheInvalidate, { type, g: 1, iidx: index, im: mask });
};

/** A blocked request's reason and index, null where the reason has none; recorded unless it says otherwise. */
const fault: Shape<JsonObject> = (value, place) => ({
  recorded: true,
  ...record({ reason: hex(8), index: nullable(hex(17)) }, { recorded: flag })(value, place),
});

const names = profileNames.filter((name) => vtdProfileNamed(name) !== undefined);
const profiles = new Map<string, VtdProfile>(names.map((name) => [name, vtdProfileNamed(name)!]));

/** What the steps of a case do, by name. */
export const vtdActions: Readonly<Record<string, Action<VtdActor>>> = {
  msi: action(request, (bench: VtdActor, one) => bench.request(one)),
  access: action(access, (bench: VtdActor, one) => bench.access(one)),
  sweep: action(sweep, (bench: VtdActor, one) => bench.sweep(one)),
  write: action(vtdRegisters.write, (bench: VtdActor, one) => bench.write(one)),
  command: action(commands, (bench: VtdActor, one) => bench.command(one)),
  clearRecord: action(count, (bench: VtdActor, one) => bench.clearRecord(one)),
  invalidate: action(invalidation, (bench: VtdActor, one) => bench.submit([one])),
  submit: action(queued, (bench: VtdActor, some) => bench.submit(some)),
  irtes: action(irtes, (bench: VtdActor, some) => bench.writeEntries(some)),
  pids: action(descriptors, (bench: VtdActor, some) => bench.writeDescriptors(some)),
  memory: action(words, (bench: VtdActor, some) => bench.writeMemory(some)),
  flush: action(range, (bench: VtdActor, one) => bench.flush(one.address, one.length)),
  readError: action(range, (bench: VtdActor, one) => bench.injectError(one.address, one.length)),
  heal: action(record({}, {}), (bench: VtdActor) => bench.heal()),
};

/** Cases of one VT-d unit. */
export const vtd = subject({
  profiles,
  strict: "vtd-strict",
  setup: vtdSetup,
  build: (setup, profile, observer) => new VtdBench(setup, profile, observer),
  actions: vtdActions,
  happenings: {
    outcome: oneOf("passed", "remapped", "posted", "blocked", "refused", "read", "written"),
    delivered,
    fault,
    messages,
    remapped: count,
    blocked: count,
    reasons: list(hex(8)),
  },
  states: {
    violations: state(list(text), (bench: VtdBench) => bench.takeViolations()),
    registers: state(vtdRegisters.states, (bench: VtdBench, asked) =>
      vtdRegisters.look(asked, (name) => bench.readNamed(name)),
    ),
    pids: state(mapped(hex(52), descriptorState), (bench: VtdBench, asked) =>
      eachOf(asked, (at) => descriptorOf(bench.readDescriptor(at))),
    ),
    memory: state(mapped(hex(52), hex(32)), (bench: VtdBench, asked) =>
      eachOf(asked, (at) => hexOf(bench.readMemory(at))),
    ),
  },
});
