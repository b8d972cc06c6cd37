import { type AmdviProfile, amdviStrict } from "../../hardware/amdvi/profile.ts";
import { amdviProfileNamed, profileNames } from "../../hardware/profile.ts";
import { eventCodes } from "../../spec/amdvi/events.ts";
import type { RegisterName } from "../../spec/amdvi/registers.ts";
import type { AmdviActor } from "./amdvi-actor.ts";
import { AmdviBench } from "./amdvi-bench.ts";
import {
  address,
  amdviRegisters,
  amdviSetup,
  commands,
  dtes,
  irtes,
  requester,
  words,
} from "./amdvi-setup.ts";
import { delivered, messages, outcome, vectors } from "./message.ts";
import { count, hex, hexOf, keyOf, mapped, nullable, record, small } from "../../spec/shape.ts";
import { type Action, action, eachOf, state, subject } from "./subject.ts";

const range = record({ address, length: count }, {});
const request = record({ data: small(32) }, { address: small(32), requester: nullable(requester) });

/** A logged event; what is not named is not compared. */
const event = record(
  { code: keyOf(eventCodes), device: hex(16) },
  { flags: hex(12), domain: hex(16), address: hex(64) },
);
const galog = record({ gatag: hex(32), device: hex(16) }, { code: hex(4) });

const names = profileNames.filter((name) => amdviProfileNamed(name) !== undefined);
const profiles = new Map<string, AmdviProfile>([
  ...names.map((name): [string, AmdviProfile] => [name, amdviProfileNamed(name)!]),
  // The other reading of what is not settled (amdvi.dte.valid-gates).
  ["amdvi-strict-valid-gates", { ...amdviStrict, validGatesInterrupts: true }],
]);

/** What the steps of a case do, by name. */
export const amdviActions: Readonly<Record<string, Action<AmdviActor>>> = {
  msi: action(request, (bench: AmdviActor, one) => bench.request(one)),
  malformed: action(record({ address: small(32) }, {}), (bench: AmdviActor, one) =>
    bench.malformed(one.address),
  ),
  write: action(amdviRegisters.write, (bench: AmdviActor, one) => bench.write(one)),
  commands: action(commands, (bench: AmdviActor, some) => bench.submit(some)),
  dtes: action(dtes, (bench: AmdviActor, some) => bench.writeDevices(some)),
  irtes: action(irtes, (bench: AmdviActor, some) => bench.writeEntries(some)),
  memory: action(words, (bench: AmdviActor, some) => bench.writeMemory(some)),
  readError: action(range, (bench: AmdviActor, one) => bench.injectError(one.address, one.length)),
  heal: action(record({}, {}), (bench: AmdviActor) => bench.heal()),
};

/** Cases of one AMD-Vi unit. */
export const amdvi = subject({
  profiles,
  strict: "amdvi-strict",
  setup: amdviSetup,
  build: (setup, profile, observer) => new AmdviBench(setup, profile, observer),
  actions: amdviActions,
  happenings: { outcome, delivered, event, galog, doorbell: hex(32), messages },
  states: {
    registers: state(amdviRegisters.states, (bench: AmdviBench, asked) =>
      amdviRegisters.look(asked, (name) => bench.read(name as RegisterName)),
    ),
    requests: state(mapped(hex(52), vectors), (bench: AmdviBench, asked) =>
      eachOf(asked, (at) => bench.requests(at)),
    ),
    memory: state(mapped(hex(52), hex(32)), (bench: AmdviBench, asked) =>
      eachOf(asked, (at) => hexOf(bench.readMemory(at))),
    ),
  },
});
