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
import { action, eachOf, state, subject } from "./subject.ts";
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
const commands: Shape<Readonly<Record<string, 0 | 1>>> = (value, place) =>
  Object.fromEntries(table(keyOf(globalCommand.fields), bit)(value, place));

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

/** Cases of one VT-d unit. */
export const vtd = subject({
  profiles,
  strict: "vtd-strict",
  setup: vtdSetup,
  build: (setup, profile, observer) => new VtdBench(setup, profile, observer),
  actions: {
    msi: action(request, (bench: VtdBench, one) => bench.request(one)),
    access: action(access, (bench: VtdBench, one) => bench.access(one)),
    sweep: action(sweep, (bench: VtdBench, one) => bench.sweep(one)),
    write: action(vtdRegisters.write, (bench: VtdBench, one) => bench.write(one)),
    command: action(commands, (bench: VtdBench, one) => bench.command(one)),
    clearRecord: action(count, (bench: VtdBench, one) => bench.clearRecord(one)),
    invalidate: action(invalidation, (bench: VtdBench, one) => bench.submit([one])),
    submit: action(queued, (bench: VtdBench, some) => bench.submit(some)),
    irtes: action(irtes, (bench: VtdBench, some) => bench.writeEntries(some)),
    pids: action(descriptors, (bench: VtdBench, some) => bench.writeDescriptors(some)),
    memory: action(words, (bench: VtdBench, some) => bench.writeMemory(some)),
    flush: action(range, (bench: VtdBench, one) => bench.flush(one.address, one.length)),
    readError: action(range, (bench: VtdBench, one) => bench.injectError(one.address, one.length)),
    heal: action(record({}, {}), (bench: VtdBench) => bench.heal()),
  },
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
