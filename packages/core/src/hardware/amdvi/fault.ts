import { type EventName, eventNameOf } from "../../spec/amdvi/events.ts";
import { type FaultName, type FaultReason, faultNameOf, faultReasons } from "../../spec/amdvi/faults.ts";
import { fromWords } from "../../spec/codec.ts";
import type { RuleId } from "../../spec/rules.ts";
import { Word } from "./state.ts";

type Known<Level> = {
  [Name in FaultName]: (typeof faultReasons)[Name]["known"] extends Level ? Name : never;
}[FaultName];

interface Common {
  readonly rule: RuleId;
  /** The event that stands for the fault in the log; null where the request is aborted without one. */
  readonly event: EventName | null;
  /** The event's flags, as Linux prints them. */
  readonly flags: number;
  /** DeviceID as 16 bits, or -1 if unknown. */
  readonly requester: number;
  /** The request's address bits 31:0 and data, unsigned. */
  readonly address: number;
  readonly data: number;
  /** Whether the event was written to the log. */
  readonly logged: boolean;
}

interface WithDevice extends Common {
  /** The device table entry, 256 bits. */
  readonly device: bigint;
}

interface WithIndex extends WithDevice {
  readonly index: number;
}

/** Why a request was blocked, with what was known when it was. */
export type AmdviFault =
  | (Common & { readonly name: Known<"request"> })
  | (WithDevice & { readonly name: Known<"device"> })
  | (WithIndex & { readonly name: Known<"index"> })
  | (WithIndex & { readonly name: Known<"entry">; /** 32 or 128 bits. */ readonly entry: bigint });

/** Builds the last fault from the evidence that the unit's state keeps; undefined before the first. */
export function faultOf(state: Int32Array): AmdviFault | undefined {
  const name = faultNameOf(state[Word.reason]!);
  if (name === undefined) return undefined;
  const reason: FaultReason = faultReasons[name];
  const common: Common = {
    rule: reason.rule,
    event: reason.event === null ? null : eventNameOf(reason.event)!,
    flags: reason.flags,
    requester: state[Word.requester]!,
    address: state[Word.address]! >>> 0,
    data: state[Word.data]! >>> 0,
    logged: state[Word.logged] === 1,
  };
  if (reason.known === "request") return { ...common, name: name as Known<"request"> };
  const withDevice: WithDevice = { ...common, device: fromWords(state, Word.device, 256) };
  if (reason.known === "device") return { ...withDevice, name: name as Known<"device"> };
  const withIndex: WithIndex = { ...withDevice, index: state[Word.index]! };
  if (reason.known === "index") return { ...withIndex, name: name as Known<"index"> };
  return { ...withIndex, name: name as Known<"entry">, entry: fromWords(state, Word.entry, 128) };
}
